"""A pipeline from the producer's side, with asyncio."""

import asyncio
from typing import Any

import pytest

from fairque.client import (
    After,
    AsyncPipelineHandle,
    AsyncTaskQueue,
    InvalidTask,
    Output,
    Task,
    TaskCanceled,
    TaskFailed,
    TaskState,
    UnknownDependency,
    pipeline,
)
from fairque.testing.internal import PATIENCE

S = TaskState


def step(name: str, **fields: Any) -> Task[Any]:
    return Task(func=name, task_id=name, **fields)


async def test_a_pipeline_is_pushed_in_one_call(async_queue: AsyncTaskQueue, async_spy: Any) -> None:
    handle = await async_queue.push(step("a") >> [step("b"), step("c")])
    assert async_spy.scripts == ["push"]
    assert isinstance(handle, AsyncPipelineHandle)
    assert repr(handle).startswith("AsyncPipelineHandle(3 tasks")
    assert await handle.states() == {"a": S.QUEUED, "b": S.DEFERRED, "c": S.DEFERRED}


async def test_the_result_is_that_of_the_last_task(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(step("a") >> step("b"))
    waiting = asyncio.create_task(handle.result(15))
    await asyncio.to_thread(worker.finish, 1)
    await asyncio.to_thread(worker.finish, {"n": 2})
    assert await waiting == {"n": 2}
    assert await handle.task("a").result(0) == 1


async def test_the_results_of_several_last_tasks_are_a_list(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(step("a") >> [step("b"), step("c")])
    for _ in range(3):
        worker.finish("x")
    assert await handle.result(10) == ["x", "x"]


async def test_wait_returns_the_state_at_the_end_or_at_the_timeout(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(step("a") >> step("b"))
    worker.finish()
    assert await handle.wait(0) is await handle.state() is S.QUEUED
    with pytest.raises(TimeoutError):
        await handle.result(0)
    worker.fail({})
    assert await handle.wait(PATIENCE) is S.FAILED
    assert await handle.states() == {"a": S.FINISHED, "b": S.FAILED}


async def test_the_error_is_that_of_the_failed_task(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(step("a") >> step("b") >> step("c"))
    worker.fail({"type": "ValueError", "error": "no rows", "reason": "retries"})
    with pytest.raises(TaskFailed, match="task a failed: ValueError: no rows") as caught:
        await handle.result(10)
    assert isinstance(caught.value.__cause__, TaskCanceled)


async def test_the_error_is_not_that_of_a_failure_without_consequences(
    async_queue: AsyncTaskQueue, worker: Any
) -> None:
    last = step("c", depends_on=[After("a", on_failure="run"), "b"])
    handle = await async_queue.push([step("a"), step("b")] >> last)
    worker.fail({"error": "no matter"})
    await handle.task("b").cancel(reason="not today")
    with pytest.raises(TaskCanceled, match="task b was canceled: not today"):
        await handle.result(10)


async def test_the_last_tasks_are_canceled_first(async_queue: AsyncTaskQueue) -> None:
    always = step("c", depends_on=After("b", on_failure="run"))
    handle = await async_queue.push(step("a") >> step("b") >> always)
    assert (await handle.cancel(reason="not today")).changed == 3
    with pytest.raises(TaskCanceled, match="not today"):
        await handle.result(0)


async def test_bad_input_is_reported_and_nothing_is_written(async_queue: AsyncTaskQueue, server: Any) -> None:
    with pytest.raises(UnknownDependency, match=r"its argument 'args\[0\]'"):
        await async_queue.push(step("a") >> step("b", args=[Output("nowhere")]))
    with pytest.raises(InvalidTask, match="cycle"):
        await async_queue.push(pipeline([step("a", args=[Output("b")]), step("b", args=[Output("a")])]))
    with pytest.raises(InvalidTask, match="only a task can be pushed"):
        await async_queue.push([step("a")])  # type: ignore[call-overload]  # what this tests
    assert not server.keys(f"{async_queue._link.keys.prefix}*")
