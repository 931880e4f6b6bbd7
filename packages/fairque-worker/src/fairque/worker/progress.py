"""Tells the queue how far tasks have come: the latest word of all of them in one call, a few times a second."""

import threading
from collections.abc import Sequence
from typing import Protocol

from fairque.protocol.calls import Reported
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.progress import Progress
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
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._jobs: dict[Job, None] = {}
        self._thread: threading.Thread | None = None
        self._told = threading.Event()
        self._stopped = threading.Event()
        self._silent = False

    def note(self, job: Job, progress: Progress) -> None:
        """Keep the latest word of a task, to be sent soon. It does not block."""
        with self._lock:
            job.progress = progress
            self._jobs[job] = None
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="fairque-progress", daemon=True)
                self._thread.start()
        self._told.set()

    def flush(self) -> None:
        """Send now what is not sent yet, after what is on its way."""
        self._send()

    def stop(self) -> None:
        """End; safe to call twice. What is not sent yet goes with the ending of its task."""
        with self._lock:
            self._stopped.set()
        self._told.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while self._told.wait() and not self._stopped.is_set():
            self._told.clear()
            self._send()
            self._stopped.wait(PAUSE_SECONDS)

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
            self._told.set()
            return
        self._silent = False
        with self._lock:
            # Not before it has arrived: an ending takes along what may not have.
            for job, word in words:
                if job.progress is word:
                    job.progress = None
