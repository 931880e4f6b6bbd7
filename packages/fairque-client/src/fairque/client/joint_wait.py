"""Waits for the tasks of several handles together; no I/O."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from fairque.client.link import seconds_of
from fairque.client.outcomes import Missing, late, settle
from fairque.client.waiting import deadline_after
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.states import TaskState
from fairque.protocol.safe_repr import safe_repr

__all__ = ["JointWait"]

H = TypeVar("H", bound=Any)
L = TypeVar("L")


class JointWait(Generic[L, H]):
    """A wait for the tasks of several handles.

    Args:
        link: The link of their queue object.
        handles: The handles; several may refer to the same task.
        kind: The class of the handles.
        timeout: Seconds or a timedelta to wait from now on; None waits forever.

    Attributes:
        link: The link of their queue object.
        until: The deadline, on the monotonic clock.

    Raises:
        TypeError: An item is not a handle of that class, or `timeout` is not a number of seconds or a timedelta.
        FairqueError: A handle belongs to another queue object.
    """

    def __init__(self, link: L, handles: Iterable[H], kind: type[H], timeout: float | timedelta | None) -> None:
        self._seconds = seconds_of(timeout)
        self.until = deadline_after(self._seconds)
        self.link = link
        self._handles = tuple(handles)
        self._by_task: dict[str, list[H]] = {}
        self._outcomes: dict[str, Outcome | Missing] = {}
        for handle in self._handles:
            if not isinstance(handle, kind):
                raise TypeError(f"cannot wait for {safe_repr(handle)}: expected {kind.__name__}")
            if handle._link is not link:  # noqa: SLF001 - of this package
                raise FairqueError(
                    f"the handle of task {handle.task_id} belongs to another queue object, and a queue object waits "
                    "only for handles of its own: use queue.task(task_id) of this one"
                )
            self._by_task.setdefault(handle.task_id, []).append(handle)

    def already_ended(self) -> Iterator[H]:
        """Yield the handles of tasks whose ending is already known."""
        for task_id, handles in self._by_task.items():
            outcomes = [handle._memory.ended for handle in handles if handle._memory.ended]  # noqa: SLF001 - of this package
            if outcomes:
                yield from self.record(task_id, outcomes[0])

    def waiting(self) -> list[str]:
        """Return the tasks whose ending is not known."""
        return [task_id for task_id in self._by_task if task_id not in self._outcomes]

    def record(self, task_id: str, outcome: Outcome | Missing) -> list[H]:
        """Record the outcome of a task, and return its handles if it has ended."""
        self._outcomes[task_id] = outcome
        if isinstance(outcome, Missing):
            return self._by_task[task_id]
        for handle in self._by_task[task_id]:
            handle._memory.learn(outcome)  # noqa: SLF001 - of this package
        return self._by_task[task_id] if outcome.state.ended else []

    def value(self, handle: H) -> Any:
        """Return the result of a task.

        Raises:
            FairqueError: The task ended without a result.
            TimeoutError: The task has not ended.
        """
        outcome = handle._memory.learn(self._outcomes[handle.task_id])  # noqa: SLF001 - of this package
        if not outcome.state.ended:
            raise late(handle.task_id, outcome.state, self._seconds or 0.0)
        return settle(handle.task_id, outcome)

    def raise_if_failed(self, handle: H) -> None:
        """Raise the error of a task that has ended without a result."""
        outcome = self._outcomes[handle.task_id]
        if isinstance(outcome, Missing) or outcome.state is not TaskState.FINISHED:
            self.value(handle)

    def values(self, *, return_exceptions: bool) -> list[Any]:
        """Return the results of all tasks, in the order of the handles.

        Args:
            return_exceptions: Whether to return the error of a task without a result in place of the result.

        Raises:
            FairqueError: A task ended without a result, unless errors are returned.
            TimeoutError: A task has not ended, unless errors are returned.
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
        """Check that all tasks have ended.

        Raises:
            TimeoutError: Some have not.
        """
        unfinished = [
            task_id
            for task_id, outcome in self._outcomes.items()
            if isinstance(outcome, Outcome) and not outcome.state.ended
        ]
        if unfinished:
            raise TimeoutError(
                f"{len(unfinished)} of {len(self._by_task)} tasks have not ended after {self._seconds:g} s: "
                f"{', '.join(unfinished[:3])}{', …' if unfinished[3:] else ''}. "
                "They continue: wait for them again, or longer"
            )
