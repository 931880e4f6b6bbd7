"""Wakes a thread that sleeps on a socket; any thread may ring."""

import math
import select
import socket
from contextlib import suppress
from typing import Protocol

from fairque.protocol.forks import drop_in_forks

__all__ = ["Doorbell"]


#: Most seconds of one sleep, in case a ring was lost.
_LONGEST_SECONDS = 2.0


class _Readable(Protocol):
    def fileno(self) -> int: ...


class Doorbell:
    """A bell for one thread that also sleeps on other sockets. A ring while it is awake costs nothing."""

    def __init__(self) -> None:
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._asleep = False
        self._rung = False
        self._broken: OSError | None = None
        self._failed = False

    def open(self) -> None:
        """Open the sockets; before the first sleep.

        Raises:
            OSError: There is no descriptor left.
        """
        self._ends = socket.socketpair()
        for end in self._ends:
            end.settimeout(0)
            drop_in_forks(end)

    def ring(self) -> None:
        """End the present or the next sleep; from any thread."""
        self._rung = True
        if self._asleep:
            self._asleep = False
            try:
                self._pair[1].send(b"\0")
            except BlockingIOError:
                pass  # the sleeper has not read earlier bytes yet, and one is enough
            except OSError as error:
                self._broken = error

    def sleep(self, seconds: float, other: _Readable | None = None) -> bool:
        """Sleep until a ring or until the other socket is readable; return whether it is readable.

        The sleep may end earlier.

        Args:
            seconds: How long to sleep at most; may be infinite.
            other: Another socket, for example of a call under way.

        Raises:
            OSError: A ring was lost, since code in this process has closed or replaced a descriptor of the bell.
        """
        self._failed = True
        if self._broken is not None:
            raise OSError(*self._broken.args)
        # First asleep, then the check: `ring` does it in the opposite order, so no ring is missed.
        self._asleep = True
        if self._rung:
            self._rung = self._asleep = False
            seconds = 0.0
        reader = self._pair[0]
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if other is not None:
            poll.register(other.fileno(), select.POLLIN)
        ready = poll.poll(math.ceil(min(max(0.0, seconds), _LONGEST_SECONDS) * 1000))
        self._rung = self._asleep = False
        mine = reader.fileno()
        if any(number == mine for number, _ in ready):
            with suppress(BlockingIOError):
                while reader.recv(4096):
                    pass
        self._failed = False
        return any(number != mine for number, _ in ready)

    def check(self) -> None:
        """Raise the error of the last sleep once more, unless it is possible to sleep again.

        Otherwise the work between two sleeps, which succeeds, would hide that every sleep fails.

        Raises:
            OSError: As `sleep`.
        """
        if self._failed:
            self.sleep(0.0)

    def close(self) -> None:
        """Close it; a later ring does nothing."""
        for end in self._ends or ():
            with suppress(OSError):  # a task has closed its descriptor
                end.close()

    @property
    def _pair(self) -> tuple[socket.socket, socket.socket]:
        if self._ends is None:
            raise RuntimeError("the bell is not open: open it before the first sleep")
        return self._ends
