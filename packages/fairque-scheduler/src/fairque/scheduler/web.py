"""Answers probes and Prometheus over HTTP: /livez, /readyz and /metrics. Only there when a port is set."""

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from fairque.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Web"]

#: Whether all is well, and a word for people.
Probe = Callable[[], tuple[bool, str]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: probes come every few seconds."""


class Web:
    """A small server in a thread of its own. It needs nothing from Redis.

    Args:
        host: Address of the network interface.
        port: 0 takes a free one.
        registry: What ``/metrics`` shows.
        probes: By path.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, probes: dict[str, Probe]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._probes = probes
        try:
            self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Handler)
        except OSError as error:
            raise ConfigurationError([f"scheduler.http_port {port}: cannot listen at {host}: {error}"]) from None
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
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        probe = self._probes.get(path)
        well, word = probe() if probe is not None else (False, f"look at {', '.join([*self._probes, '/metrics'])}")
        status = "404 Not Found" if probe is None else "200 OK" if well else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{word}\n".encode()]
