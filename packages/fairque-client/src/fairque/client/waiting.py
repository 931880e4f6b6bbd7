"""Who waits for which tasks in this process, and what each wait has still to ask of the server; no I/O."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import TypeAlias

from attrs import define

from fairque.client.outcomes import Missing
from fairque.protocol.calls.progress import parse_progress
from fairque.protocol.calls.watch import LISTENING_MS, MAX_WATCH_TASKS, Outcome
from fairque.protocol.clock import monotonic
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TaskState

__all__ = ["Event", "News", "Wait", "Waiters", "until"]

#: What there is to say of a task: how far it has come, or its outcome.
Event: TypeAlias = Outcome | Progress | Missing

#: A task and what the server told of it, None when the waiter has to read it; or None: look at all tasks, since
#: something may have been missed.
News: TypeAlias = tuple[str, Outcome | Progress | None] | None

#: Seconds until a wait looks again when the server, which had answered before, does not.
_AGAIN_SECONDS = 1.0

#: Seconds until a wait says again that it listens, and looks: before the server forgets it.
_RENEW_SECONDS = LISTENING_MS / 1_000 / 3


@define(eq=False)
class _Waiter:
    tell: Callable[[News], None]
    progress: bool


class Waiters:
    """Who waits for which task in this process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_task: dict[str, list[_Waiter]] = {}

    @contextmanager
    def waiting(
        self, task_ids: Iterable[str], tell: Callable[[News], None], *, progress: bool = False
    ) -> Iterator[None]:
        """Have ``tell`` called with the news of tasks while the context lasts; it must not block.

        Args:
            task_ids: The tasks.
            tell: Gets the news.
            progress: Whether it wants to hear of the progress of the tasks, too.
        """
        ids, waiter = tuple(task_ids), _Waiter(tell, progress)
        with self._lock:
            for task_id in ids:
                self._by_task.setdefault(task_id, []).append(waiter)
        try:
            yield
        finally:
            with self._lock:
                for task_id in ids:
                    told = self._by_task[task_id]
                    told.remove(waiter)
                    if not told:
                        del self._by_task[task_id]

    def task_ids(self) -> tuple[str, ...]:
        """Return the tasks that anybody waits for."""
        with self._lock:
            return tuple(self._by_task)

    def hear(self, message: bytes) -> None:
        """Pass on a message of the server: task id, what it is about, and what there is to say.

        That is ``PROGRESS`` and the progress; or the state in which the task ended, and 1 with what it left, or 0 if
        that is too large.
        """
        name, about, left = message.split(b"\n", 2)
        task_id, progress = name.decode(), about == b"PROGRESS"
        with self._lock:
            told = [waiter for waiter in self._by_task.get(task_id, ()) if waiter.progress or not progress]
        if not told:
            return
        event: Outcome | Progress | None = None
        if progress:
            event = parse_progress(left)
        elif left[:1] == b"1":
            event = Outcome(TaskState(about.decode()), left[1:])
        for waiter in told:
            waiter.tell((task_id, event))

    def start_over(self) -> None:
        """Have a lock, in a forked child, that no thread of the parent holds."""
        self._lock = threading.Lock()

    def rouse(self) -> None:
        """Ask everybody to look at the server: something may have been missed."""
        with self._lock:
            told = dict.fromkeys(waiter for waiters in self._by_task.values() for waiter in waiters)
        for waiter in told:
            waiter.tell(None)

    def look_again(self, task_ids: Iterable[str]) -> None:
        """Ask everybody who waits for one of these tasks to look at it: the server will not tell of its end."""
        with self._lock:
            told = [(task_id, waiter) for task_id in task_ids for waiter in self._by_task.get(task_id, ())]
        for task_id, waiter in told:
            waiter.tell((task_id, None))


class Wait:
    """The tasks that one wait is for: which have not ended yet, and which of them the server has still to be asked of.

    Args:
        task_ids: The tasks; each counts once.
        until: When to give up, on the monotonic clock.
        progress: Whether progress is to be told, too.

    Attributes:
        open: The tasks that have not ended yet.
        progress: Whether progress is reported, too.
        answered: Whether the server has answered anything.
    """

    def __init__(self, task_ids: Iterable[str], until: float, *, progress: bool = False) -> None:
        self.open = dict.fromkeys(task_ids)
        self.progress = progress
        self.answered = False
        self._to_ask = dict(self.open)
        self._seen: set[str] = set()
        self._latest: dict[str, Progress] = {}
        self._until = until
        self._renew_at = monotonic() + _RENEW_SECONDS

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return self._until <= monotonic()

    def seconds(self) -> float:
        """Return how long to wait for news."""
        again = monotonic() + _AGAIN_SECONDS if self._to_ask else self._renew_at
        return max(0.0, min(self._until, again) - monotonic())

    def question(self) -> list[str]:
        """Return the tasks to ask the server of next, none when there is nothing to ask."""
        if self._renew_at <= monotonic():
            self.ask_all()
            self._renew_at = monotonic() + _RENEW_SECONDS
        return list(islice(self._to_ask, MAX_WATCH_TASKS))

    def ask_all(self) -> None:
        """Have the server asked of all tasks that are open."""
        self._to_ask = dict(self.open)

    def answer(
        self,
        asked: Sequence[str],
        found: Sequence[Outcome | None],
        words: Sequence[Progress | None] = (),
        *,
        last: bool = False,
    ) -> list[tuple[str, Event]]:
        """Take an answer in, which may be about the first of the tasks only, and return what there is to say.

        Args:
            asked: The question.
            found: The outcomes.
            words: How far the tasks have come.
            last: That is it then: say it also of tasks that have not ended.
        """
        self.answered = True
        told: list[tuple[str, Event]] = []
        for task_id, outcome, word in zip_longest(asked[: len(found)], found, words[: len(found)]):
            self._to_ask.pop(task_id, None)
            if word is not None:
                told += self._new(task_id, word)
            if outcome is None:
                told += self._close(task_id, Missing.GONE if task_id in self._seen else Missing.UNKNOWN)
            elif last or outcome.state.ended:
                told += self._close(task_id, outcome)
            else:
                self._seen.add(task_id)
        return told

    def hear(self, told: Iterable[News]) -> Iterator[tuple[str, Event]]:
        """Take news in, and give what there is to say."""
        for news in told:
            if news is None:
                self.ask_all()
                continue
            task_id, event = news
            if isinstance(event, Progress):
                yield from self._new(task_id, event)
            elif isinstance(event, Outcome):
                self._to_ask.pop(task_id, None)
                yield from self._close(task_id, event)
            elif task_id in self.open:
                self._to_ask[task_id] = None

    def _new(self, task_id: str, word: Progress) -> list[tuple[str, Event]]:
        # What was read and what was told may overtake each other.
        latest = self._latest.get(task_id)
        if task_id not in self.open or word == latest or (latest and latest.updated_at > word.updated_at):
            return []
        self._latest[task_id] = word
        return [(task_id, word)]

    def _close(self, task_id: str, outcome: Outcome | Missing) -> list[tuple[str, Event]]:
        # Asked and told at the same time, a task may have been closed already.
        if task_id not in self.open:
            return []
        del self.open[task_id]
        return [(task_id, outcome)]


def until(seconds: float | None) -> float:
    """Return when so many seconds are over, on the monotonic clock; None is never."""
    return float("inf") if seconds is None else monotonic() + seconds
