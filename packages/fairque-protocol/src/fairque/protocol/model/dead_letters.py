"""Dead letters: tasks that ended as FAILED and are kept, with what an operator needs to judge them."""

from datetime import datetime
from typing import Any

from attrs import frozen

from fairque.protocol.errors import ErrorInfo
from fairque.protocol.model.task import Task
from fairque.protocol.reasons import DeadReason, known

__all__ = ["DeadLetter", "dead_reason"]


def dead_reason(stored: str) -> DeadReason:
    """Return the reason that is stored with an error; ``deliveries`` is what scripts call lost workers."""
    return DeadReason.LOST_WORKERS if stored == "deliveries" else known(DeadReason, stored)


@frozen(kw_only=True)
class DeadLetter:
    """A task that ended as FAILED. Moments are those of the server's clock.

    Attributes:
        task_id: The task.
        user_id: Whose it is.
        func: Name of its function; None when it has none, or its message cannot be read.
        task: What was pushed, with all arguments; None when the message cannot be read.
        reason: Why it gets no further attempt.
        error: What its last attempt raised.
        worker: Name of the worker of the last attempt; None when there was none.
        attempts: How often it was started.
        failures: How many attempts ended in an error.
        lost_workers: How many attempts ended with their worker.
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
