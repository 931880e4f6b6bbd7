"""The quick path of a script does the same as the rest of the script, and is taken where it should be."""

import os
import shutil
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.endings import Finished
from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.wire.scripts import expand
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: Random histories that are compared; many more in a job of its own.
HISTORIES = int(os.environ.get("FAIRQUE_TEST_HISTORIES", "100"))
USERS = ("a", "b", "c", "zoe")


#: The scripts with quick paths.
QUICK = ("push", "finish")


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """These scripts without their quick paths."""
    folder = tmp_path_factory.mktemp("slow") / "lua"
    with resources.as_file(resources.files("fairque.protocol").joinpath("lua")) as scripts:
        shutil.copytree(scripts, folder)
    for name in QUICK:
        path = folder / f"{name}.lua"
        path.write_text(path.read_text().replace(f'--- @include "quick_{name}"\n', ""))
    return {name: expand(name, folder) for name in QUICK}


class Pair:
    """Two queues with the same history: one with quick paths, and one without.

    Args:
        new_queue: Creates a queue.
        slow: The scripts without their quick paths.
    """

    def __init__(self, new_queue: Callable[[], "Bench"], slow: dict[str, str]) -> None:
        self.quick, self.slow = new_queue(), new_queue()
        self._slow = slow
        self._held: tuple[list[Granted], list[Granted]] = ([], [])
        self._pushed = 0

    def push(self, wanted: list[tuple[str, str]]) -> None:
        tasks = []
        for user, kind in wanted:
            self._pushed += kind != "known"
            tasks.append(self._task(user, kind, f"t{self._pushed}"))
        self._compare_answers(
            "push", [calls.push(queue.keys, tasks, message_limit=40_000).args for queue in self._queues]
        )

    def finish(self, number: int) -> None:
        ended = [
            [
                Finished(held.task_id, held.token, 7_000 * place, b"1" * (place % 2), b"")
                for place, held in enumerate(holds)
            ]
            for holds in (holds[:number] for holds in self._held)
        ]
        if not ended[0]:
            return
        self._compare_answers(
            "finish",
            [
                calls.finish(queue.keys, tasks, result_ttl_ms=60_000).args
                for queue, tasks in zip(self._queues, ended, strict=True)
            ],
        )
        for held in self._held:
            # The last one stays: it is sent again.
            del held[: max(1, number - 1)]

    @property
    def _queues(self) -> tuple["Bench", "Bench"]:
        return self.quick, self.slow

    def _compare_answers(self, name: str, args: list[tuple[Any, ...]]) -> None:
        quick = self.quick.raw(name, *args[0])
        slow = self.slow.client.eval(self._slow[name], 1, self.slow.keys.meta, *args[1])
        assert quick == slow

    def both(self, act: Callable[["Bench", list[Granted]], object]) -> None:
        for queue, held in zip((self.quick, self.slow), self._held, strict=True):
            act(queue, held)

    def compare(self) -> None:
        assert self.quick.snapshot() == self.slow.snapshot()

    def drop(self) -> None:
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


KINDS = ["plain"] * 24 + ["known", "cost", "timeout", "large", "urgent", "low", "later", "unique"]
TASKS = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(KINDS)), min_size=1, max_size=6)
#: Common steps several times, since a history without them takes no quick path.
STEPS = st.sampled_from(
    [*["push", "pop", "finish"] * 3, *["advance"] * 2, "release", "fail", "sweep", "back"],
).flatmap(
    lambda what: st.tuples(
        st.just(what),
        {
            "push": TASKS,
            "advance": st.sampled_from([0, 1, 40, 700, 31_000, 61_000]),
            "back": st.integers(1, 50),
        }.get(what, st.integers(1, 6)),
    )
)
#: Rarely, since limits of users end all quick paths of a queue.
LIMITED = st.sampled_from([False] * 7 + [True])


def take(pair: Pair, what: str, value: Any) -> None:
    match what:
        case "push":
            pair.push(value)
        case "pop":
            pair.both(lambda queue, held: held.extend(queue.pop(value)))
        case "finish":
            pair.finish(value)
        case "release" | "fail":
            pair.both(lambda queue, held: getattr(queue, what)(*held[:value]) if held else None)
            pair.both(lambda _, held: held.__delitem__(slice(0, value)))
        case "advance":
            pair.both(lambda queue, _: queue.advance(value))
        case "back":
            pair.both(lambda queue, _: queue.advance(-value))
        case "sweep":
            pair.both(lambda queue, _: queue.sweep())


@pytest.mark.parametrize("cost_mode", ["time", "count"])
def test_scripts_do_the_same_with_and_without_their_quick_paths(
    new_queue: Callable[[], "Bench"], slow: dict[str, str], cost_mode: Any
) -> None:
    @settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TASKS, st.lists(STEPS, min_size=3, max_size=25), LIMITED)
    def compare(first: list[tuple[str, str]], steps: list[tuple[str, Any]], limited: bool) -> None:  # noqa: FBT001 - drawn
        pair = Pair(new_queue, slow)
        pair.both(lambda queue, _: queue.run(calls.configure(queue.keys, cost_mode=cost_mode)))
        if limited:
            pair.both(lambda queue, _: queue.limit("a", cap=2))
        pair.push(first)
        for what, value in steps:
            take(pair, what, value)
            pair.compare()
        pair.drop()

    compare()


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
@pytest.mark.parametrize("number", [1, 100])
def test_a_push_of_plain_tasks_takes_the_quick_path(queue: "Bench", number: int) -> None:
    """The rest of the script reads tasks with MGET."""
    queue.push()
    for user in ("ann", "new"):
        used = commands(queue, lambda user=user: queue.fill(user, number))  # type: ignore[misc]
        assert "mget" not in used
        assert {"exists", "mset", "zadd"} <= used


@pytest.mark.xdist_group("commandstats")
@pytest.mark.parametrize("number", [1, 50])
def test_a_finish_of_plain_tasks_takes_the_quick_path(queue: "Bench", number: int) -> None:
    """The rest of the script looks at the records of what it forgets."""
    queue.fill("ann", 2 * number)
    held = queue.pop(number)
    used = commands(queue, lambda: queue.finish(*held, result=b"1"))
    assert {"mget", "mset", "hmget"} <= used
    assert "lindex" not in used
    assert queue.stats().finished == number
