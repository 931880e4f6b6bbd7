"""What a running task may know of itself: the context that the worker gives to it."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property
from typing import Any

from fairque.protocol import clock
from fairque.protocol.durations import as_seconds
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.logger import TaskLogger
from fairque.protocol.model.outputs import Left
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason, StopSignal
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import XCom

__all__ = ["TaskContext", "context_here", "current_context", "running_in"]


class TaskContext:
    """One attempt of one task, seen from inside.

    Attributes:
        task_id: The idempotency key towards other systems.
        user_id: The user whose share the task uses.
        group_id: Reserved for fairness between groups of users.
        func: Name of the task's function; None where the worker's own `TaskHandler` runs it without one.
        attempt: Number of this attempt, from 1.
        fence: A number that grows with each attempt: an outside store can refuse an older one by it.
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
        read: Callable[[str, Sequence[str]], list[Left]] | None = None,
        pushed: dict[str, bytes] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Make the context of an attempt. Workers do.

        Args:
            task: The task.
            attempt: Number of the attempt.
            fence: That of the attempt.
            deadline: When its timeout is over, on the monotonic clock.
            stop: Tells it to stop.
            held: Says whether the worker may still believe in its lease.
            read: Reads for a task what others have left.
            pushed: Gets the values that the task pushes, encoded.
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
        """Values for the tasks that depend on this one, and from those on which it depends."""
        return XCom(self._task, self._read_outputs, self._pushed)

    @property
    def seconds_left(self) -> float:
        """Seconds until its timeout; below 0 when it is over."""
        return self._deadline - clock.monotonic()

    @property
    def should_stop(self) -> bool:
        """Whether the task should stop, see `stop_reason`. A function that runs long looks at it now and then."""
        return self._stop.reason is not None or not self.lease_held

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the task should stop: what happened first. None while it should not."""
        if self._stop.reason is not None:
            return self._stop.reason
        return None if self.lease_held else StopReason.LEASE_LOST

    @property
    def lease_held(self) -> bool:
        """Whether the worker may still believe that it alone runs this task.

        It looks at the clock each time, so it is also right in a process that has just stood still.
        """
        return self._held is None or self._held()

    def wait_stop(self, timeout: float | timedelta | None = None) -> bool:
        """Wait until the task should stop; return whether it should.

        Args:
            timeout: Seconds to wait at most, or a timedelta; None waits forever, 0 only looks.
        """
        self._stop.wait(as_seconds(timeout))
        return self.should_stop

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far the task has come; who waits for it sees it at once, and `TaskHandle.progress` reads it.

        It costs next to nothing: the worker sends the latest word of all its tasks together, a few times a second.

        Args:
            done: How much is done, in whatever the task counts.
            total: How much there is to do; None when that is not known.
            message: What it does just now, for people; the first 200 characters are kept.

        Raises:
            TypeError: One of them is of another type.
            ValueError: A number is below 0, or none.
        """
        told = Progress(done, total, message, attempt=self.attempt)
        if self._on_progress is not None:
            self._on_progress(told)

    def _read_outputs(self, task_ids: Sequence[str]) -> list[Left]:
        if self._read is None:
            raise FairqueError(f"task {self.task_id} runs outside of a worker: there is no queue to read from")
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
    """Return the context of the task that runs in this thread or coroutine, None where none runs. For the worker."""
    return _current.get(None)


def running_in(context: TaskContext) -> None:
    """Make ``context`` the current one of this thread or coroutine. For the worker."""
    _current.set(context)
