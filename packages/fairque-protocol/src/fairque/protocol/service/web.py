"""Answers probes over HTTP, and other paths by WSGI applications, in a thread of its own. Only where a port is set."""

import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from fairque.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Probe", "Web"]

#: Whether all is well, and a word for people.
Probe: TypeAlias = Callable[[], tuple[bool, str]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: probes come every few seconds."""


class Web:
    """A small server that needs nothing from Redis.

    Args:
        host: Address of the network interface.
        port: 0 takes a free one.
        setting: Names the port where it cannot be had.
        probes: By path; a probe that is not well answers with 503.
        applications: By path, such as that of the metrics.

    Raises:
        ConfigurationError: The port is taken, or the address is none of this machine.
    """

    def __init__(
        self,
        host: str,
        port: int,
        setting: str,
        probes: Mapping[str, Probe],
        applications: "Mapping[str, WSGIApplication]",
    ) -> None:
        self._probes, self._applications = probes, applications
        try:
            self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Handler)
        except OSError as error:
            raise ConfigurationError([f"{setting} {port}: cannot listen at {host}: {error}"]) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="fairque-http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return self._server.server_port

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in self._applications:
            return self._applications[path](environ, start_response)
        probe = self._probes.get(path)
        known = ", ".join([*self._probes, *self._applications])
        well, word = probe() if probe is not None else (False, f"look at {known}")
        status = "404 Not Found" if probe is None else "200 OK" if well else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{word}\n".encode()]
