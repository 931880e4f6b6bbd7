"""The metrics of a worker, for Prometheus. They are always counted, since that costs next to nothing."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fairque.protocol.calls.read import QueueStats
from fairque.protocol.errors import FairqueError
from fairque.worker.jobs import Job, Success

__all__ = ["Metrics"]

_WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200)
_RUN_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200)
_OUTCOMES = ("finished", "failed", "canceled", "retried", "snoozed", "lost")
_RECLAIMED = ("QUEUED", "FAILED", "CANCELED")
_STATES = ("queued", "scheduled", "deferred", "running", "dead")


class _Times:
    """A histogram of seconds. Only one thread observes, so it needs no lock."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        names = [*map(_bound, self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True)), self._sum


class Metrics(Collector):
    """The metrics of one worker, and those of its queue, which are read on request.

    prometheus-client's own counters and histograms take a lock and several microseconds for each task; these are plain
    numbers that only the thread that reports the endings changes.

    Attributes:
        registry: A registry with these metrics, for any exporter.

    Args:
        queue: Name of the queue.
        slots: How many tasks the worker runs at a time.
        running: Returns how many tasks it holds.
        abandoned: Returns how many attempts that it left behind still run.
        loop_age: Returns for how many seconds its courier has been blocked.
        read_stats: Reads the numbers of the queue; it must return soon even if the server does not answer.
    """

    def __init__(
        self,
        queue: str,
        slots: int,
        *,
        running: Callable[[], int],
        abandoned: Callable[[], int],
        loop_age: Callable[[], float],
        read_stats: Callable[[], QueueStats],
    ) -> None:
        self._queue = queue
        self._gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("slots", "Tasks that this worker runs at a time", lambda: slots),
            ("running", "Tasks that this worker holds", running),
            ("abandoned", "Attempts that continued after their timeouts and still run", abandoned),
            ("loop_age_seconds", "How long the loop has been at one and the same call", loop_age),
        )
        self._read_stats = read_stats
        self._started = 0
        self._ended: Counter[str] = Counter()
        # Two threads count here, but rarely.
        self._expired: Counter[str] = Counter()
        self._expired_lock = threading.Lock()
        self._waits, self._runs = _Times(_WAIT_BOUNDS), _Times(_RUN_BOUNDS)
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def taken(self, tasks: int) -> None:
        """Count tasks that were taken."""
        self._started += tasks

    def lease_expired(self, state: str) -> None:
        """Count a task of a lost worker that this one reclaimed; ``state`` is its new state."""
        with self._expired_lock:
            self._expired[state] += 1

    def ended(self, job: Job, outcome: str, ran_us: int) -> None:
        """Count the ending of an attempt.

        Args:
            job: The attempt.
            outcome: ``finished``, ``failed`` (a dead letter), ``canceled``, ``retried``, ``snoozed`` or ``lost`` (the
                lease was lost).
            ran_us: How long it ran, in microseconds.
        """
        self._ended[outcome] += 1
        self._runs.observe(ran_us / 1_000_000)
        self._observe_wait(job)

    def finished(self, successes: Sequence[Success]) -> None:
        """Count attempts that finished, as `ended` does for each."""
        self._ended["finished"] += len(successes)
        observe = self._runs.observe
        for success in successes:
            observe(success.ran_us / 1_000_000)
            self._observe_wait(success.job)

    def _observe_wait(self, job: Job) -> None:
        task, granted = job.task, job.granted
        # Only of tasks that could have been started at once. Both times are the server's.
        if (
            task is not None
            and granted.attempt == 1
            and not (task.delay_ms or task.execute_at is not None or task.depends_on)
        ):
            self._waits.observe(max(0.0, granted.fence / 1_000_000 - granted.pushed_at / 1_000))

    def describe(self) -> Iterator[Metric]:
        """Describe nothing in advance: the registration would read the metrics of the queue."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those of the queue only if the server answers."""
        for name, text, value in self._gauges:
            yield self._one(GaugeMetricFamily(f"fairque_worker_{name}", text, labels=("queue",)), value())
        yield self._one(
            CounterMetricFamily("fairque_worker_attempts_started", "Tasks taken", labels=("queue",)), self._started
        )
        ended = CounterMetricFamily("fairque_worker_attempts_ended", "Attempts ended", labels=("queue", "outcome"))
        for outcome in _OUTCOMES:
            ended.add_metric([self._queue, outcome], self._ended[outcome])
        yield ended
        expired = CounterMetricFamily(
            "fairque_worker_leases_expired",
            "Tasks of lost workers that this worker took back, by what became of them",
            labels=("queue", "outcome"),
        )
        for state in _RECLAIMED:
            expired.add_metric([self._queue, state.lower()], self._expired[state])
        yield expired
        for name, text, times in (
            ("wait_seconds", "From the push to the start, of tasks that could start at once", self._waits),
            ("run_seconds", "Run time of attempts", self._runs),
        ):
            histogram = HistogramMetricFamily(f"fairque_worker_{name}", text, labels=("queue",))
            histogram.add_metric([self._queue], *times.buckets())
            yield histogram
        yield from self._of_queue()

    def _of_queue(self) -> Iterator[Metric]:
        try:
            stats = self._read_stats()
        except FairqueError:
            return
        tasks = GaugeMetricFamily("fairque_queue_tasks", "Tasks of the queue by state", labels=("queue", "state"))
        for state in _STATES:
            tasks.add_metric([self._queue, state], getattr(stats, state))
        yield tasks
        yield self._one(
            GaugeMetricFamily("fairque_queue_users_waiting", "Users with tasks that could start", labels=("queue",)),
            stats.users_waiting,
        )

    def _one(self, family: Any, value: float) -> Metric:
        family.add_metric([self._queue], value)
        return family  # type: ignore[no-any-return]


def _bound(bound: float) -> str:
    return str(float(bound))
