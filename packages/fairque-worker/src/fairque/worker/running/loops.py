"""The event loops of an executor: the one on which coroutines begin, and those that were replaced."""

import threading
from collections.abc import Callable

from fairque.protocol import clock
from fairque.worker.running.loop import Loop

__all__ = ["Loops"]


class Loops:
    """Starts an event loop when there is no usable one.

    Args:
        on_death: Called with name and error of a loop's thread that ends without being stopped.
        shared: Whether tasks share a loop; otherwise a loop that a task has changed is replaced.
    """

    def __init__(self, on_death: Callable[[str, BaseException], None], *, shared: bool) -> None:
        self._on_death, self._shared = on_death, shared
        self._loop: Loop | None = None
        self._all: list[Loop] = []
        self._stopped = False
        self._lock = threading.Lock()

    def current(self) -> Loop:
        """Return the loop on which a coroutine can begin.

        Raises:
            RuntimeError: The loops were stopped, or no thread can be started.
        """
        with self._lock:
            if self._stopped:
                raise RuntimeError("the worker has stopped: its event loop is closed")
            if self._loop is not None and self._loop.changed:
                self._loop.stop()
                self._loop = None
            if self._loop is None:
                self._all = [loop for loop in self._all if not loop.join(0)]
                self._loop = Loop(self._on_death, shared=self._shared)
                self._all.append(self._loop)
            return self._loop

    def replace(self, loop: Loop) -> None:
        """Start nothing else on a loop, since something blocks it."""
        with self._lock:
            if self._loop is loop:
                self._loop = None

    def count_abandoned(self, seconds: float) -> int:
        """Return how many attempts ended more than so many seconds ago and continue in `asyncio.to_thread`."""
        return sum(loop.to_thread_pool.count_abandoned(seconds) for loop in list(self._all))

    def stop(self, seconds: float) -> bool:
        """Cancel all coroutines, wait for the loop to end, and return whether all have, also those that were replaced.

        Nothing waits for those: something blocks them.
        """
        until = clock.monotonic() + seconds
        with self._lock:
            self._stopped = True
        for loop in self._all:
            loop.stop()
        if self._loop is not None:
            self._loop.join(until - clock.monotonic())
        return all(loop.join(0) for loop in self._all)
