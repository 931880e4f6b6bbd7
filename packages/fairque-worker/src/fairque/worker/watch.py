"""The watch over tasks: it tells one in time that its lease or its timeout is over, also when the server is silent."""

import threading
from collections.abc import Callable, Iterable

from fairque.protocol import clock
from fairque.worker.jobs import Job

__all__ = ["Watch"]


class Watch:
    """Looks at the worker's own clock, in a thread of its own, since a heartbeat may wait for an answer for long.

    Args:
        longest_seconds: Seconds between two looks at most: a lease that was granted meanwhile must last longer.
        jobs: Gives the tasks in flight.
    """

    def __init__(self, longest_seconds: float, jobs: Callable[[], Iterable[Job]]) -> None:
        self._longest = longest_seconds
        self._jobs = jobs
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairque-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End; safe to call twice."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.wait(self._look()):
            pass

    def _look(self) -> float:
        """Tell the tasks whose lease is over, and return the seconds until the next one can be."""
        now, pause = clock.monotonic(), self._longest
        for job in self._jobs():
            if not job.lease.held():
                job.request_cancel("its lease could not be renewed", lease_lost=True)
                continue
            pause = min(pause, max(0.0, job.lease.held_until - now))
            if job.context is not None and not job.context.cancelled:
                left = job.context.seconds_left
                if left <= 0:
                    job.request_cancel("its timeout is over")
                else:
                    pause = min(pause, left)
        return pause
