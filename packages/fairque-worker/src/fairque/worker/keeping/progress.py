"""Tells the queue how far tasks have come: the latest word of all of them in one call, a few times a second."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from fairque.protocol.calls import Reported
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.progress import Progress
from fairque.protocol.service.supervision import Service
from fairque.worker.jobs import Job
from fairque.worker.log import log

__all__ = ["PAUSE_SECONDS", "ProgressSender"]

#: Seconds between two calls; what is said meanwhile replaces what was said before.
PAUSE_SECONDS = 0.25


class Line(Protocol):
    """Whom to tell: the queue, or, in a child process, the worker."""

    def progress(self, reports: Sequence[Reported]) -> None:
        """Tell how far tasks have come; a `FairqueError` says that it has to be told again."""


class ProgressSender:
    """Sends from a thread of its own, which the first progress of any task starts.

    Args:
        line: Whom to tell.
        on_death: Called when the thread ends without being told to.
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
        """Keep the latest word of a task, to be sent soon. It does not block."""
        with self._lock:
            job.progress = progress
            self._jobs[job] = None
            service = self._service or self._started()
        if service is not None:
            service.ring()

    def flush(self) -> None:
        """Send now what is not sent yet, after what is on its way."""
        self._send()

    def stop(self) -> None:
        """End; safe to call twice. What is not sent yet goes with the ending of its task."""
        with self._lock:
            self._stopped = True
            service = self._service
        if service is not None:
            service.stop()

    def step(self) -> None:
        """Rest until there is something to tell, and tell it."""
        service = self._service
        if service is None:
            return
        with self._lock:
            quiet = not self._jobs
        if quiet:
            service.rest(math.inf)
        if not service.stopped:
            self._send()
            # Not ended by a word: what is said meanwhile goes with the next call.
            self._pause.wait(PAUSE_SECONDS)

    def _started(self) -> Service | None:
        """Begin to send, unless that is impossible: the latest word goes with the ending of its task then."""
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
            log.warning("progress is told at the end of tasks only", error=str(error))
            return None
        return service

    def _send(self) -> None:
        with self._sending:
            self._send_next()

    def _send_next(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, {}
            words = [(job, job.progress) for job in jobs if job.progress is not None]
        reports = [Reported(job.granted.task_id, job.granted.token, word) for job, word in words]
        try:
            if reports:
                self._line.progress(reports)
        except FairqueError as error:
            if not self._silent:
                log.warning("progress could not be told: trying again", error=str(error), tasks=len(reports))
            self._silent = True
            with self._lock:
                self._jobs = {**dict.fromkeys(job for job, _ in words), **self._jobs}
            return
        self._silent = False
        with self._lock:
            # Not before it has arrived: an ending takes along what may not have.
            for job, word in words:
                if job.progress is word:
                    job.progress = None
