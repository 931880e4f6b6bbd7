"""The threads of a service: each runs one step after another, and none of them can end unnoticed."""

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
    """A thread that runs a step again and again until it is stopped.

    A step that raises is tried again after a pause, so that a shortage of memory or of descriptors that passes does no
    harm. When it keeps raising, or raises what is not an Exception, the thread ends and says so: the service as a
    whole has to end then, since nobody does the work of this thread any more.

    Args:
        name: Of the thread.
        step: Does some work and returns; it calls `rest` when there is none.
        patience: Seconds for which a step may keep failing.
        on_death: Called in the thread, with its name and the error, when it ends without being stopped.
        log: A structlog logger, told once of each kind of failure in a row.
        wake: Ends the sleep of a step that sleeps in another way than by `rest`.
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
        """Since how many seconds the thread should have begun its next step; 0 while it rests."""
        return max(0.0, clock.monotonic() - self._due)

    @property
    def stopped(self) -> bool:
        """Whether it was told to end."""
        return self._stopped.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin.

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
        """Let a step wait so long, or until `ring` or `stop`."""
        self.rests(seconds)
        # An Event refuses to wait for years.
        self._rung.wait(None if seconds == math.inf else min(seconds, 86_400.0))
        if not self._stopped.is_set():
            self._rung.clear()

    def rests(self, seconds: float) -> None:
        """Note that the step sleeps by itself, so long at most."""
        self._due = clock.monotonic() + seconds

    def ring(self) -> None:
        """End a rest."""
        self._rung.set()

    def end(self) -> None:
        """Let this step be the last one; for the step itself."""
        self._stopped.set()

    def stop(self, seconds: float = 10.0) -> bool:
        """End after the step that runs, and wait so long for that; safe to call twice. Return whether it has ended."""
        self._stopped.set()
        self._rung.set()
        self._wake()
        return self.join(seconds)

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread; return whether it has come."""
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
        failing_since, pause, told = 0.0, _FIRST_PAUSE_SECONDS, ""
        while not self._stopped.is_set():
            self._due = clock.monotonic()
            try:
                self._step()
            except Exception as error:
                now = clock.monotonic()
                failing_since = failing_since or now
                if isinstance(error, self._fatal) or now - failing_since >= self._patience:
                    raise
                if told != repr(type(error)):
                    told = repr(type(error))
                    self._tell()
                self.rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                failing_since, pause, told = 0.0, _FIRST_PAUSE_SECONDS, ""

    def _tell(self) -> None:
        # A log handler of the user's may be what raises.
        with suppress(Exception):
            self._log.exception("a step of a service thread failed: trying again", service_thread=self.name)
