"""Wakes the watch over deadlines when a new one comes before its next look."""

import math
import threading

__all__ = ["Alarm"]


class Alarm:
    """Wakes the watch for what comes before its next look. Who begins a task compares one number and takes no lock.

    Attributes:
        until: When the watch looks next, on the monotonic clock; minus infinity when nobody watches.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self._rung = threading.Event()

    def ring(self) -> None:
        """Have the watch look now."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, at most so long; for the watch."""
        self._rung.wait(seconds)

    def begin_look(self) -> None:
        """Note that what begins from now on may be overlooked, and so has to ring; for the watch."""
        self._rung.clear()
        self.until = math.inf
