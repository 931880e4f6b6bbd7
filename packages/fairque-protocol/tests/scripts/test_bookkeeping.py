"""Other promises of the design than shares: pops of constant cost that leave no task behind, and exact accounting."""

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority
from fairque.protocol.runners.connection import command
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench, Crew

NEVER_MS = 10**8
USERS = ["ann", "bob", "eve"]
STAYS = {"meta", "g", "counts", "wake", "claim:w1"}

quickly = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def commands(queue: "Bench") -> Counter[str]:
    """How often the pop of one task sends each command; no other client can come in between."""
    with queue.client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("INFO", "commandstats")
        pipeline.execute_command(*command(queue.pop_call()))
        pipeline.execute_command("INFO", "commandstats")
        before, _, after = pipeline.execute()
    return Counter({name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after})


def round_of_pops(queue: "Bench", batches: list[int]) -> list[Counter[str]]:
    """The commands of nine pops, of the fresh ring and of the ready ring, with so many users and tasks of one user."""
    queue.fill("steady", 1)
    queue.pop()
    for batch, number in enumerate(batches):
        queue.fill("steady", number)
        queue.push(*(queue.task(f"new{batch}.{which}") for which in range(number)))
    return [commands(queue) for _ in range(9)]


def test_the_cost_of_a_pop_depends_on_neither_users_nor_tasks(new_crew: "Callable[..., Crew]") -> None:
    few = round_of_pops(new_crew().queue, [10])
    many = round_of_pops(new_crew().queue, [1_000] * 20)
    assert many == few
    # Without the EVALSHA itself and the INFO that counts.
    assert max(counted.total() for counted in many) - 2 <= 30


class Oracle:
    """Who may run, kept by hand from what was done: nothing of it is read from the queue.

    Attributes:
        queue: The queue.
        waiting: The tasks of each user that wait.
        running: The tasks that run and their users, oldest first.
    """

    def __init__(self, queue: "Bench") -> None:
        self.queue = queue
        self.waiting: dict[str, set[str]] = {user: set() for user in USERS}
        self.running: dict[str, tuple[str, Granted]] = {}
        self._delayed: dict[str, tuple[str, int]] = {}
        self._limits: dict[str, dict[str, Any]] = {user: {} for user in USERS}
        self._full_at: defaultdict[str, float] = defaultdict(float)

    def may_run(self, user: str) -> bool:
        limits = self._limits[user]
        in_flight = sum(owner == user for owner, _ in self.running.values())
        return bool(
            self.waiting[user]
            and not limits.get("paused")
            and in_flight < (limits.get("cap") or in_flight + 1)
            and self._full_at[user] - ((limits.get("burst") or 1) - 1) * self._interval_us(user) <= self.queue.now_us
        )

    def do(self, step: str, user: str, number: int) -> None:
        """Make one change to the queue and record it."""
        match step:
            case "push" | "urgent":
                priority = Priority.CRITICAL if step == "urgent" else Priority.NORMAL
                self.waiting[user] |= {*self.queue.fill(user, number, priority=priority)}
            case "later" if len(self._delayed) < 8:
                (task_id,) = self.queue.fill(user, 1, delay_ms=200 * number)
                self._delayed[task_id] = (user, self.queue.now_ms + 200 * number)
            case "pop":
                self.pop(number)
            case "finish" | "release" | "fail":
                self._end(step, number)
            case "cancel" if self.waiting[user]:
                task_id = min(self.waiting[user])
                self.queue.cancel(task_id)
                self.waiting[user].remove(task_id)
            case "cap":
                self.limit(user, cap=number if number < 4 else None)
            case "pause":
                self.limit(user, paused=1 if number < 4 else None)
            case "rate":
                self.limit(user, rate=[None, 2, 5, 50, None][number - 1], burst=[None, 2][number % 2])
            case "wait":
                self.queue.advance(150 * number)

    def pop(self, number: int) -> list[str]:
        """Pop, and check that each task was allowed to run, and that there are fewer only if no other one was."""
        granted = self.queue.pop(number, lease_ms=NEVER_MS)
        for task_id, (user, due_ms) in list(self._delayed.items()):
            if due_ms <= self.queue.now_ms:
                del self._delayed[task_id]
                self.waiting[user].add(task_id)
        for held in granted:
            user = str(json.loads(held.message)["user"])
            assert self.may_run(user)
            self.waiting[user].remove(held.task_id)
            self.running[held.task_id] = (user, held)
            self._full_at[user] = max(self._full_at[user], self.queue.now_us) + self._interval_us(user)
        if len(granted) < number:
            assert not [user for user in USERS if self.may_run(user)]
        return [held.task_id for held in granted]

    def limit(self, user: str, **values: Any) -> None:
        self.queue.limit(user, **values)
        self._limits[user] |= values
        burst = self._limits[user].get("burst") or 1
        latest = self.queue.now_us + burst * self._interval_us(user) if self._limits[user].get("rate") else 0
        self._full_at[user] = min(self._full_at[user], latest)

    def _interval_us(self, user: str) -> float:
        rate = self._limits[user].get("rate")
        return 1_000_000 / rate if rate else 0

    def _end(self, how: str, number: int) -> None:
        for task_id in list(self.running)[:number]:
            user, held = self.running.pop(task_id)
            getattr(self.queue, how)(held)
            if how == "release":
                self.waiting[user].add(task_id)
            if how == "fail":
                self._delayed[task_id] = (user, self.queue.now_ms + 1_000)


