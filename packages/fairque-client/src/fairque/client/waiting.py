"""Which tasks this process waits for, and which of them each wait must still read; no I/O."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, zip_longest
from typing import TypeAlias

from attrs import define

from fairque.client.outcomes import Missing
from fairque.protocol import clock
from fairque.protocol.calls.progress import parse_progress
from fairque.protocol.calls.watch import LISTENING_MS, MAX_WATCH_TASKS, Outcome
from fairque.protocol.clock import monotonic
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TaskState

__all__ = ["Event", "News", "Wait", "Waiters", "deadline_after", "received", "received_async"]

#: An event of a task: its progress, or its outcome.
Event: TypeAlias = Outcome | Progress | Missing

#: A task and its event, or None if the waiter has to read the task; or only None: read all tasks, since a notification
#: may have been lost.
News: TypeAlias = tuple[str, Outcome | Progress | None] | None

#: Seconds until a wait reads again if the server stopped answering.
_RETRY_SECONDS = 1.0

#: Seconds until a wait renews its subscriptions, well before they expire on the server.
_RENEW_SECONDS = LISTENING_MS / 1_000 / 3


@define(eq=False)
class _Waiter:
    notify: Callable[[News], None]
    progress: bool


class Waiters:
    """The waits of this process, by task. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_task: dict[str, list[_Waiter]] = {}

    @contextmanager
    def waiting(
        self, task_ids: Iterable[str], notify: Callable[[News], None], *, progress: bool = False
    ) -> Iterator[None]:
        """Call ``notify`` with the news of tasks while the context is active.

        Args:
            task_ids: The tasks.
            notify: Called with the news; it must not block.
            progress: Whether to notify it of progress, too.
        """
        ids, waiter = tuple(task_ids), _Waiter(notify, progress)
        with self._lock:
            for task_id in ids:
                self._by_task.setdefault(task_id, []).append(waiter)
        try:
            yield
        finally:
            with self._lock:
                for task_id in ids:
                    waiters = self._by_task[task_id]
                    waiters.remove(waiter)
                    if not waiters:
                        del self._by_task[task_id]

    def task_ids(self) -> tuple[str, ...]:
        """Return the tasks that this process waits for."""
        with self._lock:
            return tuple(self._by_task)

    def dispatch(self, message: bytes) -> None:
        """Pass a message of the server to the waits of its task.

        A message has three lines: the task id; ``PROGRESS`` or the state in which the task ended; and the progress, or
        1 and the result, or 0 if the result is too large for a message.
        """
        name, topic, content = message.split(b"\n", 2)
        task_id, progress = name.decode(), topic == b"PROGRESS"
        with self._lock:
            waiters = [waiter for waiter in self._by_task.get(task_id, ()) if waiter.progress or not progress]
        if not waiters:
            return
        event: Outcome | Progress | None = None
        if progress:
            event = parse_progress(content)
        elif content[:1] == b"1":
            event = Outcome(TaskState(topic.decode()), content[1:])
        for waiter in waiters:
            waiter.notify((task_id, event))

    def start_over(self) -> None:
        """Replace the lock in a forked child, since a thread of the parent may hold it."""
        self._lock = threading.Lock()

    def wake_all(self) -> None:
        """Make all waits read their tasks again, since a notification may have been lost."""
        with self._lock:
            waiters = dict.fromkeys(waiter for waiters in self._by_task.values() for waiter in waiters)
        for waiter in waiters:
            waiter.notify(None)

    def recheck(self, task_ids: Iterable[str]) -> None:
        """Make all waits for these tasks read them again, since the server will not report their endings."""
        with self._lock:
            pairs = [(task_id, waiter) for task_id in task_ids for waiter in self._by_task.get(task_id, ())]
        for task_id, waiter in pairs:
            waiter.notify((task_id, None))


