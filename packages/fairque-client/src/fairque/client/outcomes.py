"""Turns the outcome of a task into its result or an error, and the answer of a cancel call into a `CancelResult`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

from attrs import define, field

from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import ErrorInfo, ProtocolError, ResultExpired, TaskCanceled, TaskFailed, TaskNotFound
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.dead_letters import dead_reason
from fairque.protocol.model.outcome import CANCELED_ITSELF
from fairque.protocol.model.states import CancelResult, TaskState
from fairque.protocol.reasons import CancelCause
from fairque.protocol.wire.status import Status

__all__ = ["Memory", "Missing", "canceled", "late", "settle"]

#: The scripts end the reason of a task so if they canceled it because a task it depends on failed or was canceled.
_CANCELED_BY_PARENT = ", on which it depends, did not finish"

_CANCELED: Mapping[Status, CancelResult] = {
    Status.OK: CancelResult.CANCELED,
    Status.REQUESTED: CancelResult.REQUESTED,
    Status.ALREADY: CancelResult.ALREADY_ENDED,
}


class Missing(Enum):
    """Takes the place of the outcome if the queue does not know the task."""

    #: The queue has not known the task since the wait began.
    UNKNOWN = "unknown"
    #: The queue knew the task earlier in this wait.
    GONE = "gone"


@define
class Memory:
    """What a handle remembers about its task.

    Attributes:
        task_id: The id of the task.
        queue: The name of its queue.
        known: Whether the queue has ever known the task.
        ended: Its final outcome. Not set for a FAILED task, which may be retried.
    """

    task_id: str
    queue: str
    known: bool
    ended: Outcome | None = field(default=None, init=False)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Convert `TaskNotFound` raised inside for a task that was known before, and note that a task is known.

        Raises:
            ResultExpired: The task was known and is no longer found.
        """
        try:
            yield
        except TaskNotFound:
            if self.known:
                raise ResultExpired(self.task_id, self.queue) from None
            raise
        self.known = True

    def learn(self, outcome: Outcome | Missing) -> Outcome:
        """Record an outcome and return it.

        Raises:
            TaskNotFound: The queue does not know the task, and this handle never saw it.
            ResultExpired: The record of the task has expired.
        """
        if isinstance(outcome, Missing):
            self.known = self.known or outcome is Missing.GONE
            raise ResultExpired(self.task_id, self.queue) if self.known else TaskNotFound(self.task_id, self.queue)
        self.known = True
        if outcome.state in (TaskState.FINISHED, TaskState.CANCELED):
            self.ended = outcome
        return outcome


def canceled(answer: tuple[Status, TaskState]) -> CancelResult:
    """Return the result of a cancel call."""
    return _CANCELED[answer[0]]


def late(task_id: str, state: TaskState, timeout: float) -> TimeoutError:
    """Return the error of a wait that timed out."""
    text = (
        f"task {task_id} is still {state} after {timeout:g} s. It continues: ask for the result again, or wait longer"
    )
    if state is not TaskState.STARTED:
        text += f". queue.task({task_id!r}).explain() says what it waits for"
    if state is TaskState.SCHEDULED:
        text += ", and info() of its handle how often it failed"
    return TimeoutError(text)


def settle(task_id: str, outcome: Outcome) -> Any:
    """Return the result of a task that has ended.

    Raises:
        TaskFailed: The task failed; the exception has its error.
        TaskCanceled: The task was canceled.
        ProtocolError: The task has not ended, or its outcome is not JSON.
    """
    if not outcome.state.ended:
        raise ProtocolError(f"task {task_id} is {outcome.state}: it has not ended")
    try:
        value = loads(outcome.blob) if outcome.blob else None
    except ValueError as error:
        raise ProtocolError(
            f"task {task_id} is {outcome.state}, but its outcome is not JSON ({error}): {outcome.blob[:200]!r}"
        ) from error
    if outcome.state is TaskState.FINISHED:
        return value
    fields = value if isinstance(value, dict) else {"error": "" if value is None else value}

    def text(key: str, default: str = "") -> str:
        return str(fields.get(key) or default)

    if outcome.state is TaskState.CANCELED:
        raise TaskCanceled(task_id, text("error", text("reason")), _cause(value))
    info = ErrorInfo(text("type", "Exception"), text("error", "(no error text was kept)"), text("traceback"))
    raise TaskFailed(task_id, info, dead_reason(text("reason")))


def _cause(value: Any) -> CancelCause:
    """Return why a task was canceled: scripts store a string, workers the error that the attempt raised."""
    if isinstance(value, dict) and value.get("reason") == CANCELED_ITSELF:
        return CancelCause.TASK
    if isinstance(value, str) and value.endswith(_CANCELED_BY_PARENT):
        return CancelCause.DEPENDENCY
    return CancelCause.REQUESTED if value and isinstance(value, dict | str) else CancelCause.UNKNOWN
