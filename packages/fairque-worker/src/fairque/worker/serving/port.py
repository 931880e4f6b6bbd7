"""The HTTP port of a worker; a worker that replaces another one may have to wait for it."""

from collections.abc import Callable

from fairque.protocol.errors import FairqueError
from fairque.protocol.service.supervision import Service
from fairque.protocol.service.web import Web
from fairque.worker.log import log

__all__ = ["Port"]

_PAUSE_SECONDS = 1.0


class Port:
    """Listens for probes of a worker.

    Args:
        listen: Starts to listen; returns None if no port is set.
        on_death: Called when the thread that waits for a port ends without being stopped.
    """

    def __init__(self, listen: Callable[[], Web | None], on_death: Callable[[str, BaseException], None]) -> None:
        self._listen = listen
        self._web: Web | None = None
        self._service = Service("fairque-port", self._step, patience=float("inf"), on_death=on_death, log=log)

    @property
    def number(self) -> int | None:
        """The port; None if there is none, or not yet."""
        return None if self._web is None else self._web.port

    def open(self, *, patient: bool) -> None:
        """Start to listen.

        Args:
            patient: If the port is not available, log an error and retry until it is, instead of raising.

        Raises:
            FairqueError: The port is not available.
        """
        try:
            self._web = self._listen()
        except FairqueError as error:
            if not patient:
                raise
            log.error("probes are not answered until the port is free: trying again", error=str(error))
            self._service.start()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._service.stop()
        if self._web is not None:
            self._web.close()

    def _step(self) -> None:
        self._service.rest(_PAUSE_SECONDS)
        if self._service.stopped:
            return
        try:
            self._web = self._listen()
        except FairqueError:
            return
        log.info("the port could be had: probes are answered", port=self.number)
        self._service.end()
