"""Group commit: pushes of several threads or coroutines at the same time go in one call.

A push that finds no other one under way is sent at once. Those that are made meanwhile wait, and then go together. If
their call is refused, each is repeated alone, so that each caller gets the error of its own push: a push stores all
tasks or none, and may be repeated.
"""

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import Final, TypeAlias

from attrs import define, field

from fairque.protocol.calls.push import Batch, Pushed, join, number_of_joinable, split
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.forks import inherits

__all__ = ["AsyncGroupCommit", "GroupCommit"]


class _Alone(Enum):
    """Takes the place of an outcome: the caller has to push its batch itself."""

    ALONE = "alone"


_ALONE: Final = _Alone.ALONE
#: How often a thread that waits checks whether there still is a leader.
_LOOK_SECONDS: Final = 1.0

#: What became of one push: the answers for its tasks, an error, or that it has to be pushed alone.
_Outcome: TypeAlias = list[Pushed] | Exception | _Alone


def _failures(number: int, error: Exception) -> Sequence[_Outcome]:
    """Return what becomes of each of several pushes whose joint call failed."""
    if not isinstance(error, RedisUnavailable):
        return [_ALONE] * number
    # No answer, also after retries: each would have had the same alone. Each caller raises an object of its own.
    return [_copied(error) for _ in range(number)]


def _copied(error: Exception) -> Exception:
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


