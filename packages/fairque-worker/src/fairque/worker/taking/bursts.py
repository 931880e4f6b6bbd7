"""What a worker says at the end of a burst."""

from fairque.protocol.calls.read import QueueStats
from fairque.worker.log import log

__all__ = ["log_end_of_burst"]


def log_end_of_burst(stats: QueueStats) -> None:
    """Log how many tasks a burst leaves: those that wait for a time, a rate, a cap, or other tasks."""
    log.info(
        "the burst is over",
        queued=stats.queued,
        scheduled=stats.scheduled,
        deferred=stats.deferred,
        running_elsewhere=stats.running,
    )
