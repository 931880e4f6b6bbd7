"""The signal by which a worker asks an attempt to stop, and its reasons."""

import threading
from collections.abc import Callable
from enum import StrEnum

__all__ = ["StopReason", "StopSignal"]


class StopReason(StrEnum):
    """Why a running task should stop."""

    #: It was canceled.
    CANCELED = "canceled"
    #: Its timeout has passed.
    TIMEOUT = "timeout"
    #: Its worker lost the lease: another worker may already run it.
    LEASE_LOST = "lease_lost"
    #: Its worker stops and has released it.
    WORKER_STOPS = "worker_stops"

    @property
    def ends_lease(self) -> bool:
        """Whether the worker no longer holds the lease of a task that stops for this reason."""
        return self in _END_LEASE


_END_LEASE = frozenset({StopReason.LEASE_LOST, StopReason.WORKER_STOPS})


class StopSignal:
    """A one-time signal from a worker to an attempt, which can check it, wait for it, or add a callback.

    Attributes:
        reason: Why the attempt should stop; None while it should not. Only the first reason counts.
    """

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._given = threading.Event()
        self._lock = threading.Lock()
        self._callback: Callable[[], None] | None = None
        self._closed = False

    def give(self, reason: StopReason) -> None:
        """Ask the attempt to stop; only the first call has an effect."""
        with self._lock:
            first, callback = self.reason is None, self._callback
            if first:
                self.reason = reason
                self._given.set()
        if first and callback is not None:
            callback()

    def wait(self, seconds: float | None) -> None:
        """Wait until the signal is given, at most that many seconds."""
        self._given.wait(seconds)

    def when_given(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the signal is given, at once if it already was; never after `close`."""
        with self._lock:
            if self._closed:
                return
            self._callback = callback
            already = self.reason is not None
        if already:
            callback()

    def close(self) -> None:
        """Drop the callback after the attempt, since it may keep objects of the user alive."""
        with self._lock:
            self._closed = True
            self._callback = None
