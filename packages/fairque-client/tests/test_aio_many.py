"""Many handles at once, on asyncio."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fairque.client import AsyncTaskHandle, AsyncTaskQueue, TaskFailed, TaskNotFound, TaskQueue, task
from fairque.testing.internal import eventually


@task
def add(a: int, b: int) -> int:
    return a + b


async def pushed(queue: AsyncTaskQueue, number: int) -> list[AsyncTaskHandle[int]]:
    return await queue.push_many([add.task(n, n) for n in range(number)])


async def until(predicate: Callable[[], Any]) -> None:
    """Wait until a condition holds, without blocking the event loop."""
    await asyncio.to_thread(eventually, predicate)


async def test_handles_are_yielded_in_the_order_in_which_their_tasks_end(
    async_queue: AsyncTaskQueue, worker: Any
) -> None:
    handles = await pushed(async_queue, 3)
    held = [worker.take() for _ in handles]
    results = []
    worker.end(held[2], result=2)
    async for handle in async_queue.as_completed(handles, timeout=10):
        results.append(await handle.result())
        if len(held) > len(results):
            worker.end(held[len(results) - 1], result=len(results) - 1)
    assert results == [2, 0, 1]


async def test_a_thousand_handles_are_waited_for_with_one_call(
    async_queue: AsyncTaskQueue, worker: Any, async_spy: Any
) -> None:
    handles = await pushed(async_queue, 1_000)
    waiting = asyncio.create_task(async_queue.gather(*handles))
    await until(lambda: "watch" in async_spy.scripts)
    await asyncio.to_thread(worker.finish_all, 7)
    assert await waiting == [7] * 1_000
    assert async_spy.scripts == ["push", "watch"]


async def test_a_lost_subscription_loses_no_ending_and_costs_one_more_call(
    async_queue: AsyncTaskQueue, worker: Any, async_spy: Any, server: Any
) -> None:
    handles = await pushed(async_queue, 20)
    waiting = asyncio.create_task(async_queue.gather(*handles))
    await until(lambda: "watch" in async_spy.scripts)
    server.client_kill_filter(_type="pubsub")
    await until(lambda: async_spy.scripts.count("watch") == 2)
    await asyncio.to_thread(worker.finish_all, 1)
    assert await waiting == [1] * 20
    assert async_spy.scripts == ["push", "watch", "watch"]


async def test_the_first_error_is_raised_while_other_tasks_run(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handles = await pushed(async_queue, 3)
    waiting = asyncio.create_task(async_queue.gather(*handles))
    await asyncio.to_thread(worker.fail, {"type": "ValueError", "error": "no"})
    with pytest.raises(TaskFailed, match="ValueError: no"):
        await waiting
    assert not async_queue._link._waiters._by_task


async def test_errors_are_returned_in_place_of_results_on_request(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handles = await pushed(async_queue, 2)
    worker.finish(1)
    results = await async_queue.gather(*handles, async_queue.task("unknown"), timeout=0.1, return_exceptions=True)
    assert results[0] == 1
    assert [type(result) for result in results[1:]] == [TimeoutError, TaskNotFound]


async def test_the_error_of_a_timeout_names_the_tasks_that_continue(async_queue: AsyncTaskQueue) -> None:
    handles = await pushed(async_queue, 2)
    with pytest.raises(TimeoutError, match=r"2 of 2 tasks have not ended after 0\.1 s"):
        await anext(async_queue.as_completed(handles, timeout=0.1))


async def test_a_wait_can_be_canceled(async_queue: AsyncTaskQueue) -> None:
    handles = await pushed(async_queue, 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(async_queue.gather(*handles), 0.1)
    assert not async_queue._link._waiters._by_task


async def test_gathering_no_handles_returns_no_results(async_queue: AsyncTaskQueue) -> None:
    assert await async_queue.gather() == []
    none: list[AsyncTaskHandle[int]] = []
    assert [handle async for handle in async_queue.as_completed(none)] == []


async def test_a_synchronous_handle_is_refused(async_queue: AsyncTaskQueue, queue: TaskQueue) -> None:
    other: Any = queue.task("t")
    with pytest.raises(TypeError, match=r"cannot wait for TaskHandle.*: expected AsyncTaskHandle"):
        async_queue.as_completed([async_queue.task("t"), other])
