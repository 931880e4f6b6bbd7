"""The quick path of a script does the same as the rest of the script, and is taken where it should be."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.endings import Finished
from fairque.protocol.calls.pop import Granted, Popped
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.scripts import expand
from fairque.testing.internal import calls, examples

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: Random histories that are compared; many more in a job of its own.
HISTORIES = int(os.environ.get("FAIRQUE_TEST_HISTORIES", examples(25, 100)))
USERS = ("a", "b", "c", "zoe")
#: More users than pops that may skip the ready ring in a row.
CROWD = [(f"user-{number}", "plain") for number in range(12)]


#: The scripts with quick paths, and how these end.
QUICK = {
    "push": "do return reply end",
    "pop": "if reply then return reply end",
    "finish": "do return codes end",
}


@frozen
class Variants:
    """The scripts with quick paths, in two forms.

    Attributes:
        quick: They count in a hash how often the quick path was taken.
        slow: They have none.
        cancel: It takes a list of three elements for a long one.
    """

    quick: dict[str, str]
    slow: dict[str, str]
    cancel: str


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Variants:
    folder = tmp_path_factory.mktemp("slow") / "lua"
    with resources.as_file(resources.files("fairque.protocol").joinpath("lua")) as scripts:
        shutil.copytree(scripts, folder)
    listed = folder / "includes" / "queues.lua"
    listed.write_text(listed.read_text().replace("local NEAR = 1000", "local NEAR = 1"))
    quick = {}
    for name, end in QUICK.items():
        text = expand(name, folder)
        assert text.count(end) == 1
        noted = f'redis.call("HINCRBY", "taken:" .. KEYS[1], "{name}", 1) return'
        quick[name] = text.replace(end, end.replace("return", noted))
        path = folder / f"{name}.lua"
        path.write_text(path.read_text().replace(f'--- @include "quick_{name}"\n', ""))
    return Variants(quick, {name: expand(name, folder) for name in QUICK}, expand("cancel", folder))


#: None, a small one, and one at and one above the limit up to which it is sent to those who wait.
RESULTS = [b"", b"1", b"1", b"1" * 16_384, b"1" * 16_385]


class Pair:
    """Two queues with the same history: one with quick paths, and one without.

    Args:
        new_queue: Creates a queue.
        variants: The scripts with and without quick paths.

    Attributes:
        sent: How many calls of each script were sent.
    """

    def __init__(self, new_queue: Callable[[], "Bench"], variants: Variants) -> None:
        self.quick, self.slow = new_queue(), new_queue()
        self.sent: Counter[str] = Counter()
        self._variants = variants
        self._held: tuple[list[Granted], list[Granted]] = ([], [])
        self._pushed = 0
        self._popped: list[Call[Popped]] = []

    def push(self, wanted: list[tuple[str, str]]) -> None:
        tasks = []
        for user, kind in wanted:
            self._pushed += kind != "known"
            tasks.append(self._task(user, kind, f"t{self._pushed}"))
        self._answers("push", [calls.push(queue.keys, tasks, message_limit=40_000) for queue in self._queues])

    def pop(self, worker: str, number: int, ends: int = 0) -> None:
        """Pop, and end so many attempts in the same call."""
        ended = self._ended(ends)
        self._popped = [
            queue.pop_call(number, worker=worker, finished=tasks)
            for queue, tasks in zip(self._queues, ended, strict=True)
        ]
        for held in self._held:
            del held[: max(0, ends - 1)]
        for call, held, answer in zip(self._popped, self._held, self._answers("pop", self._popped), strict=True):
            held.extend(call.decode(answer).tasks)
        if any(ended):
            # The rest has removed the debts that are paid; after the quick path the next call does.
            self.both(lambda queue, _: queue.sweep())

    def watch(self, number: int) -> None:
        """Wait for the ends of the first tasks that are held."""
        for queue, held in zip(self._queues, self._held, strict=True):
            if held:
                queue.run(calls.watch_many(queue.keys, [one.task_id for one in held[:number]], listener="ear"))

    def cancel(self, number: int) -> None:
        """Cancel a task."""
        for queue in self._queues:
            call = calls.cancel(queue.keys, f"t{number}", reason="", result_ttl_ms=500)
            queue.client.eval(self._variants.cancel, 1, queue.keys.meta, *call.args)

    def limit(self, what: tuple[str, tuple[str, float | None]]) -> None:
        """Change a limit of a user, or of all."""
        user, (name, limit) = what
        self.both(lambda queue, _: queue.limit(user, **{name: limit}))

    def pop_again(self) -> None:
        """Repeat the last call, as after a lost answer."""
        if self._popped:
            self._answers("pop", self._popped)

    def _ended(self, number: int) -> list[list[Finished]]:
        return [
            [
                Finished(held.task_id, held.token, 7_000 * place, RESULTS[place % len(RESULTS)])
                for place, held in enumerate(holds[:number])
            ]
            for holds in self._held
        ]

    def finish(self, number: int) -> None:
        ended = self._ended(number)
        if not ended[0]:
            return
        self._answers(
            "finish",
            [
                calls.finish(queue.keys, tasks, result_ttl_ms=60_000)
                for queue, tasks in zip(self._queues, ended, strict=True)
            ],
        )
        for held in self._held:
            # The last one stays: it is sent again.
            del held[: max(1, number - 1)]

    @property
    def _queues(self) -> tuple["Bench", "Bench"]:
        return self.quick, self.slow

    def _answers(self, name: str, sent: Sequence[Call[Any]]) -> tuple[Any, Any]:
        self.sent[name] += 1
        quick = self.quick.client.eval(self._variants.quick[name], 1, self.quick.keys.meta, *sent[0].args)
        slow = self.slow.client.eval(self._variants.slow[name], 1, self.slow.keys.meta, *sent[1].args)
        assert quick == slow
        return quick, slow

    def both(self, act: Callable[["Bench", list[Granted]], object]) -> None:
        for queue, held in zip((self.quick, self.slow), self._held, strict=True):
            act(queue, held)

    def compare(self) -> None:
        assert self.quick.snapshot() == self.slow.snapshot()
        for queue in self._queues:
            queue.assert_bounds_hold()

    def taken(self) -> "Counter[str]":
        """How often each quick path was taken."""
        counts: Any = self.quick.client.hgetall(f"taken:{self.quick.keys.meta}")
        return Counter({name.decode(): int(number) for name, number in counts.items()})

    def drop(self) -> None:
        self.quick.client.delete(f"taken:{self.quick.keys.meta}")
        self.quick.drop()
        self.slow.drop()

    @staticmethod
    def _task(user: str, kind: str, task_id: str) -> "Task[Any]":
        fields: dict[str, dict[str, Any]] = {
            "plain": {},
            "known": {},
            "cost": {"cost": 0.25},
            "timeout": {"timeout": 5},
            "large": {"args": ["x" * 35_000]},
            "urgent": {"priority": Priority.CRITICAL},
            "low": {"priority": Priority.LOW},
            "later": {"delay": 0.5},
            "unique": {"dedup_key": "k"},
        }
        return Task(task_id=task_id, user_id=user, func="f", **fields[kind])


KINDS = [
    *["plain"] * 60,
    *["known", "cost", "timeout", "large", "unique"],
    *["urgent"] * 4,
    *["low"] * 8,
    *["later"] * 3,
]
TASKS = st.one_of(
    *[st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(KINDS)), min_size=1, max_size=6)] * 5,
    st.integers(1, len(CROWD)).map(lambda number: CROWD[:number]),
)
#: By which worker, how many tasks, and how many attempts end in the same call.
POPS = st.tuples(
    st.sampled_from(["w1", "w2"]),
    st.one_of(st.integers(1, 4), st.integers(1, 40)),
    st.one_of(st.just(0), st.integers(0, 20)),
)
#: Whose limit changes, which, and to what. Defaults are rare, since they end all quick paths of a queue.
LIMITS = st.one_of(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([("cap", 1), ("cap", 2), ("weight", 3), ("backlog", 3), ("rate", 0.5), ("paused", 1)])
        | st.tuples(st.sampled_from(["cap", "weight", "backlog", "rate", "paused"]), st.none()),
    ),
    st.sampled_from([("", ("cap", 2)), ("", ("cap", None))]),
)
#: Common steps several times, since a history without them takes no quick path.
STEPS = st.sampled_from(
    [
        *["push", "pop", "finish"] * 3,
        *["advance"] * 2,
        *["release"] * 2,
        "again",
        "watch",
        "fail",
        "sweep",
        "cancel",
        "back",
        "limit",
    ],
).flatmap(
    lambda what: st.tuples(
        st.just(what),
        {
            "push": TASKS,
            "pop": POPS,
            "advance": st.sampled_from([0, 1, 40, 700, 31_000, 61_000]),
            "back": st.integers(-50, -1),
            "cancel": st.integers(1, 40),
            "limit": LIMITS,
        }.get(what, st.integers(1, 6)),
    )
)


def take(pair: Pair, what: str, value: Any) -> None:
    match what:
        case "push":
            pair.push(value)
        case "pop":
            pair.pop(*value)
        case "watch":
            pair.watch(value)
        case "again":
            pair.pop_again()
        case "finish":
            pair.finish(value)
        case "release" | "fail":
            pair.both(lambda queue, held: getattr(queue, what)(*held[:value]) if held else None)
            pair.both(lambda _, held: held.__delitem__(slice(0, value)))
        case "advance" | "back":
            pair.both(lambda queue, _: queue.advance(value))
        case "cancel" | "limit":
            getattr(pair, what)(value)
        case "sweep":
            pair.both(lambda queue, _: queue.sweep())


@pytest.mark.parametrize("cost_mode", ["time", "count"])
def test_scripts_do_the_same_with_and_without_their_quick_paths(
    new_queue: Callable[[], "Bench"], variants: Variants, cost_mode: Any
) -> None:
    sent, taken = Counter[str](), Counter[str]()

    @settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TASKS, st.lists(STEPS, min_size=6, max_size=25))
    @example(
        first=[("a", "plain")],
        steps=[("push", [("a", "later"), ("b", "plain")]), ("advance", 700), ("pop", ("w1", 1, 1))],
    )
    def compare(first: list[tuple[str, str]], steps: list[tuple[str, Any]]) -> None:
        pair = Pair(new_queue, variants)
        pair.both(lambda queue, _: queue.run(calls.configure(queue.keys, cost_mode=cost_mode)))
        pair.push(first)
        pair.pop("w1", 4)
        for what, value in steps:
            take(pair, what, value)
            pair.compare()
        sent.update(pair.sent)
        taken.update(pair.taken())
        pair.drop()

    compare()
    assert all(taken[name] > sent[name] / 10 for name in QUICK), (taken, sent)


def commands(queue: "Bench", act: Callable[[], object]) -> set[str]:
    """The commands that the server runs meanwhile."""
    before = queue.client.info("commandstats")
    act()
    after = queue.client.info("commandstats")
    return {
        name.removeprefix("cmdstat_")
        for name, stats in after.items()
        if stats["calls"] != before.get(name, {"calls": 0})["calls"]
    } - {"info", "evalsha"}


@pytest.mark.xdist_group("commandstats")
@pytest.mark.parametrize("number", [1, 100, 1_000])
def test_a_push_of_plain_tasks_takes_the_quick_path(queue: "Bench", variants: Variants, number: int) -> None:
    queue.push()
    for user in ("ann", "new"):
        tasks = [queue.task(user) for _ in range(number)]
        args = calls.push(queue.keys, tasks, message_limit=1_000).args
        queue.client.eval(variants.quick["push"], 1, queue.keys.meta, *args)
    taken = f"taken:{queue.keys.meta}"
    assert queue.client.hget(taken, "push") == b"2"
    queue.client.delete(taken)


@pytest.mark.parametrize("number", [1, 50])
def test_users_without_limits_take_the_quick_paths_of_a_queue_in_which_others_have_some(
    new_queue: Callable[[], "Bench"], variants: Variants, number: int
) -> None:
    pair = Pair(new_queue, variants)
    pair.both(lambda queue, _: queue.limit("heavy", cap=2))
    pair.push([("ann", "plain")] * number)
    pair.pop("w", number)
    pair.finish(number)
    assert pair.taken() == {"push": 1, "pop": 1, "finish": 1}
    pair.push([("heavy", "plain"), ("ann", "plain")])
    pair.pop("w", 2)
    assert pair.taken() == {"push": 1, "pop": 1, "finish": 1}
    pair.compare()
    pair.drop()


@pytest.mark.xdist_group("commandstats")
@pytest.mark.parametrize("number", [1, 50])
def test_a_finish_of_plain_tasks_takes_the_quick_path(queue: "Bench", number: int) -> None:
    """The rest of the script looks at the records of what it forgets."""
    queue.fill("ann", 2 * number)
    held = queue.pop(number)
    used = commands(queue, lambda: queue.finish(*held, result=b"1"))
    assert {"mset", "hmget", "hdel"} <= used
    assert "lindex" not in used
    assert queue.stats().finished == number


@pytest.mark.xdist_group("commandstats")
@pytest.mark.parametrize("number", [1, 100])
def test_a_pop_of_plain_tasks_takes_the_quick_path(queue: "Bench", number: int) -> None:
    """The rest of the script takes each task from its queue by itself."""
    for user in ("ann", "bob", "cid"):
        queue.fill(user, number)
    used = commands(queue, lambda: queue.pop(number))
    assert {"mget", "hset", "ltrim" if number > 1 else "lpop"} <= used
    assert "lindex" not in used
    assert queue.stats().running == number


@pytest.mark.xdist_group("commandstats")
def test_a_pop_that_finds_nothing_takes_the_quick_path(queue: "Bench") -> None:
    """The rest of the script looks at the first of the tasks whose dependents are to be notified."""
    queue.started()
    used = commands(queue, lambda: queue.pop(10))
    assert used == {"get", "zrange", "set"}


def test_a_retry_is_taken_on_the_quick_path_with_a_later_fence(queue: "Bench") -> None:
    queue.fail(queue.started(), pause_ms=0)
    queue.sweep()
    first = queue.info("t1")
    used = commands(queue, lambda: queue.pop(1))
    assert not {"lindex", "lpop", "zpopmin"} & used
    assert first.attempts == 1
    assert queue.info("t1").attempts == 2


@pytest.mark.xdist_group("commandstats")
@pytest.mark.parametrize("number", [3, 50])
def test_tasks_beside_the_list_are_taken_on_the_quick_path(queue: "Bench", number: int) -> None:
    """The rest of the script compares the first of both for each task."""
    for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH):
        queue.fill("ann", number, priority=priority)
    queue.release(*queue.pop(2))
    used = commands(queue, lambda: queue.pop(2 * number))
    assert {"getrange", "zremrangebyrank"} <= used
    assert not {"lindex", "lpop", "zrem"} & used
    assert queue.stats().running == 2 * number


@pytest.mark.xdist_group("commandstats")
def test_a_push_to_a_user_with_a_list_does_not_look_at_the_user(queue: "Bench") -> None:
    queue.push()
    used = commands(queue, lambda: queue.push(*[queue.task() for _ in range(20)]))
    assert {"rpush", "mset"} <= used
    assert not {"zadd", "hset", "zcard"} & used
