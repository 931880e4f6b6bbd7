"""Hooks that are coroutines: they run on the event loop of the worker, and do no more harm than others."""

import asyncio
import logging
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import Backoff, Task, TaskContext, TaskHandler, current_context

SOON = Backoff(base=0.01)


class Telling(TaskHandler):
    """Records the calls of its hooks and their event loop; a task with the payload ``fail`` fails."""

    def __init__(self) -> None:
        self.told: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    async def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        self.loop = asyncio.get_running_loop()
        if task.payload == "fail":
            raise ValueError("failed")
        return ctx.attempt

    async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:
        await asyncio.sleep(0)
        same = current_context() is ctx and asyncio.get_running_loop() is self.loop
        self.told.put(("success", task.task_id, result, same))

    async def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:
        await asyncio.sleep(0)
        same = current_context() is ctx and asyncio.get_running_loop() is self.loop
        self.told.put(("failure", task.task_id, str(error), final, same))

    def next(self) -> tuple[Any, ...]:
        return self.told.get(timeout=PATIENCE)


def test_on_success_runs_on_the_event_loop_of_the_task_with_its_context(bench: Any) -> None:
    handler = Telling()
    bench.start(handler)
    task_id = bench.push(None)
    assert handler.next() == ("success", task_id, 1, True)


def test_on_failure_runs_there_for_each_failed_attempt(bench: Any) -> None:
    handler = Telling()
    bench.start(handler)
    task_id = bench.push(None, payload="fail", retries=1, backoff=SOON)
    assert handler.next() == ("failure", task_id, "failed", False, True)
    assert handler.next() == ("failure", task_id, "failed", True, True)


def test_a_handler_of_plain_functions_may_have_such_hooks_too(bench: Any) -> None:
    class Mixed(Telling):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - as the base
            return threading.current_thread().name

        async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as the base
            self.told.put((result[:12], threading.current_thread().name))

    handler = Mixed()
    bench.start(handler)
    bench.push(None)
    assert handler.next() == ("fairque-task", "fairque-loop")


@pytest.mark.parametrize("error", [ValueError("hook"), SystemExit(1), asyncio.CancelledError()], ids=repr)
def test_one_that_raises_is_logged_and_costs_neither_thread_nor_loop(
    bench: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Raises(Telling):
        async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as the base
            raise error

    caplog.set_level(logging.ERROR, "fairque.worker")
    bench.start(Raises(), concurrency=1)
    for task_id in bench.push_all([bench.task(None) for _ in range(3)]):
        assert bench.result(task_id) == 1
    eventually(lambda: sum(record.msg == "on_success raised" for record in caplog.records) == 3)


def test_the_hook_of_the_last_task_ends_before_the_worker_does(bench: Any) -> None:
    begun, released, told = threading.Event(), threading.Event(), threading.Event()

    class Slow(Telling):
        async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as the base
            begun.set()
            await asyncio.to_thread(released.wait, 0.3)
            told.set()

    bench.push(None)
    worker = bench.worker(Slow(), burst=True)
    worker.start()
    assert begun.wait(PATIENCE)
    worker.stop()
    assert told.is_set()
    assert worker._all_ended


def test_one_that_does_not_end_is_canceled_when_the_worker_has_waited_long_enough(bench: Any) -> None:
    begun, canceled = threading.Event(), threading.Event()

    class Endless(Telling):
        async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as the base
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                canceled.set()

    bench.push(None)
    worker = bench.start(Endless(), stop_timeout=0.1)
    assert begun.wait(PATIENCE)
    worker.stop()
    assert canceled.wait(PATIENCE)
