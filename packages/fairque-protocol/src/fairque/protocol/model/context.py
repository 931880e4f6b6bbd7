"""The context that a worker passes to a running task."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property
from typing import Any

from fairque.protocol import clock
from fairque.protocol.durations import as_seconds
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.logger import TaskLogger
from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason, StopSignal
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import XCom

__all__ = ["TaskContext", "context_here", "current_context", "set_current_context"]


class TaskContext:
    """The running attempt of a task.

    Attributes:
        task_id: The id of the task; use it as the idempotency key towards other systems.
        user_id: The user whose share the task uses.
        group_id: Reserved for fairness between groups of users.
        func: Name of the task's function; None for a task of a custom `TaskHandler`.
        attempt: Number of this attempt, from 1.
        fence: A fencing token that grows with each attempt, with which other stores can refuse writes of older ones.
    """

    def __init__(
        self,
        task: Task[Any],
        *,
        attempt: int,
        fence: int,
        deadline: float,
        stop: StopSignal | None = None,
        held: Callable[[], bool] | None = None,
        read: Callable[[str, Sequence[str]], list[StoredOutputs]] | None = None,
        pushed: dict[str, bytes] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Create the context of an attempt; for workers.

        Args:
            task: The task.
            attempt: Number of the attempt.
            fence: The fencing token of the attempt.
            deadline: When its timeout ends, on the monotonic clock.
            stop: The signal that asks it to stop.
            held: Returns whether the worker may assume that it holds the lease.
            read: Reads, for a task, the stored outputs of other tasks.
            pushed: Receives the encoded values that the task pushes.
            on_progress: Called with each progress in the thread of the task; it must not block.
        """
        self.task_id = task.task_id
        self.user_id = task.user_id or ""
        self.group_id = task.group_id
        self.func = task.func
        self.attempt = attempt
        self.fence = fence
        self._task = task
        self._deadline = deadline
        self._stop = StopSignal() if stop is None else stop
        self._held = held
        self._read = read
        self._pushed = {} if pushed is None else pushed
        self._on_progress = on_progress

    @cached_property
    def logger(self) -> TaskLogger:
        """A logger, ``fairque.task``, whose records carry the task's id, user and attempt."""
        return TaskLogger(task_id=self.task_id, user_id=self.user_id, attempt=self.attempt)

    @cached_property
    def xcom(self) -> XCom:
        """Values for the tasks that depend on this one, and from its own dependencies."""
        return XCom(self._task, self._read_outputs, self._pushed)

    @property
    def seconds_left(self) -> float:
        """Seconds until its timeout; negative after it."""
        return self._deadline - clock.monotonic()

    @property
    def should_stop(self) -> bool:
        """Whether the task should stop, see `stop_reason`. Long-running functions should check it regularly."""
        return self._stop.reason is not None or not self.lease_held

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the task should stop, the first reason; None while it should not."""
        if self._stop.reason is not None:
            return self._stop.reason
        return None if self.lease_held else StopReason.LEASE_LOST

    @property
    def lease_held(self) -> bool:
        """Whether the worker may assume that it alone runs this task.

        Each read checks the clock, so it is also correct right after the process was suspended.
        """
        return self._held is None or self._held()

    def wait_stop(self, timeout: float | timedelta | None = None) -> bool:
        """Wait until the task should stop; return whether it should.

        Args:
            timeout: Seconds to wait at most, or a timedelta; None waits forever, 0 only checks.
        """
        self._stop.wait(as_seconds(timeout))
        return self.should_stop

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report the progress of the task to those that watch it, and for `TaskHandle.progress`.

        It is cheap: the worker sends the latest progress of all its tasks together, a few times a second.

        Args:
            done: How much is done, in units of your choice.
            total: How much there is to do; None if unknown.
            message: What the task is doing, for humans; cut to 200 characters.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: A number is negative, infinite, or NaN.
        """
        progress = Progress(done, total, message, attempt=self.attempt)
        if self._on_progress is not None:
            self._on_progress(progress)

    def _read_outputs(self, task_ids: Sequence[str]) -> list[StoredOutputs]:
        if self._read is None:
            raise FairqueError(f"task {self.task_id} runs outside a worker: there is no queue to read from")
        return self._read(self.task_id, task_ids)


_current: ContextVar[TaskContext] = ContextVar("fairque_task_context")


def current_context() -> TaskContext:
    """Return the context of the task that runs in this thread or coroutine.

    Raises:
        FairqueError: No task runs here.
    """
    try:
        return _current.get()
    except LookupError:
        raise FairqueError(
            "no task runs here: current_context() is for code that a worker runs as part of a task"
        ) from None


def context_here() -> TaskContext | None:
    """Return the context of the task that runs in this thread or coroutine, or None; for workers."""
    return _current.get(None)


def set_current_context(context: TaskContext) -> None:
    """Set the current context of this thread or coroutine; for workers."""
    _current.set(context)
