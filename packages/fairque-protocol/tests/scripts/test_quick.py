"""The quick path of a script does the same as the rest of the script, and is taken where it should be."""

import os
import shutil
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.wire.scripts import expand
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: Random histories that are compared; many more in a job of its own.
HISTORIES = int(os.environ.get("FAIRQUE_TEST_HISTORIES", "60"))
USERS = ("a", "b", "c", "zoe")


@pytest.fixture(scope="session")
def slow_push(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script push without its quick path."""
    folder = tmp_path_factory.mktemp("slow") / "lua"
    with resources.as_file(resources.files("fairque.protocol").joinpath("lua")) as scripts:
        shutil.copytree(scripts, folder)
    push = folder / "push.lua"
    push.write_text(push.read_text().replace('--- @include "quick_push"\n', ""))
    return expand("push", folder)


class Pair:
    """Two queues with the same history: one with quick paths, and one without.

    Args:
        new_queue: Creates a queue.
        slow_push: The script push without its quick path.
    """

    def __init__(self, new_queue: Callable[[], "Bench"], slow_push: str) -> None:
        self.quick, self.slow = new_queue(), new_queue()
        self._slow_push = slow_push
        self._held: tuple[list[Granted], list[Granted]] = ([], [])
        self._pushed = 0

    def push(self, wanted: list[tuple[str, str]]) -> None:
        tasks = []
        for user, kind in wanted:
            self._pushed += kind != "known"
            tasks.append(self._task(user, kind, f"t{self._pushed}"))
        answers = []
        for queue in (self.quick, self.slow):
            call = calls.push(queue.keys, tasks, message_limit=40_000)
            text = self._slow_push if queue is self.slow else None
            reply = queue.client.eval(text, 1, queue.keys.meta, *call.args) if text else queue.raw("push", *call.args)
            answers.append(reply)
        assert answers[0] == answers[1]

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


KINDS = ["plain"] * 8 + ["known", "cost", "timeout", "large", "urgent", "low", "later", "unique"]
STEPS = st.one_of(
    st.tuples(
        st.just("push"), st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(KINDS)), min_size=1, max_size=6)
    ),
    st.tuples(st.just("pop"), st.integers(1, 6)),
    st.tuples(st.just("finish"), st.integers(1, 4)),
    st.tuples(st.just("release"), st.integers(1, 2)),
    st.tuples(st.just("fail"), st.integers(1, 2)),
    st.tuples(st.just("advance"), st.sampled_from([0, 1, 40, 700, 31_000])),
    st.tuples(st.just("sweep"), st.just(0)),
    st.tuples(st.just("limit"), st.sampled_from(USERS)),
    st.tuples(st.just("back"), st.integers(1, 50)),
)


def take(pair: Pair, what: str, value: Any) -> None:
    match what:
        case "push":
            pair.push(value)
        case "pop":
            pair.both(lambda queue, held: held.extend(queue.pop(value)))
        case "finish" | "release" | "fail":
            pair.both(lambda queue, held: getattr(queue, what)(*held[:value]) if held else None)
            pair.both(lambda _, held: held.__delitem__(slice(0, value)))
        case "advance":
            pair.both(lambda queue, _: queue.advance(value))
        case "back":
            pair.both(lambda queue, _: queue.advance(-value))
        case "sweep":
            pair.both(lambda queue, _: queue.sweep())
        case "limit":
            pair.both(lambda queue, _: queue.limit(value, cap=2))


@pytest.mark.parametrize("cost_mode", ["time", "count"])
def test_a_push_does_the_same_with_and_without_its_quick_path(
    new_queue: Callable[[], "Bench"], slow_push: str, cost_mode: Any
) -> None:
    @settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=1, max_size=25))
    def compare(steps: list[tuple[str, Any]]) -> None:
        pair = Pair(new_queue, slow_push)
        pair.both(lambda queue, _: queue.run(calls.configure(queue.keys, cost_mode=cost_mode)))
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
