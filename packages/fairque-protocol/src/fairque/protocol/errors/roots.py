"""Base classes of all errors: one for each group that callers handle alike."""

from collections.abc import Sequence
from typing import Any, cast

__all__ = [
    "AttemptError",
    "ConfigurationError",
    "Conflict",
    "Copyable",
    "FairqueError",
    "InvalidArgument",
    "NotFound",
    "ServerError",
    "ServiceError",
    "TaskEnded",
]


class Copyable(Exception):
    """An exception whose pickles and copies have the same text and attributes, whatever its constructor takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        cls, args, *state = cast("tuple[Any, ...]", super().__reduce__())
        return _restored, (cls, args), *state


def _restored(cls: type[Copyable], args: tuple[Any, ...]) -> Copyable:
    """Create an exception as its builtin base class does: its own constructor takes other arguments, and adds text."""
    builtin: Any = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    error: Copyable = builtin.__new__(cls, *args)
    builtin.__init__(error, *args)
    return error


class FairqueError(Copyable):
    """Base class of all errors of fairque."""


class _Problems(FairqueError, ValueError):
    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class InvalidArgument(_Problems):
    """Arguments of a call are invalid. It has all problems, not only the first; nothing was sent.

    Attributes:
        problems: A sentence for each: the argument, what is wrong with it, and how to fix it.
    """


class ConfigurationError(_Problems):
    """Settings are invalid. It has all problems, not only the first.

    Attributes:
        problems: A sentence for each, with file, line and key if known.
    """


class NotFound(FairqueError, LookupError):
    """The queue does not know the object."""


class Conflict(FairqueError):
    """An object already exists, or has changed since the caller read it. Nothing was stored."""


class TaskEnded(FairqueError):
    """A task has ended without a result.

    Attributes:
        task_id: The id of the task.
    """

    def __init__(self, task_id: str, message: str) -> None:
        self.task_id = task_id
        super().__init__(message)


class ServerError(FairqueError):
    """The server does not answer, is not suitable for a queue, or has unreadable data."""


class AttemptError(FairqueError):
    """An attempt of a task could not start, or ended for another reason than its function."""


class ServiceError(FairqueError):
    """A worker or a scheduler cannot start, or has to stop."""
