"""`as_completed` and `gather` for asyncio."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Literal, TypeVar, overload

from fairque.client.aio_handle import AsyncTaskHandle
from fairque.client.many import Crowd

__all__ = ["as_completed", "gather"]

R = TypeVar("R")


def as_completed(
    handles: Iterable[AsyncTaskHandle[R]], timeout: float | timedelta | None = None
) -> AsyncIterator[AsyncTaskHandle[R]]:
    """Give handles in the order in which their tasks end; what has ended already comes first.

    The server is asked of all of them together, 1,000 in one call, and tells of each ending. The ``result`` of a
    handle that is given asks it nothing more, unless the task failed.

    Args:
        handles: Handles of one queue object. One whose task is not known is given too: its ``result`` says so.
        timeout: Seconds or a timedelta to wait for all of them, from now on; None waits for ever.

    Raises:
        TimeoutError: While iterating: some have not ended in that time; they go on.
        TypeError: One of them is no handle, or the timeout is no time.
        FairqueError: They are of several queue objects.
    """
    crowd = Crowd(handles, AsyncTaskHandle, timeout)

    async def ended() -> AsyncIterator[AsyncTaskHandle[R]]:
        async with aclosing(_ended(crowd)) as each:
            async for handle in each:
                yield handle
        crowd.check_all_ended()

    return ended()


@overload
async def gather(
    *handles: AsyncTaskHandle[R],
    timeout: float | timedelta | None = None,  # noqa: ASYNC109 - as its twin has it
    return_exceptions: Literal[False] = False,
) -> list[R]: ...
@overload
async def gather(
    *handles: AsyncTaskHandle[R],
    timeout: float | timedelta | None = None,  # noqa: ASYNC109 - as its twin has it
    return_exceptions: bool,
) -> list[R | Exception]: ...
async def gather(
    *handles: AsyncTaskHandle[R],
    timeout: float | timedelta | None = None,  # noqa: ASYNC109 - as its twin has it
    return_exceptions: bool = False,
) -> list[Any]:
    """Wait for tasks and return their results, in the order of the handles.

    The server is asked of all of them together, 1,000 in one call, and tells of each ending.

    Args:
        *handles: Handles of one queue object.
        timeout: Seconds or a timedelta to wait for all of them; None waits for ever.
        return_exceptions: Return the error of a task without a result in its place, instead of raising it.

    Raises:
        TaskFailed: One ended in an error. The others go on. It is raised as soon as that is known.
        TaskCanceled: One was canceled.
        TaskNotFound: One is not known.
        ResultExpired: The record of one is gone.
        TimeoutError: One has not ended in that time.
        TypeError: One of them is no handle, or the timeout is no time.
        FairqueError: They are of several queue objects.
    """
    crowd = Crowd(handles, AsyncTaskHandle, timeout)
    async with aclosing(_ended(crowd)) as ended:
        async for handle in ended:
            if not return_exceptions:
                crowd.check(handle)
    return crowd.values() if return_exceptions else [crowd.value(handle) for handle in handles]


async def _ended(crowd: Crowd[AsyncTaskHandle[R]]) -> AsyncGenerator[AsyncTaskHandle[R], None]:
    for handle in crowd.known():
        yield handle
    if waiting := crowd.waiting():
        async with aclosing(crowd.link.outcomes(waiting, crowd.until)) as outcomes:
            async for task_id, outcome in outcomes:
                for handle in crowd.hear(task_id, outcome):
                    yield handle
