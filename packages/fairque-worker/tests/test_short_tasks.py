"""A whole worker whose functions have become short: whatever one of their tasks suddenly does, the others run."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import TaskContext, TaskHandler, Worker


@pytest.fixture
def run_short(bench: Any) -> Callable[..., Worker]:
    """Start a worker, and let functions run until they are known to be short."""

    def run(*functions: Callable[..., Any], **options: Any) -> Worker:
        worker: Worker = bench.start(*functions, **{"concurrency": 4, **options})
        for function in functions:

            def is_short(name: str = function.__name__) -> bool:
                bench.result(bench.push(name))
                return bool(worker._executor._short_functions.is_short(name))

            eventually(is_short, what=f"{function.__name__} to be short")
        return worker

    return run


def test_a_task_that_suddenly_sleeps_holds_up_no_other(bench: Any, run_short: Any, gate: threading.Event) -> None:
    def waits(*waits: int) -> None:
        if waits:
            assert gate.wait(PATIENCE)

    def other() -> None:
        """Short."""

    run_short(waits, other)
    slow, *others = bench.push_all(
        [bench.task(waits, 1), *(bench.task(waits) for _ in range(5)), *(bench.task(other) for _ in range(5))]
    )
    for task_id in others:
        bench.result(task_id)
    assert bench.state(slow) is TaskState.STARTED
    gate.set()
    bench.result(slow)


def test_as_many_tasks_that_suddenly_sleep_run_at_a_time_as_there_are_slots(
    bench: Any, run_short: Any, gate: threading.Event
) -> None:
    inside: SimpleQueue[int] = SimpleQueue()

    def waits(*waits: int) -> None:
        if waits:
            inside.put(1)
            assert gate.wait(PATIENCE)

    worker = run_short(waits)
    ids = bench.push_all([bench.task(waits, 1) for _ in range(6)])
    eventually(lambda: inside.qsize() == 4, what="four tasks at a time")
    assert worker.running == 4
    gate.set()
    for task_id in ids:
        bench.result(task_id)
    assert inside.qsize() == 6


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_task_that_suddenly_raises_fails_and_the_others_run(bench: Any, run_short: Any, error: Any) -> None:
    def fails(*fails: int) -> None:
        if fails:
            raise error("of the task")

    run_short(fails)
    wrong, *others = bench.push_all([bench.task(fails, 1, retries=0), *(bench.task(fails) for _ in range(5))])
    for task_id in others:
        bench.result(task_id)
    assert bench.error(wrong)["type"] == error.__name__


def test_tasks_with_hooks_are_not_run_in_the_lane(bench: Any) -> None:
    ran: SimpleQueue[str] = SimpleQueue()

    class Hooked(TaskHandler):
        def handle(self, task: Any, ctx: TaskContext) -> None:
            """Nothing."""

        def on_success(self, task: Any, result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - the base's
            ran.put(task.task_id)

    worker = bench.start(Hooked())
    ids = [bench.push(None) for _ in range(40)]
    eventually(lambda: ran.qsize() == 40, what="the hooks")
    assert {ran.get_nowait() for _ in ids} == set(ids)
    assert worker._executor._lanes._lane is None


def test_a_task_that_waits_is_not_run_in_the_lane_however_short_it_is(bench: Any) -> None:
    def naps() -> None:
        threading.Event().wait(0.0003)

    worker = bench.start(naps)
    for _ in range(40):
        bench.result(bench.push(naps))
    assert not worker._executor._short_functions.is_short("naps")


def test_stop_gives_back_what_waits_behind_a_task_that_hangs(bench: Any, run_short: Any, gate: threading.Event) -> None:
    def waits(*waits: int) -> None:
        if waits:
            assert gate.wait(PATIENCE)

    worker = run_short(waits)
    task_id = bench.push(waits, 1)
    eventually(lambda: bench.stats().running == 1)
    worker.stop(0)
    assert bench.state(task_id) is TaskState.QUEUED
    gate.set()
