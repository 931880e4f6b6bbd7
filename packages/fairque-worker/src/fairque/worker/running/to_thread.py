"""The threads behind `asyncio.to_thread`: each attempt has its own, as many as asyncio gives to a program."""

import math
import os
from collections import deque
from contextlib import suppress
from functools import partial

from attrs import define, field

from fairque.protocol import clock
from fairque.protocol.model.context import TaskContext, context_here
from fairque.worker.forks import end_copy
from fairque.worker.running.thread_state import ThreadState
from fairque.worker.running.threads import Slot, Threads, Work

__all__ = ["ToThreadPool"]

#: As many as asyncio itself would have.
_MOST = min(32, (os.cpu_count() or 1) + 4)


@define(eq=False)
class _AttemptCalls:
    """The calls of one attempt in these threads.

    Attributes:
        running: How many threads it uses.
        waiting: Its calls that wait for one of them.
        ended_at: When the attempt ended and left calls behind, on the monotonic clock.
    """

    running: int = 0
    waiting: deque[Work] = field(factory=deque)
    ended_at: float = math.inf


class ToThreadPool(Threads):
    """A pool that grows with its work, and in which no attempt waits for the calls of another.

    A thread cannot be interrupted: calls continue after the coroutine that awaits them was canceled, maybe forever.
    """

    def __init__(self) -> None:
        # Each attempt is limited on its own.
        super().__init__(2**31, name="asyncio")
        self._calls: dict[TaskContext | None, _AttemptCalls] = {}
        # Threads that rest, and calls that none of them has taken yet.
        self._idle = self._untaken = 0

    def note_end(self, owner: TaskContext | None) -> bool:
        """Note that an attempt has ended; return whether some of its calls continue."""
        if owner not in self._calls:
            return False
        with self._guard:
            if calls := self._calls.get(owner):
                calls.ended_at = clock.monotonic()
        return calls is not None

    def count_abandoned(self, seconds: float) -> int:
        """Return how many attempts ended more than so many seconds ago and have calls that continue."""
        before = clock.monotonic() - seconds
        with self._guard:
            return sum(calls.ended_at < before for calls in self._calls.values())

    def _hand_over(self, work: Work) -> None:
        owner = context_here()
        with self._guard:
            self._refuse_if_over()
            calls = self._calls.get(owner) or _AttemptCalls()
            if calls.running >= _MOST:
                calls.waiting.append(work)
                return
            if self._idle <= self._untaken:
                before = self._begun
                self._begin()
                self._idle += self._begun - before
            # Without a new thread the call waits for the first one that is free.
            if not self._begun:
                raise RuntimeError(self.shortage)
            calls.running += 1
            self._calls[owner] = calls
            self._untaken += 1
            self._waiting.put(partial(self._serve, owner, calls, work))

    def _serve(self, owner: TaskContext | None, calls: _AttemptCalls, first: Work, slot: Slot) -> None:
        work: Work | None = first
        while work is not None:
            # Even an exception that raises while it is logged must not cost the attempt a thread.
            with suppress(BaseException):
                work(slot)
            with self._guard:
                work = calls.waiting.popleft() if calls.waiting else None
                if work is None:
                    calls.running -= 1
                    if not calls.running:
                        self._calls.pop(owner, None)

    def _run(self, slot: Slot) -> None:
        pid, slot.state = os.getpid(), ThreadState.current()
        while (work := self._waiting.get()) is not None:
            with self._guard:
                self._idle -= 1
                self._untaken -= 1
            self._do(work, slot)
            del work
            if os.getpid() != pid:
                end_copy()
            with self._guard:
                if self._idle - self._untaken >= _MOST and not self._over:
                    # More than any attempt can use.
                    self._begun -= 1
                    break
                self._idle += 1
        slot.ended = True
