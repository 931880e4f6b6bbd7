"""Waits for many tasks at once."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

from fairque.client._async.handle import AsyncTaskHandle
from fairque.client.joint_wait import JointWait
from fairque.client.link import AsyncLink

__all__ = ["as_completed", "gather"]

R = TypeVar("R")


def as_completed(
    link: AsyncLink, handles: Iterable[AsyncTaskHandle[R]], timeout: float | timedelta | None
) -> AsyncIterator[AsyncTaskHandle[R]]:
    """See `AsyncTaskQueue.as_completed`."""
    wait = JointWait(link, handles, AsyncTaskHandle, timeout)

    async def ended() -> AsyncIterator[AsyncTaskHandle[R]]:
        async with aclosing(_ended(wait)) as each:
            async for handle in each:
                yield handle
        wait.check_all_ended()

    return ended()


async def gather(
    link: AsyncLink,
    handles: Iterable[AsyncTaskHandle[R]],
    timeout: float | timedelta | None,
    *,
    return_exceptions: bool = False,
) -> list[Any]:
    """See `AsyncTaskQueue.gather`."""
    wait = JointWait(link, handles, AsyncTaskHandle, timeout)
    async with aclosing(_ended(wait)) as ended:
        async for handle in ended:
            if not return_exceptions:
                wait.raise_if_failed(handle)
    return wait.values(return_exceptions=return_exceptions)


async def _ended(wait: JointWait[AsyncLink, AsyncTaskHandle[R]]) -> AsyncGenerator[AsyncTaskHandle[R], None]:
    for handle in wait.already_ended():
        yield handle
    if waiting := wait.waiting():
        async with aclosing(wait.link.outcomes(waiting, wait.until)) as outcomes:
            async for task_id, outcome in outcomes:
                for handle in wait.record(task_id, outcome):
                    yield handle
