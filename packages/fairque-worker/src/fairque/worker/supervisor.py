"""The supervisor of several worker processes: it forwards signals, restarts dead ones, and reaps orphaned processes.

It runs no task and has no thread, so it may wait for any child process, as process 1 of a container has to.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import define, field

from fairque.protocol import clock
from fairque.protocol.service import exits
from fairque.protocol.service.signals import Order
from fairque.worker.log import log
from fairque.worker.processes.interpreter import interpreter_options
from fairque.worker.signals import SIGNALS

__all__ = ["Supervisor"]

#: Seconds after which a process that ends is restarted at once.
_STEADY_SECONDS = 5.0
#: Seconds before one that ended sooner is restarted: doubled each time, up to the second value.
_PAUSES_SECONDS = (0.5, 30.0)
#: Exit codes that a restart does not fix.
_FINAL = frozenset({exits.USAGE, exits.MISMATCH, exits.IMPORT, exits.CONFIGURATION})
_HEARD = frozenset({*SIGNALS, signal.SIGCHLD, signal.SIGALRM})


@define(eq=False)
class _Place:
    """The place of one worker process, which restarts fill again.

    Attributes:
        number: Number of the place, from 1.
        pid: The process; None if there is none.
        began_at: When it was started, on the monotonic clock.
        due_at: When the next one is due to start; None for never.
        starts: How many processes were started here.
        short_lives: How many in a row ended soon.
    """

    number: int
    pid: int | None = field(default=None, init=False)
    began_at: float = field(default=0.0, init=False)
    due_at: float | None = field(default=0.0, init=False)
    starts: int = field(default=0, init=False)
    short_lives: int = field(default=0, init=False)


class Supervisor:
    """Keeps worker processes running until a signal or, in a burst, until all have ended.

    Args:
        command: The command of a worker; the supervisor adds ``--supervised PARENT:NUMBER``, and ``:again`` to it for a
            process that replaces another.
        processes: How many there are.
        burst: Whether a process that has ended well is not restarted.
    """

    def __init__(self, command: Sequence[str], processes: int, *, burst: bool) -> None:
        self._command = tuple(command)
        self._places = [_Place(number + 1) for number in range(processes)]
        self._burst = burst
        self._stopping = False
        self._paused = False
        self._code = exits.STOPPED

    def run(self) -> int:
        """Run until all processes have ended, and return the common exit code; for the main thread of its own process.

        0 if all have ended well; else the code of the process whose end stopped all, or of the first that failed while
        all were being stopped.
        """
        with _signals() as signals:
            self._begin_due()
            while any(place.pid is not None or place.due_at is not None for place in self._places):
                select.select([signals], [], [])
                for number in os.read(signals, 4_096):
                    self._hear(number)
                self._reap()
                self._begin_due()
        return self._code

    def _hear(self, number: int) -> None:
        order = SIGNALS.get(signal.Signals(number))
        if order is None:
            return
        if order is Order.STOP:
            self._stop()
            return
        if order in (Order.PAUSE, Order.RESUME):
            self._paused = order is Order.PAUSE
        elif order is Order.DUMP:
            log.info("worker processes", processes={place.number: place.pid for place in self._places})
        self._signal(number)

    def _stop(self) -> None:
        self._stopping = True
        for place in self._places:
            place.due_at = None
        self._signal(signal.SIGTERM)
        # A process that was suspended before its handlers were set would never end.
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for place in self._places:
            if place.pid is not None:
                # It is not reaped yet, so its number cannot belong to another process.
                os.kill(place.pid, number)

    def _reap(self) -> None:
        """Reap all processes that have ended: workers, and in a container also their orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for place in self._places:
                if place.pid == pid:
                    place.pid = None
                    self._ended(place, pid, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, pid: int, code: int) -> None:
        lived = clock.monotonic() - place.began_at
        if self._stopping:
            # Before and after its handlers are set, a worker has no tasks, and the signal that stops it just ends it.
            self._combine(exits.STOPPED if code == -signal.SIGTERM else code)
            return
        if self._burst and code == exits.STOPPED:
            return
        # An unreachable server at the first start is an error, as for one worker; for a replacement it may return. No
        # worker that has started ends with this code, so it does not matter how long that took.
        if code in _FINAL or (code == exits.UNREACHABLE and place.starts == 1):
            self._combine(code)
            self._stop()
            return
        if self._burst:
            # The tasks that it held wait for the end of their leases, for which a burst does not wait.
            self._combine(code)
        pause = 0.0
        if lived >= _STEADY_SECONDS:
            place.short_lives, place.due_at = 0, clock.monotonic()
        else:
            pause = self._pause(place)
        log.warning(
            "a worker process ended: it is started again",
            pid=pid,
            number=place.number,
            exit_code=code,
            pause_seconds=pause,
        )

    def _combine(self, code: int) -> None:
        if self._code == exits.STOPPED:
            # To the parent of the supervisor, an end by a signal is a crash.
            self._code = exits.CRASHED if code < 0 else code

    def _begin_due(self) -> None:
        """Start the processes that are due, and set the alarm for the next one."""
        now = clock.monotonic()
        if self._paused:
            return
        for place in self._places:
            if place.due_at is not None and place.due_at <= now:
                place.due_at = None
                place.starts += 1
                place.began_at = now
                try:
                    place.pid = self._begin(place)
                except OSError as error:
                    self._not_begun(place, error)
        next_at = min((place.due_at for place in self._places if place.due_at is not None), default=None)
        signal.setitimer(signal.ITIMER_REAL, 0 if next_at is None else max(0.001, next_at - now))

    def _not_begun(self, place: _Place, error: OSError) -> None:
        """Try again later, as after a process that ended soon: others work, and a shortage or an upgrade may end."""
        if place.starts == 1:
            log.error("a worker process cannot be started", number=place.number, error=str(error))
            self._combine(exits.CRASHED)
            self._stop()
            return
        log.warning(
            "a worker process cannot be started now: trying again",
            number=place.number,
            error=str(error),
            pause_seconds=self._pause(place),
        )

    def _pause(self, place: _Place) -> float:
        """Count a short life, and set when the next process is due; return in how many seconds that is."""
        place.short_lives += 1
        first, longest = _PAUSES_SECONDS
        pause = min(longest, first * 2 ** (place.short_lives - 1))
        place.due_at = clock.monotonic() + pause
        return float(pause)

    def _begin(self, place: _Place) -> int:
        which = f"{os.getpid()}:{place.number}{':again' if place.starts > 1 else ''}"
        return os.posix_spawn(
            sys.executable,
            [sys.executable, *interpreter_options(), "-m", "fairque.worker", "--supervised", which, *self._command],
            os.environ,
            # Out of reach of the terminal: its signals reach the workers once, through the supervisor.
            setpgroup=0,
            setsigmask=(),
            setsigdef=_HEARD,
        )


@contextmanager
def _signals() -> Iterator[int]:
    """Give a descriptor from which the numbers of signals are read, whichever thread of the process receives them.

    The supervisor has no other thread, but what was imported before it may have started one.
    """
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _HEARD:
        # Without a handler, SIGCHLD would be discarded.
        signal.signal(number, lambda _, __: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
    try:
        yield reader
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
