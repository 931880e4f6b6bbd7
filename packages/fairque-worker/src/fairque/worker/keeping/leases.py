"""The heartbeat: renews the leases of all tasks in flight and sweeps the queue, in its own thread."""

import time
from collections.abc import Callable, Iterable

from fairque.protocol import clock
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.service.supervision import Service
from fairque.protocol.wire.status import Status
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Job
from fairque.worker.keeping.reclaimed import note_reclaimed
from fairque.worker.log import log
from fairque.worker.metrics import Metrics

__all__ = ["LIMITS_CHECK_SECONDS", "SWEEP_SECONDS", "Heartbeat"]

#: Seconds between two sweeps by any worker: lost tasks are found at most this long after their lease has ended.
SWEEP_SECONDS = 2.0

#: Seconds between two checks whether the server has lost the limits of the configuration.
LIMITS_CHECK_SECONDS = 10.0

_BATCH = 500
#: How many tasks the warning about a late heartbeat names.
_NAMED = 20


class Heartbeat:
    """Sends heartbeats until it is stopped.

    Args:
        consumer: The queue, by a connection that nothing else uses.
        heartbeat: Seconds between two heartbeats.
        jobs: Returns the tasks in flight.
        metrics: Counts the tasks reclaimed from lost workers.
        on_death: Called when the thread ends without being stopped.

    Attributes:
        service: The thread.
    """

    def __init__(
        self,
        consumer: Consumer,
        heartbeat: float,
        jobs: Callable[[], Iterable[Job]],
        metrics: Metrics,
        on_death: Callable[[str, BaseException], None],
    ) -> None:
        self._consumer = consumer
        self._heartbeat = heartbeat
        self._jobs = jobs
        self._metrics = metrics
        self._make_all_due()
        # After a longer delay the tasks would be started elsewhere while they run here.
        patience = consumer.lease_ms / 1000 - heartbeat
        self.service = Service("fairque-heart", self.step, patience=patience, on_death=on_death, log=log)

    def _make_all_due(self) -> None:
        self._answered = self._next_beat = self._next_sweep = self._next_check = clock.monotonic()
        # Processor time of the process at the last heartbeat.
        self._cpu_seconds_at_beat = time.process_time()

    @property
    def silence(self) -> float:
        """Seconds since the last answer of the server, which is called every `SWEEP_SECONDS`."""
        return clock.monotonic() - self._answered

    def start(self) -> None:
        """Start the thread."""
        # The time since this object was created counts neither as lateness nor as silence.
        self._make_all_due()
        self.service.start()

    def stop(self) -> None:
        """Stop the thread; safe to call twice."""
        self.service.stop()
        self._consumer.runner.close()

    def step(self) -> None:
        """Do what is due, and rest until the next due time."""
        late = clock.monotonic() - self._next_beat
        if late >= 0:
            if late >= self._heartbeat:
                self._warn_late(late)
            self.beat()
            self._next_beat, self._cpu_seconds_at_beat = clock.monotonic() + self._heartbeat, time.process_time()
        if clock.monotonic() >= self._next_sweep:
            self._next_sweep = clock.monotonic() + self._sweep()
        if clock.monotonic() >= self._next_check:
            self._next_check = clock.monotonic() + LIMITS_CHECK_SECONDS
            self._check_limits()
        self.service.rest(max(0.0, min(self._next_beat, self._next_sweep) - clock.monotonic()))

    def beat(self) -> None:
        """Renew all leases once, and notify each task that should stop."""
        jobs = list(self._jobs())
        for first in range(0, len(jobs), _BATCH):
            self._renew(jobs[first : first + _BATCH])

    def _warn_late(self, late: float) -> None:
        """Log which tasks ran while this thread did not."""
        used = time.process_time() - self._cpu_seconds_at_beat
        held_up = 'a task kept the interpreter to itself: give such tasks isolation="process"'
        jobs = list(self._jobs())
        now = clock.monotonic()
        log.warning(
            "the heartbeat was late",
            late_seconds=round(late, 3),
            cause=held_up if used >= late / 2 else "the process, its machine or the server stood still",
            leases_over=sum(job.lease.held_until <= now for job in jobs),
            functions=sorted({job.task.func or "" for job in jobs if job.task is not None})[:_NAMED],
            tasks=[job.granted.task_id for job in jobs[:_NAMED]],
        )

    def _renew(self, jobs: list[Job]) -> None:
        # Anchored before the call: the server's lease can only end later than this.
        sent = clock.monotonic()
        try:
            answers = self._consumer.beat([(job.granted.task_id, job.granted.token) for job in jobs])
        except FairqueError as error:
            log.warning("heartbeat failed", error=str(error), tasks=len(jobs))
            return
        for job, status in zip(jobs, answers, strict=True):
            if status in (Status.OK, Status.REQUESTED):
                job.lease.held_until = sent + self._consumer.lease_ms / 1000
            if status is Status.REQUESTED:
                job.canceled = True
                job.request_stop(StopReason.CANCELED)
            elif status not in (Status.OK, Status.OVERDUE):
                # Overdue is left to the watch: by the worker's clock the attempt began a moment later.
                # The task may just have ended by itself; then the request has no effect.
                job.request_stop(StopReason.LEASE_LOST)

    def _check_limits(self) -> None:
        """Check whether the server has lost the limits of the configuration."""
        try:
            self._consumer.limits.look()
        except FairqueError as error:
            log.warning("the limits of the file cannot be looked at", error=str(error))

    def _sweep(self) -> float:
        """Sweep once, and return the seconds until the next sweep.

        While there is more to do that is as long as this sweep took, so that other clients have half of the server's
        time, and no heartbeat is late by more than one sweep.
        """
        began = clock.monotonic()
        try:
            swept = self._consumer.sweep(int(SWEEP_SECONDS * 900))
        except FairqueError as error:
            log.warning("sweep failed", error=str(error))
            return SWEEP_SECONDS
        self._answered = clock.monotonic()
        if swept is None:
            return SWEEP_SECONDS
        note_reclaimed(swept.tasks, self._metrics)
        return self._answered - began if swept.more else SWEEP_SECONDS
