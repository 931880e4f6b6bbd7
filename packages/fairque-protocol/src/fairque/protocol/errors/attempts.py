"""Errors that end an attempt of a task without being raised by its function."""

from collections.abc import Sequence

from fairque.protocol.errors.roots import AttemptError
from fairque.protocol.errors.tasks import ErrorInfo

__all__ = ["InputsTooLarge", "LeaseLost", "OutputMissing", "RemoteError", "TaskTimeout", "UnknownFunction"]


class LeaseLost(AttemptError):
    """The worker no longer holds the lease of the task: its ending was refused and changed nothing.

    Attributes:
        task_id: The id of the task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f"the lease of task {task_id} is lost: it was given to another worker")


class TaskTimeout(AttemptError, TimeoutError):
    """An attempt took longer than the timeout of the task; it counts as a failed attempt.

    Attributes:
        seconds: The timeout.
    """

    def __init__(self, seconds: float, end: str) -> None:
        self.seconds = seconds
        super().__init__(f"the attempt took longer than the timeout of {seconds:g} s: {end}")


class OutputMissing(AttemptError, LookupError):
    """A task needs a value that another task has not stored, or that has expired.

    Attributes:
        task_id: The task that should have stored it; empty if it could be any of several.
    """

    def __init__(self, message: str, task_id: str = "") -> None:
        self.task_id = task_id
        super().__init__(message)


class InputsTooLarge(AttemptError, ValueError):
    """The outputs of other tasks that a task uses exceed ``queue.input_limit``: it was not run."""


class UnknownFunction(AttemptError, LookupError):
    """A task names a function that this worker does not know.

    Attributes:
        name: The name in the task.
        close: Similar registered names.
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
        hint = f"; did you mean {', '.join(map(repr, self.close))}?" if self.close else ""
        loaded = ", ".join(modules) or "none"
        super().__init__(f"no task function {name!r} is registered here{hint} (modules loaded: {loaded}). {why}")


class RemoteError(AttemptError):
    """An error that a task raised in another process, as text: exceptions are never rebuilt from stored data.

    Attributes:
        error: The name of its class, its message, and its traceback.
    """

    def __init__(self, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(error.message)
