"""What a worker answers over HTTP: whether it is alive, whether it is ready, and its metrics."""

from attrs import evolve, frozen
from prometheus_client import make_wsgi_app

from fairque.protocol.config import RedisSection
from fairque.protocol.service.web import Web
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.keeping.leases import Heart
from fairque.worker.metrics import Metrics
from fairque.worker.phases import Phases
from fairque.worker.settings import WorkerSettings
from fairque.worker.taking.courier import Courier

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
        phases: What the worker does at present.
        courier: Takes the tasks.
        heart: Renews the leases, and knows when the server answered last.
        watch: Ends what is above its time.
        metrics: What is counted.
    """

    settings: WorkerSettings
    phases: Phases
    courier: Courier
    heart: Heart
    watch: Watch
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
        """Whether every thread of the worker does its work, or rests for as long as it meant to. Asks nobody."""
        if self.phases.error is not None:
            return False, f"crashed: {self.phases.reason}"
        server, options = self.settings.redis, self.settings.worker
        call = (server.retries + 1) * (server.socket_timeout + server.connect_timeout)
        limits = (
            (self.courier.service, call + _STALLED_SECONDS),
            # A beat may take as long as a call; after the lease it is of no use.
            (self.heart.service, max(options.lease, call) + options.heartbeat),
            (self.watch.service, options.heartbeat + _STALLED_SECONDS),
        )
        late = [f"{service.name} for {service.overdue:.1f} s" for service, limit in limits if service.overdue >= limit]
        return not late, f"held up: {', '.join(late)}" if late else "all threads do their work"

    def ready(self) -> tuple[bool, str]:
        """Whether it takes tasks and the server answers; a word on it. Asks nobody."""
        if not self.phases.takes:
            return False, f"takes no tasks: {self.phases.reason or self.phases.phase.value}"
        silence = self.heart.silence
        return silence < _SILENT_SECONDS, f"the server answered {silence:.1f} s ago"


def impatient(server: RedisSection) -> RedisSection:
    """Return settings for a connection that is given up soon: who asks for metrics does not wait for long."""
    return evolve(
        server,
        retries=0,
        socket_timeout=min(2.0, server.socket_timeout),
        connect_timeout=min(2.0, server.connect_timeout),
    )
