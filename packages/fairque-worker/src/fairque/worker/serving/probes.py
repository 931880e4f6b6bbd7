"""The HTTP endpoints of a worker: whether it is alive, whether it is ready, and its metrics."""

from attrs import evolve, frozen
from prometheus_client import make_wsgi_app

from fairque.protocol.config import RedisSection
from fairque.protocol.service.web import Web
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.keeping.leases import Heartbeat
from fairque.worker.metrics import Metrics
from fairque.worker.phases import Phases
from fairque.worker.settings import WorkerSettings
from fairque.worker.taking.courier import Courier

__all__ = ["Probes", "with_short_timeouts"]

#: The loop calls the server every two seconds at least; after so many seconds beyond the time of a call it is blocked.
_STALLED_SECONDS = 30.0
#: Seconds without an answer after which the server counts as unreachable.
_SILENT_SECONDS = 10.0


@frozen
class Probes:
    """The probes of one worker.

    Attributes:
        settings: The settings of the worker.
        phases: The phase of the worker.
        courier: Takes the tasks.
        heart: Renews the leases, and knows when the server last answered.
        watch: Enforces timeouts.
        metrics: The metrics of the worker.
    """

    settings: WorkerSettings
    phases: Phases
    courier: Courier
    heart: Heartbeat
    watch: Watch
    metrics: Metrics

    def listen(self) -> Web | None:
        """Start to answer, if a port is set; otherwise return None.

        Raises:
            ConfigurationError: The port is not available.
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
        """Whether no thread of the worker is blocked, and which are. Does not contact the server."""
        if self.phases.error is not None:
            return False, f"crashed: {self.phases.reason}"
        server, options = self.settings.redis, self.settings.worker
        call = (server.retries + 1) * (server.socket_timeout + server.connect_timeout)
        limits = (
            (self.courier.service, call + _STALLED_SECONDS),
            # A heartbeat may take as long as a call; after the lease it is useless.
            (self.heart.service, max(options.lease, call) + options.heartbeat),
            (self.watch.service, options.heartbeat + _STALLED_SECONDS),
        )
        late = [f"{service.name} for {service.overdue:.1f} s" for service, limit in limits if service.overdue >= limit]
        return not late, f"held up: {', '.join(late)}" if late else "all threads do their work"

    def ready(self) -> tuple[bool, str]:
        """Whether it takes tasks and the server answers, and why. Does not contact the server."""
        if not self.phases.takes:
            return False, f"takes no tasks: {self.phases.reason or self.phases.phase.value}"
        silence = self.heart.silence
        return silence < _SILENT_SECONDS, f"the server answered {silence:.1f} s ago"


def with_short_timeouts(server: RedisSection) -> RedisSection:
    """Return settings for a connection with short timeouts and no retries: a request for metrics must not wait long."""
    return evolve(
        server,
        retries=0,
        socket_timeout=min(2.0, server.socket_timeout),
        connect_timeout=min(2.0, server.connect_timeout),
    )
