"""A queue object belongs to one event loop; on another one its error explains that, instead of naming locks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fairque.client import AsyncTaskQueue, ClientSettings, FairqueError, Task

RULE = r"create an AsyncTaskQueue inside each asyncio\.run\(\)"

Use = Callable[[AsyncTaskQueue], Awaitable[Any]]


async def push(queue: AsyncTaskQueue) -> Any:
    return await queue.push(Task(func="f"))


async def wait(queue: AsyncTaskQueue) -> Any:
    return await queue.task("t").result(timeout=5)


async def look(queue: AsyncTaskQueue) -> Any:
    return await queue.task("t").result(timeout=0)


async def close(queue: AsyncTaskQueue) -> Any:
    await queue.close()


def on_two_loops(settings: ClientSettings, before: Use, after: Use) -> None:
    """Use a queue on a second event loop while it is in use on its own, and then close it on its own."""
    with asyncio.Runner() as first, asyncio.Runner() as second:
        queue = AsyncTaskQueue(settings)
        first.run(push_and(queue, before))
        try:
            with pytest.raises(FairqueError, match=RULE):
                second.run(push_and(queue, after, first_push=False))
        finally:
            first.run(close(queue))


async def push_and(queue: AsyncTaskQueue, use: Use, *, first_push: bool = True) -> None:
    if first_push:
        await queue.push(Task(func="f", task_id="t"))
    await use(queue)


async def nothing(_: AsyncTaskQueue) -> None:
    """Do nothing after the push."""


async def listen(queue: AsyncTaskQueue) -> None:
    """Wait until a timeout, which keeps the subscription."""
    with pytest.raises(TimeoutError):
        await queue.task("t").result(timeout=0.01)


@pytest.mark.parametrize("after", [push, wait, look, close])
@pytest.mark.parametrize("before", [nothing, listen])
def test_the_error_on_another_event_loop_explains_the_rule(settings: ClientSettings, before: Use, after: Use) -> None:
    on_two_loops(settings, before, after)


def test_a_queue_created_before_the_event_loop_belongs_to_the_first_loop_that_uses_it(
    settings: ClientSettings,
) -> None:
    queue = AsyncTaskQueue(settings)

    async def use() -> None:
        async with queue:
            await push(queue)

    asyncio.run(use())
