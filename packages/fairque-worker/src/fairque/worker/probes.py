"""What a worker answers over HTTP: whether it is alive, whether it is ready, and its metrics."""

from attrs import evolve, frozen
from prometheus_client import make_wsgi_app

from fairque.protocol.config import RedisSettings
from fairque.protocol.service.web import Web
from fairque.worker.fetcher import Fetcher
from fairque.worker.heart import Heart
from fairque.worker.metrics import Metrics
from fairque.worker.settings import WorkerSettings

__all__ = ["Probes", "impatient"]

#: The loop asks the server each two seconds at least; so much longer than its calls may take it is held up.
_STALLED_SECONDS = 30.0
#: So long without an answer, the server counts as away.
_SILENT_SECONDS = 10.0


@frozen
class Probes:
    """The probes of one worker.

    Attributes:
        settings: Of the worker.
        fetcher: Takes the tasks: while it goes round, the worker is alive.
        heart: Knows when the server answered last.
        metrics: What is counted.
    """

    settings: WorkerSettings
    fetcher: Fetcher
    heart: Heart
    metrics: Metrics

    def listen(self) -> Web | None:
        """Answer from now on, where a port is set.

        Raises:
            ConfigurationError: The port cannot be had.
        """
        options = self.settings.worker
        if options.http_port is None:
            return None
        return Web(
            options.http_host,
            options.http_port,
            "worker.http_port",
            {"/livez": self.alive, "/readyz": self.ready},
            {"/metrics": make_wsgi_app(self.metrics.registry)},
        )

    def alive(self) -> tuple[bool, str]:
        """Whether the worker does something, or waits for something that will come; a word on it. Asks nobody."""
        server, age = self.settings.redis, self.fetcher.loop_age
        call = (server.retries + 1) * (server.socket_timeout_seconds + server.connect_timeout_seconds)
        if self.fetcher.crash is not None:
            return False, "crashed"
        return age < call + _STALLED_SECONDS, f"at one call for {age:.1f} s"

    def ready(self) -> tuple[bool, str]:
        """Whether it takes tasks and the server answers; a word on it. Asks nobody."""
        if self.fetcher.is_quiet:
            return False, "takes no tasks"
        silence = self.heart.silence
        return silence < _SILENT_SECONDS, f"the server answered {silence:.1f} s ago"


def impatient(server: RedisSettings) -> RedisSettings:
    """Return settings for a connection that is given up soon: who asks for metrics does not wait for long."""
    return evolve(
        server,
        retries=0,
        socket_timeout_seconds=min(2.0, server.socket_timeout_seconds),
        connect_timeout_seconds=min(2.0, server.connect_timeout_seconds),
    )
