"""Many handles at once: `as_completed` and `gather`, which ask the server of all tasks together."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, overload

from fairque.client.handle import TaskHandle
from fairque.client.link import seconds_of
from fairque.client.outcomes import Missing, late, settle
from fairque.client.waiting import until
from fairque.protocol.calls import Outcome
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.states import TaskState
from fairque.protocol.showing import shown

__all__ = ["Crowd", "as_completed", "gather"]

R = TypeVar("R")
H = TypeVar("H", bound=Any)


class Crowd(Generic[H]):
    """Handles whose tasks are waited for together, with and without asyncio. No I/O.

    Args:
        handles: The handles, all of one queue object; several may be of one task.
        kind: Their class.
        timeout: Seconds or a timedelta to wait from now on; None waits for ever.

    Attributes:
        link: Of the queue object; None without any handle.
        until: When to give up, on the monotonic clock.

    Raises:
        TypeError: One of them is no such handle, or the timeout is no time.
        FairqueError: They are of several queue objects.
    """

    def __init__(self, handles: Iterable[H], kind: type[H], timeout: float | timedelta | None) -> None:
        self._seconds = seconds_of(timeout)
        self.until = until(self._seconds)
        self.link: Any = None
        self._handles = tuple(handles)
        self._by_task: dict[str, list[H]] = {}
        self._outcomes: dict[str, Outcome | Missing] = {}
        for handle in self._handles:
            if not isinstance(handle, kind):
                raise TypeError(f"these are waited for: {kind.__name__}; not {shown(handle)}")
            link = handle._link  # noqa: SLF001 - of this package
            if link is not (self.link or link):
                raise FairqueError(
                    f"handles of several queue objects cannot be waited for together, and that of task "
                    f"{handle.task_id} is of another one: take queue.get(task_id) of one queue object for all"
                )
            self.link = link
            self._by_task.setdefault(handle.task_id, []).append(handle)

    def known(self) -> Iterator[H]:
        """Give the handles of tasks whose ending is known already."""
        for task_id, handles in self._by_task.items():
            ended = [handle._memory.ended for handle in handles if handle._memory.ended]  # noqa: SLF001 - of this package
            if ended:
                yield from self.hear(task_id, ended[0])

    def waiting(self) -> list[str]:
        """Return the tasks whose ending is not known."""
        return [task_id for task_id in self._by_task if task_id not in self._outcomes]

    def hear(self, task_id: str, outcome: Outcome | Missing) -> list[H]:
        """Take the outcome of a task in, and return its handles if it has ended."""
        self._outcomes[task_id] = outcome
        if isinstance(outcome, Missing):
            return self._by_task[task_id]
        for handle in self._by_task[task_id]:
            handle._memory.learn(outcome)  # noqa: SLF001 - of this package
        return self._by_task[task_id] if outcome.state.terminal else []

    def value(self, handle: H) -> Any:
        """Return the result of a task.

        Raises:
            FairqueError: It has none.
            TimeoutError: It has none yet.
        """
        outcome = handle._memory.learn(self._outcomes[handle.task_id])  # noqa: SLF001 - of this package
        if not outcome.state.terminal:
            raise late(handle.task_id, outcome.state, self._seconds or 0.0)
        return settle(handle.task_id, outcome)

    def check(self, handle: H) -> None:
        """Raise the error of a task that has ended without a result."""
        outcome = self._outcomes[handle.task_id]
        if isinstance(outcome, Missing) or outcome.state is not TaskState.FINISHED:
            self.value(handle)

    def values(self) -> list[Any]:
        """Return the results of all, in the order of the handles, and errors in the places of those without one."""
        values = []
        for handle in self._handles:
            try:
                values.append(self.value(handle))
            except (FairqueError, TimeoutError) as error:
                values.append(error)
        return values

    def check_all_ended(self) -> None:
        """See that all have ended.

        Raises:
            TimeoutError: Some have not.
        """
        left = [
            name
            for name, outcome in self._outcomes.items()
            if isinstance(outcome, Outcome) and not outcome.state.terminal
        ]
        if left:
            raise TimeoutError(
                f"{len(left)} of {len(self._by_task)} tasks have not ended after {self._seconds:g} s: "
                f"{', '.join(left[:3])}{', …' if left[3:] else ''}. They go on: wait for them again, or longer"
            )


def as_completed(handles: Iterable[TaskHandle[R]], timeout: float | timedelta | None = None) -> Iterator[TaskHandle[R]]:
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
    crowd = Crowd(handles, TaskHandle, timeout)

    def ended() -> Iterator[TaskHandle[R]]:
        yield from _ended(crowd)
        crowd.check_all_ended()

    return ended()


@overload
def gather(
    *handles: TaskHandle[R], timeout: float | timedelta | None = None, return_exceptions: Literal[False] = False
) -> list[R]: ...
@overload
def gather(
    *handles: TaskHandle[R], timeout: float | timedelta | None = None, return_exceptions: bool
) -> list[R | Exception]: ...
def gather(
    *handles: TaskHandle[R], timeout: float | timedelta | None = None, return_exceptions: bool = False
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
    crowd = Crowd(handles, TaskHandle, timeout)
    for handle in _ended(crowd):
        if not return_exceptions:
            crowd.check(handle)
    return crowd.values() if return_exceptions else [crowd.value(handle) for handle in handles]


def _ended(crowd: Crowd[TaskHandle[R]]) -> Iterator[TaskHandle[R]]:
    yield from crowd.known()
    if waiting := crowd.waiting():
        for task_id, outcome in crowd.link.outcomes(waiting, crowd.until):
            yield from crowd.hear(task_id, outcome)
