"""The threads of a service: each runs one step after another, and none can end unnoticed."""

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import FairqueError
from fairque.protocol.service.threads import BegunThread

__all__ = ["Service"]

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


class Service:
    """A thread that runs a step in a loop until it is stopped.

    A step that raises is retried after a pause, so that a temporary shortage of memory or of descriptors does no harm.
    If it keeps raising, or raises something other than an Exception, the thread ends and calls ``on_death``: the whole
    service has to end then, since it cannot work without this thread.

    Args:
        name: Name of the thread.
        step: Does some work and returns; it calls `rest` if there is none.
        patience: Seconds for which a step may keep failing.
        on_death: Called in the thread, with its name and the error, when it ends without being stopped.
        log: A structlog logger; successive failures of one kind are logged once.
        wake: Ends the sleep of a step that sleeps other than by `rest`.
        fatal: Errors that no later step can overcome.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], None],
        *,
        patience: float,
        on_death: Callable[[str, BaseException], None],
        log: Any,
        wake: Callable[[], None] = lambda: None,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = name
        self._step = step
        self._patience = patience
        self._on_death = on_death
        self._log = log
        self._wake = wake
        self._fatal = fatal
        self._stopped = threading.Event()
        self._rung = threading.Event()
        self._due = math.inf
        self._thread = BegunThread(self._run, name)

    @property
    def overdue(self) -> float:
        """For how many seconds the next step of the thread has been due; 0 while it rests."""
        return max(0.0, clock.monotonic() - self._due)

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stopped.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread.

        Raises:
            FairqueError: The system has no thread left.
        """
        try:
            self._thread.start()
        except RuntimeError as error:
            raise FairqueError(
                f"thread {self.name!r} cannot be started: {error}. Raise the limit of threads or of memory"
            ) from error

    def rest(self, seconds: float) -> None:
        """Let a step wait for so many seconds, or until `ring` or `stop`."""
        self.rests(seconds)
        # An Event refuses to wait for years.
        self._rung.wait(None if seconds == math.inf else min(seconds, 86_400.0))
        if not self._stopped.is_set():
            self._rung.clear()

    def rests(self, seconds: float) -> None:
        """Note that the step sleeps by itself, for at most so many seconds."""
        self._due = clock.monotonic() + seconds

    def ring(self) -> None:
        """End a rest."""
        self._rung.set()

    def end(self) -> None:
        """Make the present step the last one; for the step itself."""
        self._stopped.set()

    def stop(self, seconds: float = 10.0) -> bool:
        """End after the present step, and wait at most so long; safe to call twice. Return whether it has ended."""
        self._stopped.set()
        self._rung.set()
        self._wake()
        return self.join(seconds)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread ends the service
            self._due = math.inf
            self._stopped.set()
            self._on_death(self.name, error)

    def _loop(self) -> None:
        failing_since, pause, logged = 0.0, _FIRST_PAUSE_SECONDS, ""
        while not self._stopped.is_set():
            self._due = clock.monotonic()
            try:
                self._step()
            except Exception as error:
                now = clock.monotonic()
                failing_since = failing_since or now
                if isinstance(error, self._fatal) or now - failing_since >= self._patience:
                    raise
                if logged != repr(type(error)):
                    logged = repr(type(error))
                    self._log_failure()
                self.rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                failing_since, pause, logged = 0.0, _FIRST_PAUSE_SECONDS, ""

    def _log_failure(self) -> None:
        # The error may come from a user's log handler.
        with suppress(Exception):
            self._log.exception("a step of a service thread failed: trying again", service_thread=self.name)