class Wait:
    """The tasks one call waits for: those still open, and those it must still read from the server.

    Args:
        task_ids: The tasks; duplicates are ignored.
        until: The deadline, on the monotonic clock.
        progress: Whether to report progress, too.

    Attributes:
        open: The tasks that have not ended.
        progress: Whether progress is reported, too.
        answered: Whether the server has answered at least once.
    """

    def __init__(self, task_ids: Iterable[str], until: float, *, progress: bool = False) -> None:
        self.open = dict.fromkeys(task_ids)
        self.progress = progress
        self.answered = False
        self._to_read = dict(self.open)
        self._seen: set[str] = set()
        self._latest: dict[str, Progress] = {}
        self._until = until
        self._renew_at = monotonic() + _RENEW_SECONDS

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._until <= monotonic()

    def seconds(self) -> float:
        """Return how long to wait for news."""
        wake_at = monotonic() + _RETRY_SECONDS if self._to_read else self._renew_at
        return max(0.0, min(self._until, wake_at) - monotonic())

    def next_batch(self) -> list[str]:
        """Return the tasks to read next; empty if there are none."""
        if self._renew_at <= monotonic():
            self.recheck_all()
            self._renew_at = monotonic() + _RENEW_SECONDS
        return list(islice(self._to_read, MAX_WATCH_TASKS))

    def recheck_all(self) -> None:
        """Read all open tasks again."""
        self._to_read = dict(self.open)

    def record(
        self,
        batch: Sequence[str],
        outcomes: Sequence[Outcome | None],
        progress: Sequence[Progress | None] = (),
        *,
        last: bool = False,
    ) -> list[tuple[str, Event]]:
        """Record an answer of the server and return the events in it.

        Args:
            batch: The tasks that were read.
            outcomes: The outcomes of the first ones of them, in order.
            progress: The progress of these tasks, in order.
            last: Whether the wait ends here, so that tasks that have not ended are events, too.
        """
        self.answered = True
        events: list[tuple[str, Event]] = []
        answered = len(outcomes)
        for task_id, outcome, report in zip_longest(batch[:answered], outcomes, progress[:answered]):
            self._to_read.pop(task_id, None)
            if report is not None:
                events += self._advance(task_id, report)
            if outcome is None:
                events += self._close(task_id, Missing.GONE if task_id in self._seen else Missing.UNKNOWN)
            elif last or outcome.state.ended:
                events += self._close(task_id, outcome)
            else:
                self._seen.add(task_id)
        return events

    def receive(self, received: Iterable[News]) -> Iterator[tuple[str, Event]]:
        """Process news and yield the events in it."""
        for news in received:
            if news is None:
                self.recheck_all()
                continue
            task_id, event = news
            if isinstance(event, Progress):
                yield from self._advance(task_id, event)
            elif isinstance(event, Outcome):
                self._to_read.pop(task_id, None)
                yield from self._close(task_id, event)
            elif task_id in self.open:
                self._to_read[task_id] = None

    def _advance(self, task_id: str, progress: Progress) -> list[tuple[str, Event]]:
        # An answer and a notification may overtake each other.
        latest = self._latest.get(task_id)
        if task_id not in self.open or progress == latest or (latest and latest.updated_at > progress.updated_at):
            return []
        self._latest[task_id] = progress
        return [(task_id, progress)]

    def _close(self, task_id: str, outcome: Outcome | Missing) -> list[tuple[str, Event]]:
        # An answer and a notification may both report the ending.
        if task_id not in self.open:
            return []
        del self.open[task_id]
        return [(task_id, outcome)]


def deadline_after(seconds: float | None) -> float:
    """Return the monotonic deadline of a timeout; infinity for None."""
    return float("inf") if seconds is None else monotonic() + seconds


def received(news: "queue.SimpleQueue[News]", seconds: float | None) -> list[News]:
    """Wait for news for that many seconds, and return all that have arrived."""
    arrived: list[News] = []
    with suppress(queue.Empty):
        arrived.append(news.get(timeout=seconds))
        while True:
            arrived.append(news.get_nowait())
    return arrived


async def received_async(news: "asyncio.Queue[News]", seconds: float | None) -> list[News]:
    """Wait for news; see `received`."""
    arrived: list[News] = []
    with suppress(TimeoutError, asyncio.QueueEmpty):
        async with clock.timeout(seconds):
            arrived.append(await news.get())
        while True:
            arrived.append(news.get_nowait())
    return arrived
