"""Calls functions that may hang, such as log handlers of users, in separate threads, so that the service continues.

Usually such a call returns at once, and its caller waits for it, so that lines appear in order. For calls that are slow
or hang, all callers together wait for two seconds, and later for a tenth of the time: neither the work of a service
nor its end depends on them.
"""

import atexit
import math
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Final

from attrs import define, field

from fairque.protocol import clock
from fairque.protocol.forks import inherits
from fairque.protocol.service.patches import patched_by
from fairque.protocol.service.streams import write_line
from fairque.protocol.service.threads import BegunThread

__all__ = ["call_aside", "hangs", "say"]

#: One thread, and another one for calls while the first one hangs.
_THREADS: Final = 2
#: Seconds that callers wait: enough for a handler that writes, even on a busy machine.
_LONGEST_SECONDS: Final = 2.0
#: Of this, what they may wait for again after a second.
_REGAINED: Final = 0.1
#: Seconds that any call may take: only what is longer counts.
_QUICK_SECONDS: Final = 0.01
#: Seconds that the end of the program waits for pending calls.
_LAST_SECONDS: Final = 1.0
#: Calls that are kept while all threads hang.
_MOST_WAITING: Final = 1_000


@define(eq=False)
class _Call:
    what: str
    run: Callable[[], object]
    began_at: float = math.inf
    reported: bool = False
    ended: threading.Event = field(factory=threading.Event)


class _Aside:
    """Threads that call one function after another."""

    def __init__(self) -> None:
        self.start_over()
        inherits(self)
        atexit.register(self.wait)

    def start_over(self) -> None:
        """In a forked child: the threads and their calls belong to the parent."""
        self._changed = threading.Condition()
        self._waiting: deque[_Call] = deque()
        self._running: set[_Call] = set()
        self._threads: list[threading.Thread] = []
        self._lost = 0
        self._patience, self._counted_at = _LONGEST_SECONDS, clock.monotonic()

    def hanging(self) -> int:
        """Return how many threads have run one call for longer than callers wait."""
        return len(self._late())

    def _late(self) -> list[_Call]:
        late = clock.monotonic() - _LONGEST_SECONDS
        return [call for call in list(self._running) if call.began_at <= late]

    def call(self, what: str, function: Callable[[], object]) -> None:
        # In such a thread a handler of the log writes to the log; and patched threads are none: no service runs there.
        if threading.current_thread() in self._threads or patched_by():
            function()
            return
        call = _Call(what, partial(copy_context().run, function))
        with self._changed:
            in_vain = self.hanging() == _THREADS
            if len(self._waiting) >= _MOST_WAITING:
                self._lost += 1
                return
            have = self._have_thread()
            if have:
                self._waiting.append(call)
                self._changed.notify_all()
        if not have:
            function()
            return
        if not in_vain:
            self._await(call)
        self._report_hanging()

    def _await(self, call: _Call) -> None:
        """Wait for a call, as long as callers have not waited too much for the last ones."""
        began = clock.monotonic()
        with self._changed:
            regained = max(0.0, began - self._counted_at) * _REGAINED
            self._patience, self._counted_at = min(_LONGEST_SECONDS, self._patience + regained), began
            seconds = max(0.0, self._patience) + _QUICK_SECONDS
        call.ended.wait(seconds)
        with self._changed:
            self._patience -= max(0.0, clock.monotonic() - began - _QUICK_SECONDS)

    def wait(self) -> None:
        """Wait until all calls have returned, one second at most."""
        self._report_hanging()
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._running), _LAST_SECONDS)

    def _have_thread(self) -> bool:
        if len(self._waiting) + len(self._running) >= len(self._threads) < _THREADS:
            with suppress(RuntimeError, MemoryError):  # the system has none left, or the interpreter ends
                thread = BegunThread(self._run, f"log-of-fairque-{len(self._threads)}")
                thread.start()
                self._threads.append(thread)
        return bool(self._threads)

    def _report_hanging(self) -> None:
        for call in self._late():
            line = f"fairque: {call.what} hangs: the service continues without, and further lines may be lost"
            with self._changed:
                if call in self._running and not call.reported and self._have_thread():
                    call.reported = True
                    # Before other calls, which may hang as well.
                    self._waiting.appendleft(_Call("standard error", partial(write_line, sys.stderr, line)))
                    self._changed.notify_all()

    def _run(self) -> None:
        while True:
            # Whatever is raised here, such as for lack of memory, must not end this thread: nobody would notice.
            with suppress(BaseException):
                self._run_next()

    def _run_next(self) -> None:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            call = self._waiting.popleft()
            lost, self._lost = self._lost, 0
            call.began_at = clock.monotonic()
            self._running.add(call)
        try:
            with suppress(BaseException):
                call.run()
            if lost:
                write_line(sys.stderr, f"fairque: {lost:,} lines were lost, since what writes them was slow or hung")
        finally:
            with self._changed:
                self._running.discard(call)
                self._changed.notify_all()
            call.ended.set()


_aside = _Aside()


def call_aside(what: str, function: Callable[[], object]) -> None:
    """Call a function that may hang, and wait at most two seconds for it to return; errors that it raises are dropped.

    While calls are slow, there is no wait.

    Args:
        what: What is called, for the line that reports that it hangs.
        function: Called with the context variables of the caller, once a thread is free.
    """
    _aside.call(what, function)


def hangs() -> bool:
    """Return whether a call hangs: it may hold a lock that the end of a program needs."""
    return _aside.hanging() > 0


def say(text: str) -> None:
    """Write a text to standard error, which may be a pipe without a reader."""
    call_aside("standard error", lambda: write_line(sys.stderr, text))
