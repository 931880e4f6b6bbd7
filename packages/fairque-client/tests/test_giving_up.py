"""A wait that ends before its task leaves no listener on the server and nothing in memory."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from fairque.client import AsyncTaskQueue, ClientSettings, FairqueError, TaskQueue, task
from fairque.client import waiting as waiting_module
from fairque.testing.internal import PATIENCE, eventually

Listeners = Callable[[], dict[str, int]]


@task
def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def listeners(settings: ClientSettings) -> Iterator[Listeners]:
    """Returns the number of processes registered on the server as waiting for each task."""
    prefix = f"fairque:{{{settings.queue.name}}}:w:"
    with redis.Redis.from_url(settings.redis.url, decode_responses=True) as client:
        yield lambda: {key.removeprefix(prefix): client.zcard(key) for key in client.scan_iter(f"{prefix}*")}


def waited_task_ids(queue: TaskQueue | AsyncTaskQueue) -> tuple[str, ...]:
    return queue._link._waiters.task_ids()


def push(queue: TaskQueue, number: int = 1) -> list[Any]:
    return queue.push_many([add.task(n, 1) for n in range(number)], chunked=True)


class TestAWait:
    """Whatever ends it, the server and this process forget it."""

    def test_that_times_out_leaves_no_listener(self, queue: TaskQueue, listeners: Listeners) -> None:
        (handle,) = push(queue)
        handle.wait(timeout=0.05)
        with pytest.raises(TimeoutError):
            handle.result(timeout=0.05)
        assert listeners() == {}
        assert waited_task_ids(queue) == ()

    def test_for_many_tasks_of_which_some_have_ended_leaves_no_listener(
        self, queue: TaskQueue, worker: Any, listeners: Listeners
    ) -> None:
        handles = push(queue, 2_500)
        worker.finish_all(1, most=500)
        with pytest.raises(TimeoutError):
            queue.gather(*handles, timeout=0.3)
        assert listeners() == {}
        assert waited_task_ids(queue) == ()

    def test_for_progress_leaves_no_listener(self, queue: TaskQueue, listeners: Listeners) -> None:
        (handle,) = push(queue)
        with pytest.raises(TimeoutError):
            list(handle.watch_progress(timeout=0.05))
        assert listeners() == {}

    def test_that_is_interrupted_leaves_no_listener(self, queue: TaskQueue, listeners: Listeners) -> None:
        (handle,) = push(queue)

        def interrupt() -> None:
            eventually(listeners, what="the wait")
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            handle.result(timeout=PATIENCE)
        assert listeners() == {}
        assert waited_task_ids(queue) == ()

    @pytest.mark.parametrize("how", ["break", "raise", "drop"])
    def test_whose_iteration_is_abandoned_leaves_no_listener(
        self, queue: TaskQueue, worker: Any, listeners: Listeners, how: str
    ) -> None:
        handles = push(queue, 3)
        worker.finish_all(1, most=1)
        with contextlib.suppress(ZeroDivisionError):
            events = queue.as_completed(handles, timeout=60)
            next(events)
            if how == "raise":
                events.throw(ZeroDivisionError)  # type: ignore[attr-defined]  # it is a generator
            if how == "break":
                events.close()  # type: ignore[attr-defined]
            del events
        assert listeners() == {}
        assert waited_task_ids(queue) == ()

    def test_of_a_queue_object_that_another_thread_closes_leaves_no_listener(
        self, queue: TaskQueue, in_thread: Any, listeners: Listeners
    ) -> None:
        (handle,) = push(queue)
        waiting = in_thread(lambda: handle.result(timeout=PATIENCE))
        eventually(listeners, what="the wait")
        queue.close()
        with pytest.raises(FairqueError, match="is closed"):
            waiting.outcome()
        assert listeners() == {}
        assert waited_task_ids(queue) == ()

    def test_does_not_affect_other_waits_for_the_same_task(
        self, queue: TaskQueue, worker: Any, in_thread: Any, listeners: Listeners
    ) -> None:
        (handle,) = push(queue)
        other_wait = in_thread(lambda: queue.task(handle.task_id).result(timeout=PATIENCE))
        eventually(listeners, what="the wait")
        for _ in range(20):
            queue.task(handle.task_id).wait(timeout=0.005)
            queue.task(handle.task_id).wait(timeout=0)
        eventually(listeners, what="the wait that continues")
        worker.finish_all(3)
        assert other_wait.outcome() == 3

    def test_with_a_timeout_of_zero_keeps_the_listeners_of_others(
        self, queue: TaskQueue, in_thread: Any, listeners: Listeners, spy_on: Any, worker: Any
    ) -> None:
        (handle,) = push(queue)
        other_wait = in_thread(lambda: handle.result(timeout=PATIENCE))
        eventually(listeners, what="the wait")
        spy = spy_on(queue)
        for _ in range(10):
            queue.task(handle.task_id).wait(timeout=0)
        assert spy.scripts == ["watch"] * 10
        worker.finish_all(3)
        assert other_wait.outcome() == 3

    def test_during_an_outage_gives_up_at_once(self, queue: TaskQueue, monkeypatch: Any) -> None:
        (handle,) = push(queue)
        handle.wait(timeout=0.05)
        runner: Any = queue._link._runner
        tried = 0

        def refuse() -> None:
            nonlocal tried
            tried += 1
            raise redis.ConnectionError

        monkeypatch.setattr(runner, "_get_pool", refuse)
        queue._link._unsubscribe([handle.task_id] * 5_000)
        assert tried == 1


def test_a_long_wait_renews_its_subscription_before_it_expires(
    queue: TaskQueue, worker: Any, in_thread: Any, listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_module, "_RENEW_SECONDS", 0.05)
    (handle,) = push(queue)
    waiting = in_thread(lambda: handle.result(timeout=PATIENCE))
    eventually(listeners, what="the wait")
    worker.run.__self__._get_client().delete(f"{worker.keys.prefix}w:{handle.task_id}")
    eventually(listeners, what="that it says so again")
    worker.finish_all(3)
    assert waiting.outcome() == 3


class TestAnAsyncWait:
    async def push(self, queue: AsyncTaskQueue, number: int = 1) -> list[Any]:
        return [await queue.push(add.task(n, 1)) for n in range(number)]

    async def test_that_times_out_leaves_no_listener(self, async_queue: AsyncTaskQueue, listeners: Listeners) -> None:
        (handle,) = await self.push(async_queue)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=0.05)
        assert listeners() == {}
        assert waited_task_ids(async_queue) == ()

    @pytest.mark.parametrize("how", ["cancel", "timeout", "close"])
    async def test_that_is_canceled(self, async_queue: AsyncTaskQueue, listeners: Listeners, how: str) -> None:
        (handle,) = await self.push(async_queue)
        waiting = asyncio.create_task(handle.result(timeout=PATIENCE))
        await asyncio.to_thread(eventually, listeners, what="the wait")
        if how == "cancel":
            waiting.cancel()
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting, 0.01)
        else:
            await async_queue.close()
        await asyncio.wait([waiting])
        assert waiting.cancelled() or waiting.exception()
        assert listeners() == {}
        assert waited_task_ids(async_queue) == ()

    async def test_whose_iteration_is_abandoned_leaves_no_listener(
        self, async_queue: AsyncTaskQueue, worker: Any, listeners: Listeners
    ) -> None:
        handles = await self.push(async_queue, 3)
        worker.finish_all(1, most=1)
        events: Any = async_queue.as_completed(handles, timeout=60)
        async with contextlib.aclosing(events):
            await anext(events)
        assert listeners() == {}
        assert waited_task_ids(async_queue) == ()

    async def test_does_not_affect_other_waits_for_the_same_task(
        self, async_queue: AsyncTaskQueue, worker: Any
    ) -> None:
        (handle,) = await self.push(async_queue)
        other_wait = asyncio.create_task(async_queue.task(handle.task_id).result(timeout=PATIENCE))
        for _ in range(20):
            await async_queue.task(handle.task_id).wait(timeout=0.005)
        worker.finish_all(3)
        assert await asyncio.wait_for(other_wait, 30) == 3
