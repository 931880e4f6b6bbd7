"""The heartbeat: renews the leases of all tasks in flight and sweeps the queue, in a thread of its own."""

import threading
from collections.abc import Callable, Iterable

from fairque.protocol import clock
from fairque.protocol.errors import FairqueError
from fairque.protocol.wire.status import Status
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Job
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.reclaimed import note_reclaimed

__all__ = ["SWEEP_SECONDS", "Heart"]

#: How often some worker sweeps the queue: lost tasks are found at most this long after their lease has ended.
SWEEP_SECONDS = 2.0

_BATCH = 500


class Heart:
    """Beats until it is stopped.

    Args:
        consumer: With a connection that nothing else uses.
        heartbeat_seconds: Seconds between two beats.
        jobs: Gives the tasks in flight.
        metrics: Counts what is taken back from lost workers.
    """

    def __init__(
        self, consumer: Consumer, heartbeat_seconds: float, jobs: Callable[[], Iterable[Job]], metrics: Metrics
    ) -> None:
        self._consumer = consumer
        self._heartbeat = heartbeat_seconds
        self._jobs = jobs
        self._metrics = metrics
        self._answered = clock.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairque-heart", daemon=True)

    @property
    def silence(self) -> float:
        """Since how many seconds the server has not answered. It is asked every `SWEEP_SECONDS`."""
        return clock.monotonic() - self._answered

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End; safe to call twice."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._consumer.runner.close()

    def _run(self) -> None:
        next_beat = clock.monotonic() + self._heartbeat
        next_sweep = clock.monotonic()
        while not self._stopped.wait(max(0.0, min(next_beat, next_sweep) - clock.monotonic())):
            if clock.monotonic() >= next_beat:
                next_beat = clock.monotonic() + self._heartbeat
                self.beat()
            if clock.monotonic() >= next_sweep:
                next_sweep = clock.monotonic() + self._sweep()

    def beat(self) -> None:
        """Renew all leases once, and tell each task that should stop."""
        jobs = list(self._jobs())
        for first in range(0, len(jobs), _BATCH):
            self._renew(jobs[first : first + _BATCH])

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
                job.request_cancel("it was canceled")
            elif status not in (Status.OK, Status.OVERDUE):
                # Overdue is left to the watch: by the worker's clock the attempt began a moment later.
                # The task may just have ended by itself; then nobody listens any more.
                job.request_cancel("its lease is lost", lease_lost=True)

    def _sweep(self) -> float:
        """Sweep once, and return after how many seconds to sweep again.

        While there is more to do that is as long as this sweep took, so that others have half of the server's time,
        and that no beat is late by more than one sweep.
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
