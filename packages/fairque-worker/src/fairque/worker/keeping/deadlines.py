"""The watch over tasks: it acts in time when a lease or a timeout is over, also when the server is silent."""

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
    """Looks at the worker's own clock, in a thread of its own, since a heartbeat may wait for an answer for long.

    Args:
        longest_seconds: Seconds between two looks at most: a lease that was granted meanwhile must last longer.
        jobs: Gives the tasks in flight.
        alarm: Rung by who begins a task whose limit comes before the next look.
        enforce: Called with a task whose limit is over; it sets the next one.
        on_death: Called when the thread ends without being told to.

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
        """Begin to watch."""
        self.service.start()

    def stop(self) -> None:
        """End; safe to call twice."""
        self.service.stop()
        self._alarm.until = -math.inf

    def step(self) -> None:
        """Act on what is over, and rest until the next thing is."""
        self._alarm.begin_look()
        pause = self._look()
        self._alarm.until = clock.monotonic() + pause
        # Looked at again, since the ring of the stop may have been cleared.
        if not self.service.stopped:
            self.service.rests(pause)
            self._alarm.wait(pause)

    def _look(self) -> float:
        """Act on the tasks whose time has come, and return the seconds until the next one's can."""
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
                except Exception:  # noqa: BLE001 - the other tasks are watched all the same
                    log.exception("a task above its timeout could not be stopped", task_id=job.granted.task_id)
            pause = min(pause, job.limit - now)
        return max(0.0, pause)
