"""The HTTP port of a worker, which a worker that takes the place of another one may have to wait for."""

from collections.abc import Callable

from fairque.protocol.errors import FairqueError
from fairque.protocol.service.supervision import Service
from fairque.protocol.service.web import Web
from fairque.worker.log import log

__all__ = ["Port"]

_PAUSE_SECONDS = 1.0


class Port:
    """Listens where a worker is to answer probes.

    Args:
        listen: Begins to listen, and returns None where no port is set.
        on_death: Called when the thread that waits for a port ends without being told to.
    """

    def __init__(self, listen: Callable[[], Web | None], on_death: Callable[[str, BaseException], None]) -> None:
        self._listen = listen
        self._web: Web | None = None
        self._service = Service("fairque-port", self._step, patience=float("inf"), on_death=on_death, log=log)

    @property
    def number(self) -> int | None:
        """The port; None when there is none, or not yet."""
        return None if self._web is None else self._web.port

    def open(self, *, patient: bool) -> None:
        """Begin to listen.

        Args:
            patient: When the port cannot be had, say so and try again until it can, rather than raise.

        Raises:
            FairqueError: The port cannot be had.
        """
        try:
            self._web = self._listen()
        except FairqueError as error:
            if not patient:
                raise
            log.error("no probe is answered until the port can be had: trying again", error=str(error))
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
