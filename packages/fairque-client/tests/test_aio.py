"""The asynchronous queue behaves like the synchronous one."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    CancelResult,
    ClientSettings,
    FairqueError,
    InvalidTask,
    PartialPush,
    ResultExpired,
    Task,
    TaskCanceled,
    TaskFailed,
    TaskNotFound,
    TaskQueue,
    TaskState,
    task,
)
from fairque.testing.internal import eventually


@task
async def add(a: Any, b: int) -> Any:
    return a + b


async def until(predicate: Callable[[], Any]) -> None:
    """Wait until a condition holds, without blocking the event loop."""
    deadline = time.monotonic() + 10
    while not predicate():
        assert time.monotonic() < deadline, "not within 10 s"
        await asyncio.sleep(0.01)


async def test_a_pushed_task_is_waited_for_and_its_result_returned(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(add.task(1, 2))
    assert await handle.state() is TaskState.QUEUED
    await asyncio.to_thread(worker.finish, 3)
    assert await handle.result(timeout=5) == 3


async def test_the_server_wakes_a_waiter_after_one_read(
    async_queue: AsyncTaskQueue, worker: Any, async_spy: Any
) -> None:
    handle = await async_queue.push(add.task(1, 2))
    waiting = asyncio.create_task(handle.result())
    await until(lambda: "watch" in async_spy.scripts)
    await asyncio.to_thread(worker.finish, 3)
    assert await waiting == 3
    assert async_spy.scripts == ["push", "watch"]


async def test_a_wait_that_times_out_reads_only_at_its_start_and_end(
    async_queue: AsyncTaskQueue, async_spy: Any
) -> None:
    handle = await async_queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError):
        await handle.result(timeout=0.5)
    assert async_spy.scripts == ["push", "watch", "watch"]


async def test_a_result_too_large_for_the_message_is_read(
    async_queue: AsyncTaskQueue, worker: Any, async_spy: Any
) -> None:
    handle = await async_queue.push(add.task(1, 2))
    waiting = asyncio.create_task(handle.result(timeout=10))
    await until(lambda: "watch" in async_spy.scripts)
    await asyncio.to_thread(worker.finish, "x" * 100_000)
    assert await waiting == "x" * 100_000


async def test_after_a_lost_subscription_the_waiter_reads_once_more(
    async_queue: AsyncTaskQueue, worker: Any, async_spy: Any, server: Any
) -> None:
    handle = await async_queue.push(add.task(1, 2))
    waiting = asyncio.create_task(handle.result())
    await until(lambda: "watch" in async_spy.scripts)
    server.client_kill_filter(_type="pubsub")
    await until(lambda: async_spy.scripts.count("watch") == 2)
    await asyncio.to_thread(worker.finish, 3)
    assert await waiting == 3
    assert async_spy.scripts == ["push", "watch", "watch"]


async def test_hundreds_of_waits_run_at_once(async_queue: AsyncTaskQueue, worker: Any, async_spy: Any) -> None:
    handles = await async_queue.push_many([add.task(n, n) for n in range(300)])
    waiting = asyncio.gather(*(handle.result() for handle in handles))
    await until(lambda: async_spy.scripts.count("watch") == 300)

    def all_of_them() -> None:
        for _ in handles:
            worker.finish("done")

    await asyncio.to_thread(all_of_them)
    assert await waiting == ["done"] * 300


async def test_calls_wait_for_a_free_connection(async_queue: AsyncTaskQueue, server: Any) -> None:
    await async_queue.info()
    server.client_pause(300, all=True)
    pushed = await asyncio.gather(*(async_queue.push(add.task(n, n)) for n in range(300)))
    assert len({handle.task_id for handle in pushed}) == 300


async def test_the_error_of_a_timeout_names_task_state_and_seconds(async_queue: AsyncTaskQueue) -> None:
    handle = await async_queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError, match=rf"task {handle.task_id} is still QUEUED .* says what it waits for"):
        await handle.result(timeout=0.05)
    with pytest.raises(TimeoutError, match="after 0 s"):
        await handle.result(timeout=0)


async def test_a_wait_can_be_canceled(async_queue: AsyncTaskQueue) -> None:
    handle = await async_queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handle.result(), timeout=0.1)
    assert async_queue._link._waiters._by_task == {}
    assert await handle.wait(timeout=0.01) is TaskState.QUEUED


async def test_the_result_of_a_failed_task_raises_its_stored_error(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(add.task(1, 2))
    await asyncio.to_thread(worker.fail, {"type": "ValueError", "error": "no"})
    with pytest.raises(TaskFailed, match="ValueError: no"):
        await handle.result(timeout=5)


async def test_a_waiting_task_is_canceled_at_once(async_queue: AsyncTaskQueue) -> None:
    handle = await async_queue.push(add.task(1, 2))
    assert await handle.cancel(reason="wrong numbers") is CancelResult.CANCELED
    with pytest.raises(TaskCanceled, match="wrong numbers"):
        await handle.result()


async def test_an_unknown_task_is_not_found(async_queue: AsyncTaskQueue) -> None:
    with pytest.raises(TaskNotFound):
        await async_queue.task("unknown").result()


async def test_the_result_of_a_pushed_task_without_a_record_has_expired(
    async_queue: AsyncTaskQueue, server: Any
) -> None:
    handle = await async_queue.push(add.task(1, 2))
    server.delete(f"{async_queue._link.keys.prefix}t:{handle.task_id}")
    with pytest.raises(ResultExpired):
        await handle.info()


async def test_a_chunked_push_that_fails_midway_carries_the_handles_so_far(async_queue: AsyncTaskQueue) -> None:
    good = [add.task(1, 2) for _ in range(1_000)]
    with pytest.raises(PartialPush) as caught:
        await async_queue.push_many([*good, add.task(object(), 2)], chunked=True)
    assert [handle.task_id for handle in caught.value.handles] == [job.task_id for job in good]
    assert isinstance(caught.value.__cause__, InvalidTask)
    assert (await async_queue.info()).totals["pushed"] == 1_000


async def test_a_chunk_is_stored_while_the_making_of_the_next_one_blocks_the_event_loop(
    async_queue: AsyncTaskQueue, queue: TaskQueue
) -> None:
    def jobs() -> Iterator[Task[int]]:
        yield from (add.task("x" * 1_000, number) for number in range(1_000))
        eventually(lambda: queue.info().tasks[TaskState.QUEUED] == 1_000, what="the first chunk")
        yield add.task(1, 2)

    assert len(await async_queue.push_many(jobs(), chunked=True)) == 1_001


async def test_pushing_no_tasks_sends_nothing(async_queue: AsyncTaskQueue, async_spy: Any) -> None:
    assert await async_queue.push_many([]) == []
    assert async_spy.scripts == []


async def test_closing_the_queue_ends_every_wait(async_queue: AsyncTaskQueue, async_spy: Any) -> None:
    handle = await async_queue.push(add.task(1, 2))
    waiting = asyncio.create_task(handle.result())
    await until(lambda: "watch" in async_spy.scripts)
    await async_queue.close()
    with pytest.raises(FairqueError, match="is closed"):
        await waiting
    with pytest.raises(FairqueError, match="is closed"):
        await async_queue.info()


async def test_leaving_the_with_block_closes_the_queue(settings: ClientSettings) -> None:
    async with AsyncTaskQueue(settings) as queue:
        await queue.info()
    with pytest.raises(FairqueError, match="is closed"):
        await queue.info()
