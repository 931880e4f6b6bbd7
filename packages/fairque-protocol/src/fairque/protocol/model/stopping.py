"""How an attempt is told to stop: why, once, and to whom."""

import threading
from collections.abc import Callable
from enum import StrEnum

__all__ = ["StopReason", "StopSignal"]


class StopReason(StrEnum):
    """Why a running task should stop."""

    #: Somebody canceled it.
    CANCELED = "canceled"
    #: Its timeout is over.
    TIMEOUT = "timeout"
    #: Its worker no longer holds it: another one may run it by now.
    LEASE_LOST = "lease_lost"
    #: Its worker stops, and has given it back.
    WORKER_STOPS = "worker_stops"

    @property
    def ends_lease(self) -> bool:
        """Whether the worker no longer holds a task that stops for this reason."""
        return self in _END_LEASE


_END_LEASE = frozenset({StopReason.LEASE_LOST, StopReason.WORKER_STOPS})


class StopSignal:
    """Between a worker, which gives it, and the attempt, which looks at it, waits for it, or is called.

    Attributes:
        reason: Why the attempt should stop; None while it should not. The first reason stays.
    """

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._given = threading.Event()
        self._lock = threading.Lock()
        self._callback: Callable[[], None] | None = None
        self._closed = False

    def give(self, reason: StopReason) -> None:
        """Tell the attempt to stop; only the first call does something."""
        with self._lock:
            first, callback = self.reason is None, self._callback
            if first:
                self.reason = reason
                self._given.set()
        if first and callback is not None:
            callback()

    def wait(self, seconds: float | None) -> None:
        """Wait until it is given, at most so long."""
        self._given.wait(seconds)

    def when_given(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called once when it is given, at once if it already was; never after `close`."""
        with self._lock:
            if self._closed:
                return
            self._callback = callback
            already = self.reason is not None
        if already:
            callback()

    def close(self) -> None:
        """Forget the callback, which may hold what is the user's: the attempt has ended."""
        with self._lock:
            self._closed = True
            self._callback = None
