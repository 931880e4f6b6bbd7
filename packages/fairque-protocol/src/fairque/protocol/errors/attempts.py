"""Errors by which an attempt of a task ends, beside those that its function raises."""

from collections.abc import Sequence

from fairque.protocol.errors.roots import AttemptError
from fairque.protocol.errors.tasks import ErrorInfo

__all__ = ["InputsTooLarge", "LeaseLost", "OutputMissing", "RemoteError", "TaskTimeout", "UnknownFunction"]


class LeaseLost(AttemptError):
    """The worker no longer holds the task: its ending was refused and changed nothing.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f"the lease of task {task_id} is lost: it was given to another worker")


class TaskTimeout(AttemptError, TimeoutError):
    """An attempt took longer than the task's timeout and was given up: a failed attempt like any other.

    Attributes:
        seconds: The timeout.
    """

    def __init__(self, seconds: float, end: str) -> None:
        self.seconds = seconds
        super().__init__(f"the attempt took longer than the timeout of {seconds:g} s: {end}")


class OutputMissing(AttemptError, LookupError):
    """A task asks for a value that another one has not stored, or that has expired.

    Attributes:
        task_id: The task that should have left it; empty when none of several has.
    """

    def __init__(self, message: str, task_id: str = "") -> None:
        self.task_id = task_id
        super().__init__(message)


class InputsTooLarge(AttemptError, ValueError):
    """What a task takes from others has more bytes than ``queue.input_limit``: it was not run."""


class UnknownFunction(AttemptError, LookupError):
    """A task names a function that this worker does not know.

    Attributes:
        name: The name in the task.
        close: Registered names that look like it.
    """

    def __init__(
        self,
        name: str,
        close: Sequence[str],
        modules: Sequence[str],
        why: str = "Start the worker with the module that defines it",
    ) -> None:
        self.name = name
        self.close = tuple(close)
        meant = f"; did you mean {', '.join(map(repr, self.close))}?" if self.close else ""
        loaded = ", ".join(modules) or "none"
        super().__init__(f"no task function {name!r} is registered here{meant} (modules loaded: {loaded}). {why}")


class RemoteError(AttemptError):
    """What a task raised in another process, as text: it is never rebuilt.

    Attributes:
        error: The name of its class, its message, and where it was raised.
    """

    def __init__(self, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(error.message)
