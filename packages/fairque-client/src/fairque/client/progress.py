"""A progress bar for tasks, in the terminal of whoever waits for them. It needs rich: ``fairque-client[progress]``."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fairque.client._sync.handle import TaskHandle
from fairque.client.crowd import Crowd
from fairque.protocol.errors import CannotImport
from fairque.protocol.model.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show_progress"]

#: Lines of single tasks that are shown at a time.
MOST_LINES = 10


def show_progress(
    *handles: TaskHandle[Any], timeout: float | timedelta | None = None, console: "Console | None" = None
) -> None:
    """Show how far tasks have come until all have ended, whatever their endings: ask the handles for these then.

    There is a line for each task that tells of its progress, ten at a time, and with several tasks one for all.

    Args:
        *handles: Handles of one queue object.
        timeout: Seconds or a timedelta to wait for all of them; None waits forever.
        console: Where to draw; standard output when left out.

    Raises:
        TimeoutError: Some have not ended in that time; they continue.
        CannotImport: rich is not installed.
        TypeError: One of them is not a handle, or the timeout is not a number of seconds or a timedelta.
        FairqueError: They are of several queue objects.
    """
    # None of them, or anything else, has none; the crowd says so.
    link = getattr(next(iter(handles), None), "_link", None)
    crowd: Crowd[Any, TaskHandle[Any]] = Crowd(link, handles, TaskHandle, timeout)
    for _ in crowd.known():
        pass
    waiting = crowd.waiting()
    if not waiting:
        return
    lines = _Lines(len(waiting), console)
    with lines.bars:
        for task_id, event in crowd.link.follow(waiting, crowd.until, progress=True):
            if isinstance(event, Progress):
                lines.tell(task_id, event)
            elif crowd.hear(task_id, event):
                lines.end(task_id)
    crowd.check_all_ended()


class _Lines:
    """What stands on the screen, while ``bars`` are entered."""

    def __init__(self, number: int, console: "Console | None") -> None:
        try:
            import rich.progress as bars  # noqa: PLC0415 - an extra, which waiting for results does not need
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

    def tell(self, task_id: str, told: Progress) -> None:
        """Show the progress of a task, if there is room for it."""
        if task_id not in self._lines:
            if len(self._lines) >= MOST_LINES:
                return
            self._lines[task_id] = self.bars.add_task(f"task {task_id}", total=told.total, message="")
        self.bars.update(self._lines[task_id], completed=told.done, total=told.total, message=told.message)

    def end(self, task_id: str) -> None:
        """Count a task, whose line makes room for another one unless it is alone."""
        if self._all is not None:
            self.bars.advance(self._all)
            if task_id in self._lines:
                self.bars.remove_task(self._lines.pop(task_id))
