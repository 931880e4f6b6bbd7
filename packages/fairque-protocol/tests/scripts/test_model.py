"""The scripts against the model: any sequence of calls leaves both in the same state, to the last microsecond."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fairque.console.verifier import verify
from fairque.protocol.calls.limits import ALL_USERS, Setting
from fairque.protocol.calls.pop import Granted
from fairque.protocol.limits import LIMITS
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.fairness.model import FairModel
from fairque.testing.fairness.order import HIGH
from fairque.testing.fairness.records import ModelTask, User
from fairque.testing.internal import calls, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.scripts.conftest import Bench

#: Some sort first, some last, some would be special in a key, a pattern or a script.
USERS = ["a", "b", "zz", "!", "k:{x},y", "ünï", "a*"]
LEASE_MS = 30_000

users = st.sampled_from(USERS)
priorities = st.sampled_from([*Priority, Priority.CRITICAL, Priority.CRITICAL])
pauses_ms = st.sampled_from([0, 1, 40, 1_000, 9_000, 31_000])
pauses_us = st.integers(0, 999)
times_us = st.one_of(st.integers(0, 20_000), st.sampled_from([0, 500, 1_000, 250_000, 2_000_000, 45_000_000]))


class Scheduler(RuleBasedStateMachine):
    """A queue on a server and a model, on which every step is done."""

    new_queue: "Callable[[], Bench]"

    @initialize(cost_mode=st.sampled_from(["time", "time", "count"]))
    def begin(self, cost_mode: Any) -> None:
        self.queue = type(self).new_queue()
        self.queue.run(calls.configure(self.queue.keys, cost_mode=cost_mode))
        self.model = FairModel(cost_mode=cost_mode)
        if cost_mode == "count":  # a change records the time
            self.model.clock.read(self.queue.now_us)
            self.model.clock.note()
        self.held: dict[str, Granted] = {}
        self.pushed: dict[str, ModelTask] = {}

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            assert verify(self.queue.runner, self.queue.keys, fix=True).found == []
            self.queue.drop()

    @rule(
        wanted=st.lists(
            st.tuples(users, priorities, st.none() | pauses_ms, st.none() | pauses_ms, st.none() | times_us),
            min_size=1,
            max_size=6,
        )
    )
    def push(self, wanted: list[tuple[str, Priority, int | None, int | None, int | None]]) -> None:
        tasks = [
            self.queue.task(
                user,
                priority=priority,
                timeout_ms=10**12,  # the model knows none
                delay_ms=pause or 0,
                execute_at=None if pause or moment is None else self.queue.now_ms + moment,
                cost=None if cost is None else cost / 1_000_000,
            )
            for user, priority, pause, moment, cost in wanted
        ]
        self.queue.push(*tasks)
        pushed = [
            ModelTask(t.task_id, user, priority, delay_ms=pause, due_ms=t.execute_at, cost_us=cost)
            for t, (user, priority, pause, _, cost) in zip(tasks, wanted, strict=True)
        ]
        self.pushed |= {task.task_id: task for task in pushed}
        self.model.push(self.queue.now_us, pushed)

    @rule(count=st.integers(1, 7))
    def pop(self, count: int) -> None:
        granted = self.queue.pop(count, lease_ms=LEASE_MS)
        assert [task.task_id for task in granted] == self.model.pop(self.queue.now_us, count, LEASE_MS)
        self.held |= {task.task_id: task for task in granted}

    @rule(pause_ms=pauses_ms | st.integers(0, 5_000))
    def advance(self, pause_ms: int) -> None:
        self.queue.advance(pause_ms)

    @rule(
        step_ms=st.integers(-2_000, -1) | st.sampled_from([-7_200_000, -40_000, 40_000, 7_200_000]), rest_us=pauses_us
    )
    def clock_steps(self, step_ms: int, rest_us: int) -> None:
        self.queue.advance(step_ms - rest_us / 1000)

    def _some(self, data: Any) -> list[Granted]:
        """Tasks that a worker holds or believes to hold."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), min_size=1, max_size=4, unique=True))
        return [self.held[task_id] for task_id in chosen]

    def _still_held(self, tasks: list[Granted]) -> list[Granted]:
        return [t for t in tasks if self._token(t) == t.token]

    def _token(self, task: Granted) -> str:
        record = self.queue.snapshot(f"t:{task.task_id}").get(f"t:{task.task_id}", {})
        return str(record.get("token")) if record.get("state") == "STARTED" else ""

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def beat(self, data: Any) -> None:
        tasks = self._some(data)
        held = self._still_held(tasks)
        self.queue.beat(*tasks, lease_ms=LEASE_MS)
        self.model.beat(self.queue.now_us, [t.task_id for t in held], LEASE_MS)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ran_us=times_us)
    def finish(self, data: Any, ran_us: int) -> None:
        tasks = self._some(data)
        held = self._still_held(tasks)
        self.queue.finish(*tasks, ran_us=ran_us)
        self.model.finish(self.queue.now_us, {t.task_id: ran_us for t in held})

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ran_us=times_us, pause_ms=st.none() | pauses_ms)
    def fail(self, data: Any, ran_us: int, pause_ms: int | None) -> None:
        tasks = self._some(data)
        held = self._still_held(tasks)
        verdict = "dead" if pause_ms is None else "retry"
        self.queue.fail(*tasks, ran_us=ran_us, verdict=verdict, pause_ms=pause_ms or 0)
        self.model.fail(self.queue.now_us, {t.task_id: ran_us for t in held}, pause_ms=pause_ms)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ran_us=times_us)
    def release(self, data: Any, ran_us: int) -> None:
        tasks = self._some(data)
        held = self._still_held(tasks)
        self.queue.release(*tasks, ran_us=ran_us)
        self.model.release(self.queue.now_us, {t.task_id: ran_us for t in held})

    @precondition(lambda self: self.model.tasks)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.model.tasks)))
        self.queue.cancel(task_id)
        self.model.cancel(self.queue.now_us, task_id)

    @precondition(lambda self: self.pushed.keys() - self.model.tasks)
    @rule(data=st.data())
    def redrive(self, data: Any) -> None:
        """Of ended tasks, only dead letters become runnable again; of expired ones, none."""
        ended = sorted(self.pushed.keys() - self.model.tasks)
        chosen = data.draw(st.lists(st.sampled_from(ended), min_size=1, max_size=4, unique=True))
        dead = {task_id for task_id, _ in self.queue.snapshot("dead").get("dead", [])}
        answers = self.queue.run(calls.redrive(self.queue.keys, chosen, result_ttl_ms=60_000))
        assert [answer.code is Status.OK for answer in answers] == [task_id in dead for task_id in chosen]
        self.model.redrive(self.queue.now_us, [self.pushed[task_id] for task_id in chosen if task_id in dead])

    @rule()
    def sweep(self) -> None:
        self.queue.sweep()
        self.model.sweep(self.queue.now_us)

    @rule(
        user=users,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "weight": st.sampled_from([0.01, 0.3, 1.0, 2.0, 100.0]),
                "cap": st.none() | st.integers(1, 3),
                "rate": st.none() | st.sampled_from([0.5, 3.0, 100.0]),
                "burst": st.none() | st.integers(1, 3),
                "paused": st.booleans(),
            },
        ),
    )
    def set_user(self, user: str, changes: dict[str, Any]) -> None:
        if changes:
            self.queue.run(calls.limit(self.queue.keys, _settings(user, changes)))
            self.model.set_user(self.queue.now_us, user, **changes)

    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "cap": st.none() | st.integers(1, 4),
                "rate": st.none() | st.sampled_from([2.0, 50.0]),
                "burst": st.none() | st.integers(1, 3),
            },
        ),
    )
    def set_defaults(self, changes: dict[str, Any]) -> None:
        if changes:
            self.queue.run(calls.limit(self.queue.keys, _settings(ALL_USERS, changes)))
            self.model.set_defaults(self.queue.now_us, **changes)

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        if hasattr(self, "queue"):
            found = self.queue.snapshot()
            self._compare(found)
            if found:
                self.queue.assert_bounds_hold()
            self._count(found)

    def _compare(self, found: dict[str, Any]) -> None:
        model = self.model
        scheduler = found.get("g", {})
        for name in ("V", "aseq", "bs", "cg"):
            assert float(scheduler.get(name, 0)) == getattr(model, name), name
        assert float(scheduler.get("est0", 1_000)) == model.est0
        assert int(scheduler.get("seen", 0)) == model.clock.seen_us
        assert int(scheduler.get("shift", 0)) == model.clock.shift_ms
        assert int(scheduler.get("clk", 0)) == model.clk
        for ring in ("ready", "fresh", "critical", "owe", "timers", "running", "delayed"):
            assert found.get(ring, []) == getattr(model, ring).items(), ring
        records = {key[2:]: record for key, record in found.items() if key.startswith("u:")}
        assert records.keys() == model.users.keys() == {name for name, _ in found.get("users", [])}
        for user_id, record in records.items():
            user = model.users[user_id]
            assert _facts(record) == _model_facts(user), user_id
            assert found.get(f"n:{user_id}", []) == user.n.items()
            assert found.get(f"c:{user_id}", []) == user.c.items()

    def _count(self, found: dict[str, Any]) -> None:
        """Each task is in one index, and the counters are correct."""
        indexes = [k for k in found if k.startswith(("n:", "c:")) or k in ("running", "delayed", "kept")]
        ids = Counter(task_id for index in indexes for task_id, _ in found[index])
        assert set(ids.values()) <= {1}
        assert ids.keys() == {key[2:] for key in found if key.startswith("t:")}
        owners = {key[2:]: record["user"] for key, record in found.items() if key.startswith("t:")}
        running = Counter(owners[task_id] for task_id, _ in found.get("running", []))
        counted = {key[2:]: int(record["inf"]) for key, record in found.items() if key.startswith("u:")}
        assert {user: number for user, number in counted.items() if number} == dict(running)
        states = Counter(record["state"] for key, record in found.items() if key.startswith("t:"))
        assert int(found.get("g", {}).get("queued", 0)) == states[TaskState.QUEUED]
        by_user = {key[2:]: value for key, value in found.items() if key.startswith("s:")}
        delayed = dict(found.get("delayed", []))
        assert {t: due for entries in by_user.values() for t, due in entries} == delayed
        assert all(owners[t] == user for user, entries in by_user.items() for t, _ in entries)


