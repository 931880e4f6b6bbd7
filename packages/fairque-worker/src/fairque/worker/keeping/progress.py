"""Sends the progress of tasks to the queue: the latest of each task, all in one call, a few times a second."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from fairque.protocol.calls.progress import Reported
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.progress import Progress
from fairque.protocol.service.supervision import Service
from fairque.worker.jobs import Job
from fairque.worker.log import log

__all__ = ["PAUSE_SECONDS", "ProgressSender"]

#: Seconds between two calls; progress in between replaces what the same task reported before.
PAUSE_SECONDS = 0.25


class Line(Protocol):
    """Receives progress: the queue, or, in a child process, the worker."""

    def progress(self, reports: Sequence[Reported]) -> None:
        """Send progress; after a `FairqueError` it has to be sent again."""


class ProgressSender:
    """Sends from its own thread, which the first progress of any task starts.

    Args:
        line: Receives the progress.
        on_death: Called when the thread ends without being stopped.
    """

    def __init__(self, line: Line, on_death: Callable[[str, BaseException], None] = lambda *_: None) -> None:
        self._line = line
        self._on_death = on_death
        self._pause = threading.Event()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._jobs: dict[Job, None] = {}
        self._service: Service | None = None
        self._stopped = False
        self._silent = False

    def note(self, job: Job, progress: Progress) -> None:
        """Keep the latest progress of a task, to be sent soon. It does not block."""
        with self._lock:
            job.progress = progress
            self._jobs[job] = None
            service = self._service or self._started()
        if service is not None:
            service.ring()

    def flush(self) -> None:
        """Send what is not sent yet, once the call under way has returned."""
        self._send()

    def stop(self) -> None:
        """Stop the thread; safe to call twice. Progress that is not sent yet goes with the ending of its task."""
        with self._lock:
            self._stopped = True
            service = self._service
        if service is not None:
            service.stop()

    def step(self) -> None:
        """Rest until there is progress, and send it."""
        service = self._service
        if service is None:
            return
        with self._lock:
            quiet = not self._jobs
        if quiet:
            service.rest(math.inf)
        if not service.stopped:
            self._send()
            # New progress does not end this pause: it goes with the next call.
            self._pause.wait(PAUSE_SECONDS)

    def _started(self) -> Service | None:
        """Start the thread, if possible; otherwise the latest progress goes with the ending of its task."""
        if self._stopped:
            return None
        service = Service(
            "fairque-progress",
            self.step,
            patience=math.inf,
            on_death=self._on_death,
            log=log,
            wake=self._pause.set,
        )
        self._service = service
        try:
            service.start()
        except FairqueError as error:
            self._service = None
            log.warning("progress is only reported at the end of tasks", error=str(error))
            return None
        return service

    def _send(self) -> None:
        with self._sending:
            self._send_next()

    def _send_next(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, {}
            latest = [(job, job.progress) for job in jobs if job.progress is not None]
        reports = [Reported(job.granted.task_id, job.granted.token, progress) for job, progress in latest]
        try:
            if reports:
                self._line.progress(reports)
        except FairqueError as error:
            if not self._silent:
                log.warning("progress could not be reported: trying again", error=str(error), tasks=len(reports))
            self._silent = True
            with self._lock:
                self._jobs = {**dict.fromkeys(job for job, _ in latest), **self._jobs}
            return
        self._silent = False
        with self._lock:
            # Only now that it has arrived: an ending includes progress that may not have.
            for job, progress in latest:
                if job.progress is progress:
                    job.progress = None
