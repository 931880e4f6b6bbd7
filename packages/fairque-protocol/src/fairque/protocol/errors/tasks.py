"""Errors of pushing tasks and reading their results."""

from collections.abc import Sequence
from typing import Any, Literal

from attrs import frozen

from fairque.protocol.errors.roots import Conflict, FairqueError, InvalidArgument, NotFound, TaskEnded
from fairque.protocol.reasons import CancelCause, DeadReason

__all__ = [
    "BatchTooLarge",
    "ErrorInfo",
    "InvalidTask",
    "PartialPush",
    "QueueFull",
    "ResultExpired",
    "TaskCanceled",
    "TaskConflict",
    "TaskFailed",
    "TaskNotFound",
    "TaskTooLarge",
    "UnknownDependency",
]


@frozen
class ErrorInfo:
    """The error of an attempt, as text.

    Attributes:
        type: The class name of the exception.
        message: Its message.
        traceback: Its traceback, cut to a few KiB.
    """

    type: str
    message: str
    traceback: str = ""


class InvalidTask(InvalidArgument):
    """A task is invalid: the message names the task, the field and how to fix it."""


class TaskTooLarge(InvalidTask):
    """The message of a task exceeds the limit.

    Attributes:
        task_id: The task.
        size: Bytes of the encoded message.
        limit: Bytes allowed.
    """

    def __init__(self, task_id: str, size: int, limit: int) -> None:
        self.task_id = task_id
        self.size = size
        self.limit = limit
        super().__init__(
            f"task {task_id}: the message has {size:,} bytes, allowed are {limit:,}. "
            "Store large data elsewhere and pass its address, or raise queue.message_limit (1 MiB at most)"
        )


class UnknownDependency(InvalidTask):
    """A task depends on a task that the queue does not know; nothing was pushed.

    Attributes:
        task_id: The task that cannot be pushed.
        depends_on: The unknown task.
        argument: The argument that uses the output of the unknown task; empty if none does.
    """

    def __init__(self, task_id: str, depends_on: str, queue: str, argument: str = "") -> None:
        self.task_id = task_id
        self.depends_on = depends_on
        self.argument = argument
        why = f", whose output is its argument {argument!r} and" if argument else ","
        super().__init__(
            f"task {task_id} depends on task {depends_on}{why} which queue {queue!r} does not know: push it earlier, "
            "or in the same call. The record of a task expires some time after its end (queue.result_ttl)"
        )


class BatchTooLarge(InvalidArgument):
    """A push has more tasks or bytes than an atomic call accepts."""


class PartialPush(FairqueError):
    """A chunked push failed after some chunks; the error is its ``__cause__``.

    Pushing the same tasks again is safe: tasks that are already stored do not change.

    Attributes:
        handles: Handles of the tasks that were certainly stored: the first ones, in order. They belong to a queue
            object, so a pickle or a copy of the error has none.
        task_ids: The ids of these tasks.
    """

    def __init__(self, handles: Sequence[Any], cause: BaseException) -> None:
        self.handles = tuple(handles)
        self.task_ids = tuple(handle.task_id for handle in self.handles)
        super().__init__(
            f"only the first {len(self.handles):,} tasks were certainly pushed (.handles), then: {cause}. "
            "Fix the cause and push the same tasks again, or the remaining ones"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        restored, args, state = super().__reduce__()
        return restored, args, state | {"handles": ()}


class QueueFull(FairqueError):
    """The queue or the server accepts no more tasks at the moment; nothing was stored.

    Attributes:
        retry_after: Seconds after which to try again.
        scope: What is full: the backlog of the ``user`` or of the ``queue``, or the memory of the ``server``; None if
            unknown.
    """

    def __init__(
        self, message: str, retry_after: float, scope: Literal["user", "queue", "server"] | None = None
    ) -> None:
        self.retry_after = retry_after
        self.scope = scope
        super().__init__(f"{message} (try again in {retry_after:g} s)")


class TaskConflict(Conflict):
    """The task id was already pushed with different content.

    Attributes:
        task_id: The id of the task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"task {task_id} exists with different content: an id always refers to the same task. "
            "Use a new id, or push exactly the same task to repeat a push"
        )


class TaskNotFound(NotFound):
    """The queue does not know a task with that id: it was never pushed, or its record has expired.

    Attributes:
        task_id: The id of the task.
        queue: The name of the queue.
    """

    def __init__(self, task_id: str, queue: str) -> None:
        self.task_id = task_id
        self.queue = queue
        super().__init__(
            f"task {task_id} is not known in queue {queue!r}: it was never pushed there, or its record expired"
        )


class ResultExpired(TaskNotFound):
    """The task was known, and its record is gone: it has expired, or the server has lost its data.

    Attributes:
        task_id: The id of the task.
        queue: The name of the queue.
    """

    def __init__(self, task_id: str, queue: str) -> None:
        self.task_id = task_id
        self.queue = queue
        FairqueError.__init__(
            self,
            f"the record of task {task_id} is gone: it has expired (read results earlier, or raise "
            "queue.result_ttl), or the server has lost its data (push the task again)",
        )


class TaskFailed(TaskEnded):
    """The task ended as FAILED. The error is text: exceptions are never rebuilt from stored data.

    Attributes:
        task_id: The id of the task.
        reason: Why it gets no further attempt.
        error: The error of its last attempt.
    """

    def __init__(self, task_id: str, error: ErrorInfo, reason: DeadReason = DeadReason.UNKNOWN) -> None:
        self.reason = reason
        self.error = error
        why = "" if reason is DeadReason.UNKNOWN else f" ({reason})"
        super().__init__(task_id, f"task {task_id} failed: {error.type}: {error.message}{why}")


class TaskCanceled(TaskEnded):
    """The task ended as CANCELED.

    Attributes:
        task_id: The id of the task.
        cause: What canceled it.
        reason: Why, for humans: the reason given by the caller of ``cancel``, or by the task itself.
    """

    def __init__(self, task_id: str, reason: str = "", cause: CancelCause = CancelCause.UNKNOWN) -> None:
        self.cause = cause
        self.reason = reason
        super().__init__(task_id, f"task {task_id} was canceled" + (f": {reason}" if reason else ""))
