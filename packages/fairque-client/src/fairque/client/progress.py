"""Progress bars for tasks in the terminal. They need rich: ``fairque-client[progress]``."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fairque.client._sync.handle import TaskHandle
from fairque.client.joint_wait import JointWait
from fairque.protocol.errors import CannotImport
from fairque.protocol.locks import import_lock
from fairque.protocol.model.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show_progress"]

#: Tasks with a line of their own at a time.
MOST_LINES = 10


def show_progress(
    *handles: TaskHandle[Any], timeout: float | timedelta | None = None, console: "Console | None" = None
) -> None:
    """Show the progress of tasks until all have ended. Failures are not raised: read the results from the handles.

    Each task that reports progress has a line, up to ten at a time; with several tasks there is also one line for all.

    Args:
        *handles: Handles of one queue object.
        timeout: Seconds or a timedelta to wait for all of them; None waits forever.
        console: Where to draw; standard output by default.

    Raises:
        TimeoutError: Some tasks have not ended in time; they continue.
        CannotImport: rich is not installed.
        TypeError: An argument is not a handle, or `timeout` is not a number of seconds or a timedelta.
        FairqueError: The handles belong to several queue objects.
    """
    # Without handles, or with other objects, there is no link; JointWait refuses the latter.
    link = getattr(next(iter(handles), None), "_link", None)
    wait: JointWait[Any, TaskHandle[Any]] = JointWait(link, handles, TaskHandle, timeout)
    for _ in wait.already_ended():
        pass
    waiting = wait.waiting()
    if not waiting:
        return
    lines = _Lines(len(waiting), console)
    with lines.bars:
        for task_id, event in wait.link.follow(waiting, wait.until, progress=True):
            if isinstance(event, Progress):
                lines.update(task_id, event)
            elif wait.record(task_id, event):
                lines.end(task_id)
    wait.check_all_ended()


class _Lines:
    """The lines on the screen, shown while the context ``bars`` is active."""

    def __init__(self, number: int, console: "Console | None") -> None:
        try:
            with import_lock:
                import rich.progress as bars  # noqa: PLC0415 - an extra that the rest of the client does not need
        except ImportError:
            raise CannotImport(
                "show_progress draws with rich, which is not installed: pip install 'fairque-client[progress]'"
            ) from None
        self.bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[message]}", markup=False),
            bars.TimeElapsedColumn(),
            console=console,
        )
        self._all = self.bars.add_task(f"{number} tasks", total=number, message="") if number > 1 else None
        self._lines: dict[str, Any] = {}

    def update(self, task_id: str, progress: Progress) -> None:
        """Show the progress of a task, if there is a line for it."""
        if task_id not in self._lines:
            if len(self._lines) >= MOST_LINES:
                return
            self._lines[task_id] = self.bars.add_task(f"task {task_id}", total=progress.total, message="")
        self.bars.update(self._lines[task_id], completed=progress.done, total=progress.total, message=progress.message)

    def end(self, task_id: str) -> None:
        """Count an ended task and free its line; a single task keeps its line."""
        if self._all is not None:
            self.bars.advance(self._all)
            if task_id in self._lines:
                self.bars.remove_task(self._lines.pop(task_id))
