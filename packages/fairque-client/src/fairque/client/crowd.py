"""Handles whose tasks are waited for together; no I/O."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from fairque.client.link import seconds_of
from fairque.client.outcomes import Missing, late, settle
from fairque.client.waiting import until
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.states import TaskState
from fairque.protocol.showing import shown

__all__ = ["Crowd"]

H = TypeVar("H", bound=Any)
L = TypeVar("L")


class Crowd(Generic[L, H]):
    """Handles whose tasks are waited for together.

    Args:
        link: The link of their queue object.
        handles: The handles; several may be of one task.
        kind: Their class.
        timeout: Seconds or a timedelta to wait from now on; None waits forever.

    Attributes:
        link: The link of their queue object.
        until: When to give up, on the monotonic clock.

    Raises:
        TypeError: One of them is not such a handle, or the timeout is not a number of seconds or a timedelta.
        FairqueError: One belongs to another queue object.
    """

    def __init__(self, link: L, handles: Iterable[H], kind: type[H], timeout: float | timedelta | None) -> None:
        self._seconds = seconds_of(timeout)
        self.until = until(self._seconds)
        self.link = link
        self._handles = tuple(handles)
        self._by_task: dict[str, list[H]] = {}
        self._outcomes: dict[str, Outcome | Missing] = {}
        for handle in self._handles:
            if not isinstance(handle, kind):
                raise TypeError(f"{kind.__name__} objects can be waited for, not {shown(handle)}")
            if handle._link is not link:  # noqa: SLF001 - of this package
                raise FairqueError(
                    f"the handle of task {handle.task_id} belongs to another queue object, and a queue waits for "
                    "handles of its own only: take queue.task(task_id) of this one"
                )
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
        return self._by_task[task_id] if outcome.state.ended else []

    def value(self, handle: H) -> Any:
        """Return the result of a task.

        Raises:
            FairqueError: It has none.
            TimeoutError: It has none yet.
        """
        outcome = handle._memory.learn(self._outcomes[handle.task_id])  # noqa: SLF001 - of this package
        if not outcome.state.ended:
            raise late(handle.task_id, outcome.state, self._seconds or 0.0)
        return settle(handle.task_id, outcome)

    def check(self, handle: H) -> None:
        """Raise the error of a task that has ended without a result."""
        outcome = self._outcomes[handle.task_id]
        if isinstance(outcome, Missing) or outcome.state is not TaskState.FINISHED:
            self.value(handle)

    def values(self, *, return_exceptions: bool) -> list[Any]:
        """Return the results of all, in the order of the handles.

        Args:
            return_exceptions: Whether to return the error of a task without a result in its place.

        Raises:
            FairqueError: One has none, unless that is returned.
            TimeoutError: One has none yet, unless that is returned.
        """
        if not return_exceptions:
            return [self.value(handle) for handle in self._handles]
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
            name for name, outcome in self._outcomes.items() if isinstance(outcome, Outcome) and not outcome.state.ended
        ]
        if left:
            raise TimeoutError(
                f"{len(left)} of {len(self._by_task)} tasks have not ended after {self._seconds:g} s: "
                f"{', '.join(left[:3])}{', …' if left[3:] else ''}. They continue: wait for them again, or longer"
            )