class TestWorkConserving:
    steps = st.sampled_from(
        [
            "push",
            "urgent",
            "later",
            "pop",
            "pop",
            "pop",
            "finish",
            "release",
            "fail",
            "cancel",
            "cap",
            "pause",
            "rate",
            "wait",
        ]
    )

    @quickly
    @given(st.lists(st.tuples(steps, st.sampled_from(USERS), st.integers(1, 5)), min_size=40, max_size=120))
    def test_a_pop_returns_fewer_tasks_than_requested_only_if_nothing_more_may_run(
        self, new_crew: "Callable[..., Crew]", steps: list[tuple[str, str, int]]
    ) -> None:
        queue = new_crew().queue
        oracle = Oracle(queue)
        for step in steps:
            oracle.do(*step)
        in_flight = Counter(user for user, _ in oracle.running.values())
        records = queue.snapshot("u:")
        assert {key[2:]: int(record["inf"]) for key, record in records.items() if record["inf"] != "0"} == in_flight
        for user in USERS:
            oracle.limit(user, cap=None, paused=None, rate=None)
        queue.advance(1_000)
        while oracle.pop(20):
            oracle.do("finish", "", 100)
        oracle.do("finish", "", 100)
        assert not any(oracle.waiting.values())
        assert not queue.snapshot("ready", "fresh", "critical", "running", "delayed", "n:", "c:", "s:")


class Books:
    """What users must have been charged, by what was done: measured times, and of running tasks what they say."""

    def __init__(self, queue: "Bench") -> None:
        self.queue = queue
        self.measured: Counter[str] = Counter()
        self._owners: dict[str, str] = {}
        self._began: dict[str, int] = {}

    def pop(self, number: int) -> list[Granted]:
        popped = self.queue.pop(number, lease_ms=NEVER_MS)
        for task in popped:
            self._owners[task.task_id] = str(json.loads(task.message)["user"])
            self._began[task.task_id] = self.queue.now_us
        return [*popped]

    def end(self, step: str, ended: list[Granted], ran_us: int) -> None:
        for task in ended:
            spent = max(1_000, min(ran_us, self.queue.now_us - self._began[task.task_id]))
            self.measured[self._owners[task.task_id]] += spent
        if step in ("finish", "release") and ended:
            getattr(self.queue, step)(*ended, ran_us=ran_us)
        elif ended:
            self.queue.fail(*ended, verdict=step, pause_ms=0, ran_us=ran_us)

    def check(self, running: list[Granted]) -> None:
        found = self.queue.snapshot("u:", "t:")
        total = self.measured.copy()
        for task in running:
            total[self._owners[task.task_id]] += int(found[f"t:{task.task_id}"]["charged"])
        for user in USERS:
            assert float(found[f"u:{user}"]["S"]) == total[user]
            assert int(found[f"u:{user}"]["served"]) == self.measured[user]


