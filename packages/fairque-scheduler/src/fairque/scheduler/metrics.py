"""The metrics of a scheduler, for Prometheus; each scheduler has its own registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one scheduler.

    Attributes:
        registry: A registry with these metrics, for any exporter.
        is_leader: 1 while it leads, else 0.
        leader_changes: How often it became the leader.
        due: Schedules that were overdue when it last looked, at most 5 seconds ago; 0 while it stands by.
        fired: Runs that it fired; each is counted once, even if an answer was lost.
        missed: Runs that it found missed.
        skipped: Runs without a task, since the task before had not ended.
        missing: Declared schedules that the queue lacked at the last check.
        lateness: Seconds from the time of a run to its firing.
        loop_age: Seconds since the last turn of its loop.
    """

    def __init__(self, queue: str) -> None:
        self.registry = registry = CollectorRegistry()
        queues = ("queue",)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"fairque_scheduler_{name}", text, queues, registry=registry).labels(queue)

        def counter(name: str, text: str) -> Counter:
            return Counter(f"fairque_scheduler_{name}", text, queues, registry=registry).labels(queue)

        self.is_leader = gauge("is_leader", "1 while this scheduler leads")
        self.leader_changes = counter("leader_changes", "How often this scheduler became the leader")
        self.due = gauge("due", "Schedules that were overdue when this scheduler last looked; 0 while it stands by")
        self.fired = counter("fired", "Times of schedules fired")
        self.missed = counter("missed", "Times of schedules missed")
        self.skipped = counter("skipped", "Times skipped, since the task before had not ended")
        self.missing = gauge("missing_schedules", "Declared schedules that the queue did not have at the last look")
        self.lateness = Histogram(
            "fairque_scheduler_lateness_seconds",
            "From the time of a schedule to its firing",
            queues,
            registry=registry,
            buckets=_LATENESS,
        ).labels(queue)
        self.loop_age = gauge("loop_age_seconds", "Since the loop went round last")
