"""The roots of all errors: one for what a caller would handle alike."""

from collections.abc import Sequence

__all__ = [
    "AttemptError",
    "ConfigurationError",
    "Conflict",
    "FairqueError",
    "InvalidArgument",
    "NotFound",
    "ServerError",
    "ServiceError",
    "TaskEnded",
]


class FairqueError(Exception):
    """The root of all errors that fairque raises on purpose."""


class _Problems(FairqueError, ValueError):
    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class InvalidArgument(_Problems):
    """Arguments of a call that cannot be used. It carries every problem found, not only the first; nothing was sent.

    Attributes:
        problems: One sentence each: the argument, what is wrong with it, and the remedy.
    """


class ConfigurationError(_Problems):
    """Settings that cannot be used. It carries every problem found, not only the first.

    Attributes:
        problems: One sentence each, with file, line and key where they are known.
    """


class NotFound(FairqueError, LookupError):
    """What was named is not known to the queue."""


class Conflict(FairqueError):
    """Something is there already, or not as the caller thinks. Nothing was stored."""


class TaskEnded(FairqueError):
    """A task has ended without a result.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str, message: str) -> None:
        self.task_id = task_id
        super().__init__(message)


class ServerError(FairqueError):
    """The server does not answer, must not hold a queue, or has stored something that cannot be read."""


class AttemptError(FairqueError):
    """An attempt of a task could not begin, or ended without that its function raised anything."""


class ServiceError(FairqueError):
    """A worker or a scheduler cannot start, or has to stop."""