def _settings(user: str, changes: dict[str, Any]) -> list[Setting]:
    plain = {**changes, **({"paused": 1 if changes["paused"] else None} if "paused" in changes else {})}
    return [Setting(user, name, plain[name]) for name in LIMITS if name in plain]


def _facts(record: dict[str, str]) -> dict[str, Any]:
    return {
        "S": float(record["S"]),
        "inf": int(record["inf"]),
        "lane": record["lane"],
        "cs": int(record.get("cs", 0)),
        "ewma": int(record["ewma"]) if "ewma" in record else None,
        "tat": float(record.get("tat", 0)),
        "leeway": int(record["leeway"]) if "leeway" in record else None,
        "cut": float(record["cut"]) if "cut" in record else None,
    }


def _model_facts(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in ("S", "inf", "lane", "cs", "ewma", "tat", "leeway", "cut")}


def test_scripts_and_model_agree_after_every_step(new_queue: "Callable[[], Bench]") -> None:
    class OnServer(Scheduler):
        pass

    OnServer.new_queue = staticmethod(new_queue)
    run_state_machine_as_test(
        OnServer,
        settings=settings(
            max_examples=examples(15, 40),
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.fixture
def both(new_queue: "Callable[[], Bench]") -> "Iterator[Scheduler]":
    """A queue and a model whose steps a test chooses itself."""

    class OnServer(Scheduler):
        pass

    OnServer.new_queue = staticmethod(new_queue)
    scheduler = OnServer()
    scheduler.begin("time")
    yield scheduler
    scheduler.teardown()


def waiting(user: str, number: int, priority: Priority = Priority.NORMAL, cost_us: int | None = None) -> list[Any]:
    return [(user, priority, None, None, cost_us)] * number


def test_scripts_and_model_agree_on_many_users_that_new_defaults_have_stopped(both: Scheduler) -> None:
    for user in USERS:
        both.push(waiting(user, 3))
    both.pop(len(USERS) * 2)
    both.set_defaults({"cap": 1})
    for _ in range(3):
        both.pop(1)
        both.both_are_in_the_same_state()


def test_scripts_and_model_agree_when_a_debtor_explicitly_gets_the_default_weight(both: Scheduler) -> None:
    both.push(waiting("zz", 1))
    both.pop(1)
    both.advance(1)
    both.push(waiting("a", 1))
    both.set_user("zz", {"weight": 1.0})
    both.both_are_in_the_same_state()


def test_scripts_and_model_agree_when_virtual_time_is_reset(both: Scheduler) -> None:
    """One user borrows, one owes, one is new, one is at its cap and was cut, one is paused, and one has no work."""
    both.model.V = HIGH - 1
    both.queue.amend_globals(V=both.model.V)
    for user, changes in ("a", {"weight": 0.3}), ("b", {"cap": 1}), ("zz", {"rate": 0.5}):
        both.set_user(user, changes)
    both.push(waiting("a", 9, Priority.CRITICAL, 7_000_000) + waiting("a", 3) + waiting("b", 9, cost_us=1_000_000))
    both.push(waiting("zz", 3) + waiting("!", 1, cost_us=9_000_000) + waiting("ünï", 9, cost_us=3_000_000))
    for _ in range(4):
        both.pop(5)
        both.advance(12_000)
        both.model.finish(both.queue.now_us, dict.fromkeys(both.held, 9_000_000))
        both.queue.finish(*both.held.values(), ran_us=9_000_000)
        both.held.clear()
    both.push(waiting("a*", 2) + waiting("k:{x},y", 2))
    both.set_user("k:{x},y", {"paused": True})
    both.pop(2)
    both.both_are_in_the_same_state()
    assert both.model.V >= HIGH
    both.sweep()
    both.both_are_in_the_same_state()
    assert both.model.V == 0
    assert verify(both.queue.runner, both.queue.keys, fix=False).found == []
    for _ in range(4):
        both.pop(3)
        both.both_are_in_the_same_state()
