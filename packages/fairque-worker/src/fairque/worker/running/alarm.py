"""Wakes the watch over deadlines when a new deadline comes before its next check."""

import math
import threading

__all__ = ["Alarm"]


class Alarm:
    """Wakes the watch for deadlines before its next check. Starting a task compares one number and takes no lock.

    Attributes:
        until: When the watch checks next, on the monotonic clock; minus infinity while there is no watch.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self._rung = threading.Event()

    def ring(self) -> None:
        """Make the watch check now."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait at most so many seconds for a ring; for the watch."""
        self._rung.wait(seconds)

    def begin_check(self) -> None:
        """Note that tasks that start from now on may be missed, and so have to ring; for the watch."""
        self._rung.clear()
        self.until = math.inf
