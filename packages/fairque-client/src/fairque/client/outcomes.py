"""What an ended task left: its value, or the error that says why there is none; and what a cancelation did."""

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

#: How the script ends the reason of a task that was canceled since one on which it depends was, or failed.
_OF_PARENT = ", on which it depends, did not finish"

_CANCELED: Mapping[Status, CancelResult] = {
    Status.OK: CancelResult.CANCELED,
    Status.REQUESTED: CancelResult.REQUESTED,
    Status.ALREADY: CancelResult.ALREADY_ENDED,
}


class Missing(Enum):
    """Stands for the outcome of a task that the queue does not know."""

    #: It has not known it since the wait began.
    UNKNOWN = "unknown"
    #: It has known it a moment ago.
    GONE = "gone"


@define
class Memory:
    """What a handle remembers of its task.

    Attributes:
        task_id: The task.
        queue: Name of its queue.
        known: Whether the queue has known the task.
        ended: How it ended, once that is sure: a FAILED task may still be retried.
    """

    task_id: str
    queue: str
    known: bool
    ended: Outcome | None = field(default=None, init=False)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Say of a task that is not found inside whether it was known before, and remember one that is found.

        Raises:
            ResultExpired: It was known, and is not found any more.
        """
        try:
            yield
        except TaskNotFound:
            if self.known:
                raise ResultExpired(self.task_id, self.queue) from None
            raise
        self.known = True

    def learn(self, outcome: Outcome | Missing) -> Outcome:
        """Take an outcome in and return it.

        Raises:
            TaskNotFound: There is none, and the task was never known.
            ResultExpired: There is none any more.
        """
        if isinstance(outcome, Missing):
            self.known = self.known or outcome is Missing.GONE
            raise ResultExpired(self.task_id, self.queue) if self.known else TaskNotFound(self.task_id, self.queue)
        self.known = True
        if outcome.state in (TaskState.FINISHED, TaskState.CANCELED):
            self.ended = outcome
        return outcome


def canceled(answer: tuple[Status, TaskState]) -> CancelResult:
    """Return what the answer of a cancel call means."""
    return _CANCELED[answer[0]]


def late(task_id: str, state: TaskState, timeout: float) -> TimeoutError:
    """Return the error of a wait that was too short."""
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
        TaskFailed: It ended in an error, which this one tells of.
        TaskCanceled: It was canceled.
        ProtocolError: It has not ended, or what it left is not JSON.
    """
    if not outcome.state.ended:
        raise ProtocolError(f"task {task_id} is {outcome.state}: it has no outcome yet")
    try:
        value = loads(outcome.blob) if outcome.blob else None
    except ValueError as error:
        raise ProtocolError(
            f"task {task_id} is {outcome.state}, but what it left is not JSON ({error}): {outcome.blob[:200]!r}"
        ) from error
    if outcome.state is TaskState.FINISHED:
        return value
    told = value if isinstance(value, dict) else {"error": "" if value is None else value}

    def word(key: str, default: str = "") -> str:
        return str(told.get(key) or default)

    if outcome.state is TaskState.CANCELED:
        raise TaskCanceled(task_id, word("error", word("reason")), _cause(value))
    info = ErrorInfo(word("type", "Exception"), word("error", "(no error text was kept)"), word("traceback"))
    raise TaskFailed(task_id, info, dead_reason(word("reason")))


def _cause(left: Any) -> CancelCause:
    """Return what ended a task as CANCELED: scripts store a text, and workers what the attempt raised."""
    if isinstance(left, dict) and left.get("reason") == CANCELED_ITSELF:
        return CancelCause.TASK
    if isinstance(left, str) and left.endswith(_OF_PARENT):
        return CancelCause.DEPENDENCY
    return CancelCause.REQUESTED if left and isinstance(left, dict | str) else CancelCause.UNKNOWN
