# Generated from _async/gathering.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""Waits for many tasks at once."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any, TypeVar

from fairque.client._sync.handle import TaskHandle
from fairque.client.joint_wait import JointWait
from fairque.client.link import Link

__all__ = ["as_completed", "gather"]

R = TypeVar("R")


def as_completed(
    link: Link, handles: Iterable[TaskHandle[R]], timeout: float | timedelta | None
) -> Iterator[TaskHandle[R]]:
    """See `TaskQueue.as_completed`."""
    wait = JointWait(link, handles, TaskHandle, timeout)

    def ended() -> Iterator[TaskHandle[R]]:
        with closing(_ended(wait)) as each:
            for handle in each:
                yield handle
        wait.check_all_ended()

    return ended()


def gather(
    link: Link,
    handles: Iterable[TaskHandle[R]],
    timeout: float | timedelta | None,
    *,
    return_exceptions: bool = False,
) -> list[Any]:
    """See `TaskQueue.gather`."""
    wait = JointWait(link, handles, TaskHandle, timeout)
    with closing(_ended(wait)) as ended:
        for handle in ended:
            if not return_exceptions:
                wait.raise_if_failed(handle)
    return wait.values(return_exceptions=return_exceptions)


def _ended(wait: JointWait[Link, TaskHandle[R]]) -> Generator[TaskHandle[R], None, None]:
    for handle in wait.already_ended():
        yield handle
    if waiting := wait.waiting():
        with closing(wait.link.outcomes(waiting, wait.until)) as outcomes:
            for task_id, outcome in outcomes:
                for handle in wait.record(task_id, outcome):
                    yield handle
