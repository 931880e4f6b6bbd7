"""The watch over tasks: acts in time when a lease or a timeout ends, even if the server does not answer."""

import math
from collections.abc import Callable, Iterable

from fairque.protocol import clock
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.service.supervision import Service
from fairque.worker.jobs import Job
from fairque.worker.log import log
from fairque.worker.running.alarm import Alarm

__all__ = ["Watch"]

#: How long a shortage may keep the watch from its work before the worker counts as crashed.
_PATIENCE_SECONDS = 5.0


class Watch:
    """Checks deadlines by the worker's clock, in its own thread, since a heartbeat may wait long for an answer.

    Args:
        longest_seconds: Most seconds between two checks: a lease that is granted in between must last longer.
        jobs: Returns the tasks in flight.
        alarm: Rung when a task starts whose limit comes before the next check.
        enforce: Called with a task whose limit is over; it sets the next limit.
        on_death: Called when the thread ends without being stopped.

    Attributes:
        service: The thread.
    """

    def __init__(
        self,
        longest_seconds: float,
        jobs: Callable[[], Iterable[Job]],
        alarm: Alarm,
        enforce: Callable[[Job], None],
        on_death: Callable[[str, BaseException], None],
    ) -> None:
        self._longest = longest_seconds
        self._jobs = jobs
        self._alarm = alarm
        self._enforce = enforce
        self.service = Service(
            "fairque-watch", self.step, patience=_PATIENCE_SECONDS, on_death=on_death, log=log, wake=alarm.ring
        )

    def start(self) -> None:
        """Start the thread."""
        self.service.start()

    def stop(self) -> None:
        """Stop the thread; safe to call twice."""
        self.service.stop()
        self._alarm.until = -math.inf

    def step(self) -> None:
        """Act on deadlines that have passed, and rest until the next one."""
        self._alarm.begin_check()
        pause = self._look()
        self._alarm.until = clock.monotonic() + pause
        # Checked again, since the ring of `stop` may have been cleared.
        if not self.service.stopped:
            self.service.rests(pause)
            self._alarm.wait(pause)

    def _look(self) -> float:
        """Act on the tasks whose deadline has passed, and return the seconds until the next deadline."""
        pause = self._longest
        for job in self._jobs():
            now = clock.monotonic()
            if job.lease.held():
                pause = min(pause, job.lease.held_until - now)
            else:
                job.request_stop(StopReason.LEASE_LOST)
            if job.limit <= now:
                try:
                    self._enforce(job)
                except Exception:  # noqa: BLE001 - the other tasks are watched anyway
                    log.exception("a task above its timeout could not be stopped", task_id=job.granted.task_id)
            pause = min(pause, job.limit - now)
        return max(0.0, pause)
