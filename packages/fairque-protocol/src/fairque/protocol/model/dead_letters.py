"""Dead letters: tasks that ended as FAILED and are kept, with what an operator needs to judge them."""

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from fairque.protocol.model.task import Task
from fairque.protocol.reasons import DeadReason, known

__all__ = ["DeadLetter", "DeadLetterPage", "dead_reason"]


def dead_reason(stored: str) -> DeadReason:
    """Return the reason that is stored with an error; ``deliveries`` is what scripts call lost workers."""
    return DeadReason.LOST_WORKERS if stored == "deliveries" else known(DeadReason, stored)


@frozen(kw_only=True)
class DeadLetter:
    """A task that ended as FAILED. Times are milliseconds since the epoch on the server's clock.

    Attributes:
        task_id: The task.
        user_id: Whose it is.
        task: What was pushed, with all arguments; None when the message cannot be read.
        reason: Why no further attempt is made: ``retries``, ``deliveries``, ``unregistered``, ``unreadable`` …
        error_type: Class name of the exception in the worker.
        error: Its message.
        traceback: Its traceback as text, cut to a few KiB.
        worker: Name of the worker of the last attempt.
        attempts: How often it was started.
        failures: How many attempts ended in an error.
        lost: How many attempts ended with their worker.
        pushed_at: When it was pushed.
        ended_at: When it ended.
    """

    task_id: str
    user_id: str
    task: Task[Any] | None
    reason: str
    error_type: str
    error: str
    traceback: str
    worker: str
    attempts: int
    failures: int
    lost: int
    pushed_at: int
    ended_at: int

    @property
    def func(self) -> str | None:
        """Name of its function; None when it has none, or its message cannot be read."""
        return None if self.task is None else self.task.func


@frozen(kw_only=True)
class DeadLetterPage:
    """Some dead letters, in the order in which they ended.

    Attributes:
        at_ms: When they were read, in milliseconds since the epoch on the server's clock.
        letters: The dead letters.
        next: Where the next page begins, to be passed as ``after``; None when this was the last one.
    """

    at_ms: int
    letters: tuple[DeadLetter, ...]
    next: str | None

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self.letters)

    def __len__(self) -> int:
        return len(self.letters)
