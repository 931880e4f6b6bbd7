# Generated from _async/gathering.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""Waiting for many tasks at once."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any, TypeVar

from fairque.client._sync.handle import TaskHandle
from fairque.client.crowd import Crowd
from fairque.client.link import Link

__all__ = ["as_completed", "gather"]

R = TypeVar("R")


def as_completed(
    link: Link, handles: Iterable[TaskHandle[R]], timeout: float | timedelta | None
) -> Iterator[TaskHandle[R]]:
    """See `TaskQueue.as_completed`."""
    crowd = Crowd(link, handles, TaskHandle, timeout)

    def ended() -> Iterator[TaskHandle[R]]:
        with closing(_ended(crowd)) as each:
            for handle in each:
                yield handle
        crowd.check_all_ended()

    return ended()


def gather(
    link: Link,
    handles: Iterable[TaskHandle[R]],
    timeout: float | timedelta | None,
    *,
    return_exceptions: bool = False,
) -> list[Any]:
    """See `TaskQueue.gather`."""
    crowd = Crowd(link, handles, TaskHandle, timeout)
    with closing(_ended(crowd)) as ended:
        for handle in ended:
            if not return_exceptions:
                crowd.check(handle)
    return crowd.values(return_exceptions=return_exceptions)


def _ended(crowd: Crowd[Link, TaskHandle[R]]) -> Generator[TaskHandle[R], None, None]:
    for handle in crowd.known():
        yield handle
    if waiting := crowd.waiting():
        with closing(crowd.link.outcomes(waiting, crowd.until)) as outcomes:
            for task_id, outcome in outcomes:
                for handle in crowd.hear(task_id, outcome):
                    yield handle