class TestCharges:
    steps = st.sampled_from(["pop", "pop", "finish", "finish", "dead", "retry", "release", "beat"])
    times_us = st.sampled_from([0, 1, 999, 1_001, 7_777, 250_000, 60_000_000])

    @quickly
    @given(st.lists(st.tuples(steps, st.integers(1, 4), times_us), min_size=30, max_size=100), st.integers(1, 40_000))
    def test_are_the_measured_times_to_the_microsecond_and_at_least_a_millisecond(
        self, new_crew: "Callable[..., Crew]", steps: list[tuple[str, int, int]], pause_us: int
    ) -> None:
        """Each user keeps a task running, so that none is ever idle and its tag is all that it was charged."""
        queue = new_crew().queue
        for user in USERS:
            queue.fill(user, 150)
        books = Books(queue)
        kept, held = books.pop(3), list[Granted]()
        for number, (step, many, ran_us) in enumerate(steps):
            queue.advance(number * pause_us / 10_000)
            if step == "pop":
                held += books.pop(many)
            elif step == "beat":
                queue.beat(*held, *kept)
            else:
                ended, held = held[:many], held[many:]
                books.end(step, ended, ran_us)
        books.check([*held, *kept])
        while held := [*held, *books.pop(100)]:
            queue.advance(2)
            books.end("finish", held, 1_500)
            held = []
        books.check(kept)

    def test_are_one_per_start_in_cost_mode_count_and_none_for_a_release(self, new_crew: "Callable[..., Crew]") -> None:
        queue = new_crew().queue
        queue.run(calls.configure(queue.keys, cost_mode="count"))
        for user in USERS:
            queue.fill(user, 10)
        finished, released, failed, _ = (queue.pop(3) for _ in range(4))
        queue.advance(60_000)
        queue.beat(*finished)
        queue.finish(*finished, ran_us=50_000_000)
        queue.release(*released)
        queue.fail(*failed, verdict="dead")
        records = queue.snapshot("u:")
        assert {user: float(records[f"u:{user}"]["S"]) for user in USERS} == dict.fromkeys(USERS, 3)


class TestNothingIsLeft:
    def test_of_users_once_virtual_time_has_passed_their_tags(self, new_crew: "Callable[..., Crew]") -> None:
        crew = new_crew()
        crew.push("steady", *[5_000] * 100)
        for number in range(30):
            crew.push(f"once{number}", 5_000)
        crew.work(131 - 60)
        assert crew.started.count("steady") < 60
        left = crew.queue.snapshot("u:", "owe", "users", "fresh", "ready", "timers")
        assert left.keys() == {"u:steady", "users", "ready"}
        assert [user for user, _ in left["users"]] == ["steady"]

    def test_of_users_with_one_task_that_workers_serve_twenty_at_a_time(self, queue: "Bench") -> None:
        """Without a sweep, at most the obsolete records of two pops remain."""
        prefix = queue.keys.prefix
        queue.fill("steady", 500)
        queue.pop()
        useless = 0
        for step in range(60):
            queue.push(*(queue.task(f"once{step}.{number}") for number in range(18)))
            held = queue.pop(20)
            queue.advance(1_000)
            steady = [task for task in held if b'"steady"' in task.message]
            queue.finish(*steady, ran_us=100_000)
            queue.finish(*(task for task in held if task not in steady), ran_us=1_000_000)
            virtual_time = queue.globals()["V"]
            useless = max(useless, int(queue.client.zcount(f"{prefix}owe", "-inf", virtual_time)))
        assert useless <= 2 * 20

    @pytest.mark.parametrize("cost_mode", ["time", "count"])
    def test_after_a_sweep_without_waiting_users(self, new_crew: "Callable[..., Crew]", cost_mode: Any) -> None:
        crew = new_crew(workers=3)
        crew.queue.run(calls.configure(crew.queue.keys, cost_mode=cost_mode))
        for number, user in enumerate(USERS):
            crew.queue.limit(user, weight=number + 0.5, rate=1_000)
            crew.push(user, *[40_000] * 20, hint=3)
            crew.push(user, *[40_000] * 5, priority=Priority.CRITICAL)
        crew.work()
        crew.push(USERS[0], 40_000)
        crew.work()
        assert crew.queue.snapshot("u:")
        crew.queue.advance(60_000)
        crew.queue.sweep()
        assert crew.queue.snapshot().keys() - STAYS == {"configured", *(f"cfg:{user}" for user in USERS)}
