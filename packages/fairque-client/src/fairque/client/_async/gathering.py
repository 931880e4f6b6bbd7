"""Waiting for many tasks at once."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

from fairque.client._async.handle import AsyncTaskHandle
from fairque.client.crowd import Crowd
from fairque.client.link import AsyncLink

__all__ = ["as_completed", "gather"]

R = TypeVar("R")


def as_completed(
    link: AsyncLink, handles: Iterable[AsyncTaskHandle[R]], timeout: float | timedelta | None
) -> AsyncIterator[AsyncTaskHandle[R]]:
    """See `AsyncTaskQueue.as_completed`."""
    crowd = Crowd(link, handles, AsyncTaskHandle, timeout)

    async def ended() -> AsyncIterator[AsyncTaskHandle[R]]:
        async with aclosing(_ended(crowd)) as each:
            async for handle in each:
                yield handle
        crowd.check_all_ended()

    return ended()


async def gather(
    link: AsyncLink,
    handles: Iterable[AsyncTaskHandle[R]],
    timeout: float | timedelta | None,
    *,
    return_exceptions: bool = False,
) -> list[Any]:
    """See `AsyncTaskQueue.gather`."""
    crowd = Crowd(link, handles, AsyncTaskHandle, timeout)
    async with aclosing(_ended(crowd)) as ended:
        async for handle in ended:
            if not return_exceptions:
                crowd.check(handle)
    return crowd.values(return_exceptions=return_exceptions)


async def _ended(crowd: Crowd[AsyncLink, AsyncTaskHandle[R]]) -> AsyncGenerator[AsyncTaskHandle[R], None]:
    for handle in crowd.known():
        yield handle
    if waiting := crowd.waiting():
        async with aclosing(crowd.link.outcomes(waiting, crowd.until)) as outcomes:
            async for task_id, outcome in outcomes:
                for handle in crowd.hear(task_id, outcome):
                    yield handle