@define(eq=False)
class _Entry:
    """A push of one thread.

    Attributes:
        batch: Its tasks.
        thread: The thread.
        wake: Released once the push has an outcome, or its thread has to lead.
        outcome: What became of it; None at first.
        given_up: Whether its thread no longer waits, since it was interrupted.
    """

    batch: Batch
    thread: int
    wake: threading.Lock = field(factory=threading.Lock)
    outcome: _Outcome | None = None
    given_up: bool = False

    def __attrs_post_init__(self) -> None:
        self.wake.acquire()

    def settle(self, outcome: _Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.wake_up()

    def wake_up(self) -> None:
        with suppress(RuntimeError):  # it was woken before
            self.wake.release()


class GroupCommit:
    """Pushes of threads. One of them leads: it sends its own push, and those that have waited with it.

    Whatever happens to a thread, such as an exception that a signal raises, the others continue: those of an unfinished
    call are pushed again, and another one leads.

    Args:
        push: Pushes one batch.
    """

    def __init__(self, push: Callable[[Batch], list[Pushed]]) -> None:
        self._push = push
        self._lock = threading.Lock()
        self._leader: _Entry | None = None
        self._under_way: Sequence[_Entry] = ()
        self._waiting: deque[_Entry] = deque()
        # The push of each thread that is in `push`.
        self._threads: dict[int, _Entry] = {}
        inherits(self)

    def start_over(self) -> None:
        """Forget the pushes of other threads in a forked child; one of this thread goes alone."""
        self._lock = threading.Lock()
        self._threads = {}
        entries = [*self._under_way, *self._waiting, *((self._leader,) if self._leader else ())]
        self._leader, self._under_way, self._waiting = None, (), deque()
        for entry in entries:
            entry.settle(_ALONE)

    def push(self, batch: Batch) -> list[Pushed]:
        """Push a batch, perhaps together with others, and return the answers for its tasks.

        Raises:
            FairqueError: As if it had been pushed alone.
        """
        thread = threading.get_ident()
        if thread in self._threads:
            # It is called by the handler of a signal, which has interrupted another push of this thread.
            return self._push(batch)
        entry = _Entry(batch, thread)
        try:
            self._threads[thread] = entry
            with self._lock:
                self._replace_lost_leader()
                if self._leader is None:
                    self._leader = entry
                else:
                    self._waiting.append(entry)
            while entry.outcome is None:
                if self._leader is entry:
                    self._lead(entry)
                elif not entry.wake.acquire(timeout=_LOOK_SECONDS):
                    with self._lock:
                        self._replace_lost_leader()
        finally:
            try:
                self._leave(entry)
            finally:
                self._threads.pop(thread, None)
        outcome = entry.outcome
        if isinstance(outcome, list):
            return outcome
        if isinstance(outcome, Exception):
            raise outcome
        return self._push(batch)

    def _lead(self, entry: _Entry) -> None:
        if not self._waiting:
            entry.outcome = self._push(entry.batch)
            return
        together = self._take(entry)
        outcomes: Sequence[_Outcome]
        try:
            pushed = self._push(join([joined.batch for joined in together]))
            outcomes = split([joined.batch for joined in together], pushed)
        except FairqueError as error:
            # Another exception is that of this thread alone, such as one that a signal raises: the others lead next.
            outcomes = _failures(len(together), error)
        for pushed_entry, outcome in zip(together, outcomes, strict=True):
            pushed_entry.settle(outcome)

    def _take(self, entry: _Entry) -> Sequence[_Entry]:
        """Return the entries that go together: that of the leader, and those that have waited longest."""
        with self._lock:
            number = number_of_joinable([entry.batch, *(waiting.batch for waiting in self._waiting)])
            # First noted and then removed, so that none is lost if an exception of a signal comes in between.
            self._under_way = [entry, *islice(self._waiting, number - 1)]
            for _ in range(number - 1):
                self._waiting.popleft()
            return self._under_way

    def _leave(self, entry: _Entry) -> None:
        """Let another thread lead if this one does, and forget a push that was interrupted."""
        if self._leader is not entry and entry.outcome is not None:
            return
        try:
            with self._lock:
                self._hand_over(entry)
        except BaseException:
            # An exception that a signal raises: without a leader all others would wait forever.
            with self._lock:
                self._hand_over(entry)
            raise

    def _replace_lost_leader(self) -> None:
        """Let another thread lead if an exception of a signal took the leader away before it could hand over."""
        leader = self._leader
        if leader is not None and self._threads.get(leader.thread) is not leader:
            self._hand_over(leader)

    def _hand_over(self, entry: _Entry) -> None:
        entry.given_up = True
        if self._leader is entry:
            unfinished = [other for other in self._under_way if other.outcome is None and not other.given_up]
            self._waiting.extendleft(other for other in reversed(unfinished) if other not in self._waiting)
            self._under_way = ()
            self._leader = None
        elif entry in self._waiting:
            self._waiting.remove(entry)
        if self._leader is None and self._waiting:
            self._leader = self._waiting[0]
        if self._waiting and self._waiting[0] is self._leader:
            self._waiting.popleft()
        if self._leader is not None:
            self._leader.wake_up()


@define(eq=False)
class _AsyncEntry:
    """A push of one coroutine, and the future of its outcome."""

    batch: Batch
    outcome: "asyncio.Future[_Outcome]"


class AsyncGroupCommit:
    """Pushes of coroutines on one event loop; see `GroupCommit`. A task of its own pushes those that have waited.

    Args:
        push: Pushes one batch.
    """

    def __init__(self, push: Callable[[Batch], Awaitable[list[Pushed]]]) -> None:
        self._push = push
        self.start_over()
        inherits(self)

    def start_over(self) -> None:
        """Forget all pushes: at first, and in a forked child, where their event loop does not run."""
        self._busy = False
        self._waiting: deque[_AsyncEntry] = deque()
        self._together: list[_AsyncEntry] = []
        self._task: asyncio.Task[None] | None = None

    async def push(self, batch: Batch) -> list[Pushed]:
        """Push a batch; see `GroupCommit.push`."""
        if not self._busy:
            self._busy = True
            try:
                return await self._push(batch)
            finally:
                self._continue()
        future: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_AsyncEntry(batch, future))
        outcome = await future
        if isinstance(outcome, list):
            return outcome
        if isinstance(outcome, Exception):
            raise outcome
        return await self._push(batch)

    def _continue(self) -> None:
        """Push those that have waited, if any."""
        self._drop_canceled()
        self._busy = bool(self._waiting)
        if self._busy:
            self._task = asyncio.get_running_loop().create_task(self._push_waiting(), name="fairque-pushes")
            # Not at the end of the task itself, which may be canceled before its first step.
            self._task.add_done_callback(self._finish)

    async def _push_waiting(self) -> None:
        while self._waiting:
            number = number_of_joinable(entry.batch for entry in self._waiting)
            self._together = [self._waiting.popleft() for _ in range(number)]
            _settle(self._together, await self._push_together(self._together))
            self._drop_canceled()

    def _finish(self, task: "asyncio.Task[None]") -> None:
        """Usually each push has an outcome. If the task was canceled, each caller continues alone."""
        if task is not self._task:
            return
        undone = self._together
        self._together = []
        if task.cancelled():
            undone = [*undone, *self._waiting]
            self._waiting.clear()
        _settle(undone, [_ALONE] * len(undone))
        self._continue()

    async def _push_together(self, together: Sequence[_AsyncEntry]) -> Sequence[_Outcome]:
        batches = [entry.batch for entry in together]
        try:
            return split(batches, await self._push(join(batches)))
        except Exception as error:  # noqa: BLE001 - each caller gets its own
            return [error] if len(together) == 1 else _failures(len(together), error)

    def _drop_canceled(self) -> None:
        if any(entry.outcome.done() for entry in self._waiting):
            self._waiting = deque(entry for entry in self._waiting if not entry.outcome.done())


def _settle(entries: Sequence[_AsyncEntry], outcomes: Sequence[_Outcome]) -> None:
    for entry, outcome in zip(entries, outcomes, strict=True):
        if not entry.outcome.done():
            entry.outcome.set_result(outcome)
