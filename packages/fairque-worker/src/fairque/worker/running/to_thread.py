"""The threads behind `asyncio.to_thread`: each attempt has as many as asyncio gives to a program, and shares none."""

import math
import os
from collections import deque
from contextlib import suppress
from functools import partial

from attrs import define, field

from fairque.protocol import clock
from fairque.protocol.model.context import TaskContext, context_here
from fairque.worker.forks import end_copy
from fairque.worker.running.threads import Slot, Threads, Work

__all__ = ["Helpers"]

#: As many as asyncio itself would have.
_MOST = min(32, (os.cpu_count() or 1) + 4)


@define(eq=False)
class _Crew:
    """What one attempt has in these threads.

    Attributes:
        running: How many threads it has.
        waiting: What it has handed over beyond that.
        left_at: When the attempt ended and left this behind, on the monotonic clock.
    """

    running: int = 0
    waiting: deque[Work] = field(factory=deque)
    left_at: float = math.inf


class Helpers(Threads):
    """A pool that grows as there is something to do, and in which no attempt waits for the calls of another one.

    A thread cannot be interrupted: calls continue when the coroutine that waits for them was canceled, maybe forever.
    """

    def __init__(self) -> None:
        # Those who hand something over are limited one by one.
        super().__init__(2**31, name="asyncio")
        self._crews: dict[TaskContext | None, _Crew] = {}
        # Threads that rest, and what was handed over that none of them has taken yet.
        self._resting = self._untaken = 0

    def leave(self, owner: TaskContext | None) -> bool:
        """Note that an attempt has ended; return whether calls of it continue."""
        if owner not in self._crews:
            return False
        with self._guard:
            if crew := self._crews.get(owner):
                crew.left_at = clock.monotonic()
        return crew is not None

    def left(self, seconds: float) -> int:
        """Return how many attempts ended longer ago than that and have calls that continue."""
        before = clock.monotonic() - seconds
        with self._guard:
            return sum(crew.left_at < before for crew in self._crews.values())

    def _hand_over(self, work: Work) -> None:
        owner = context_here()
        with self._guard:
            self._refuse_if_over()
            crew = self._crews.get(owner) or _Crew()
            if crew.running >= _MOST:
                crew.waiting.append(work)
                return
            if self._resting <= self._untaken:
                before = self._begun
                self._begin()
                self._resting += self._begun - before
            # Without a new one it waits for the first of the others that is free.
            if not self._begun:
                raise RuntimeError(self.shortage)
            crew.running += 1
            self._crews[owner] = crew
            self._untaken += 1
            self._waiting.put(partial(self._serve, owner, crew, work))

    def _serve(self, owner: TaskContext | None, crew: _Crew, first: Work, slot: Slot) -> None:
        work: Work | None = first
        while work is not None:
            # What raises when it is logged, too, must not leave the attempt with a thread less.
            with suppress(BaseException):
                work(slot)
            with self._guard:
                work = crew.waiting.popleft() if crew.waiting else None
                if work is None:
                    crew.running -= 1
                    if not crew.running:
                        self._crews.pop(owner, None)

    def _run(self, slot: Slot) -> None:
        pid = os.getpid()
        while (work := self._waiting.get()) is not None:
            with self._guard:
                self._resting -= 1
                self._untaken -= 1
            self._do(work, slot)
            del work
            if os.getpid() != pid:
                end_copy()
            with self._guard:
                if self._resting - self._untaken >= _MOST and not self._over:
                    # More than anybody needs.
                    self._begun -= 1
                    break
                self._resting += 1
        slot.ended = True
