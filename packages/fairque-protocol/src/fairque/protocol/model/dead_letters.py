"""Dead letters: tasks that ended as FAILED and are kept for inspection."""

from datetime import datetime
from typing import Any

from attrs import frozen

from fairque.protocol.errors import ErrorInfo
from fairque.protocol.model.task import Task
from fairque.protocol.reasons import DeadReason, known

__all__ = ["DeadLetter", "dead_reason"]


def dead_reason(stored: str) -> DeadReason:
    """Return the reason stored with an error; the scripts store ``deliveries`` for lost workers."""
    return DeadReason.LOST_WORKERS if stored == "deliveries" else known(DeadReason, stored)


@frozen(kw_only=True)
class DeadLetter:
    """A task that ended as FAILED. Times are by the server's clock.

    Attributes:
        task_id: The id of the task.
        user_id: Its user.
        func: Name of its function; None if it has none or its message is unreadable.
        task: The pushed task with all arguments; None if its message is unreadable.
        reason: Why it gets no further attempt.
        error: The error of its last attempt.
        worker: Name of the worker of the last attempt; None if there was no attempt.
        attempts: How often it was started.
        failures: How many attempts raised an error.
        lost_workers: How many attempts ended because their worker was lost.
        pushed_at: When it was pushed.
        ended_at: When it ended.
    """

    task_id: str
    user_id: str
    func: str | None
    task: Task[Any] | None
    reason: DeadReason
    error: ErrorInfo
    worker: str | None
    attempts: int
    failures: int
    lost_workers: int
    pushed_at: datetime
    ended_at: datetime
