"""What a running task may know of itself: the context that the worker gives to it."""

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.logger import TaskLogger
from fairque.protocol.model.outputs import Left
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import XCom

__all__ = ["TaskContext", "context_here", "current_context", "running_in"]


class TaskContext:
    """One attempt of one task, seen from inside.

    Attributes:
        task: The task.
        task_id: Its id: the idempotency key towards other systems.
        user_id: The user whose share it uses.
        attempt: Number of this attempt, from 1.
        fence: A number that grows with each attempt: an outside store can refuse an older one by it.
        deadline: When its timeout is over, on the monotonic clock (`time.monotonic`).
    """

    def __init__(self, task: Task[Any], *, attempt: int, fence: int, deadline: float) -> None:
        self.task = task
        self.task_id = task.task_id
        self.user_id = task.user_id or ""
        self.attempt = attempt
        self.fence = fence
        self.deadline = deadline
        self.cancel_reason = ""
        self._cancelled = threading.Event()
        self._lease_lost = False
        self._lock = threading.Lock()
        self._on_cancel: Callable[[], None] | None = None
        self._xcom: XCom | None = None
        self._on_progress: Callable[[Progress], None] | None = None

    @cached_property
    def logger(self) -> TaskLogger:
        """A logger, ``fairque.task``, whose records carry the task's id, user and attempt."""
        return TaskLogger(task_id=self.task_id, user_id=self.user_id, attempt=self.attempt)

    @property
    def cancelled(self) -> bool:
        """Whether the task should stop: it was canceled, its time is over, or the lease is lost. Threads look at it."""
        return self._cancelled.is_set()

    @property
    def xcom(self) -> XCom:
        """Values for the tasks that depend on this one, and from those on which it depends."""
        if self._xcom is None:
            self._xcom = XCom(self.task, self.read_outputs)
        return self._xcom

    @property
    def xcom_blob(self) -> bytes:
        """What is stored of them with the result. For the worker."""
        return b"" if self._xcom is None else self._xcom.blob

    def read_outputs(self, task_ids: Sequence[str]) -> list[Left]:  # noqa: ARG002 - for those that know how
        """Read what tasks have left. The worker's contexts know how.

        Raises:
            FairqueError: This one belongs to no worker.
        """
        raise FairqueError(f"task {self.task_id} runs outside of a worker: there is no queue to read from")

    @property
    def seconds_left(self) -> float:
        """Seconds until its timeout; below 0 when it is over."""
        return self.deadline - clock.monotonic()

    def lease_ok(self) -> bool:
        """Whether the worker may still believe that it alone runs this task."""
        return not self._lease_lost

    def wait_cancelled(self, seconds: float | None = None) -> bool:
        """Wait until the task should stop, at most ``seconds``; return whether it should."""
        return self._cancelled.wait(seconds)

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

    def when_progress(self, callback: Callable[[Progress], None]) -> None:
        """Have ``callback`` called with each progress, in the thread of the task; it must not block. For the worker."""
        self._on_progress = callback

    def request_cancel(self, reason: str, *, lease_lost: bool = False) -> None:
        """Ask the task to stop. For the worker."""
        with self._lock:
            self._lease_lost = self._lease_lost or lease_lost
            first, callback = not self._cancelled.is_set(), self._on_cancel
            if first:
                self.cancel_reason = reason
                self._cancelled.set()
        if first and callback is not None:
            callback()

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called once when the task should stop, at once if it already should. For the worker."""
        with self._lock:
            self._on_cancel = callback
            already = self._cancelled.is_set()
        if already:
            callback()


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
