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

    Each attempt has one and few use it, so all of it is created when it is needed. Methods of the dictionary of the
    object, each of which is atomic, change the attributes: of several threads one is the first.
    """

    _given: tuple[StopReason] | None = None
    _callback: Callable[[], None] | None = None
    _closed = False

    @property
    def reason(self) -> StopReason | None:
        """Why the attempt should stop; None while it should not. Only the first reason counts."""
        given = self._given
        return None if given is None else given[0]

    def give(self, reason: StopReason) -> None:
        """Ask the attempt to stop; only the first call has an effect."""
        mine = (reason,)
        if self.__dict__.setdefault("_given", mine) is not mine:
            return
        event = self.__dict__.get("_event")
        if event is not None:
            event.set()
        self._call()

    def wait(self, seconds: float | None) -> None:
        """Wait until the signal is given, at most that many seconds."""
        event: threading.Event = self.__dict__.setdefault("_event", threading.Event())
        # Checked last: a signal that was given before there was an event does not set it.
        if self._given is None:
            event.wait(seconds)

    def when_given(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the signal is given, at once if it already was; never after `close`."""
        if self._closed:
            return
        self.__dict__["_callback"] = callback
        # Checked last, as in `wait`.
        if self.__dict__.get("_closed"):
            self.close()
        elif self._given is not None:
            self._call()

    def close(self) -> None:
        """Drop the callback after the attempt, since it may keep objects of the user alive."""
        self._closed = True
        if self._callback is not None:
            self.__dict__.pop("_callback", None)

    def _call(self) -> None:
        # Only one thread gets it.
        callback: Callable[[], None] | None = self.__dict__.pop("_callback", None)
        if callback is not None:
            callback()
