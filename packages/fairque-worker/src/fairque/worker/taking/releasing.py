"""Releases tasks that this worker holds and will not run, or not to the end."""

from collections.abc import Collection

from fairque.protocol.calls.endings import Released
from fairque.protocol.calls.pop import Popped
from fairque.protocol.model.stopping import StopReason
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Job
from fairque.worker.log import log
from fairque.worker.running.executor import Executor

__all__ = ["release_granted", "release_running"]


def release_granted(consumer: Consumer, popped: Popped) -> None:
    """Release what a pop has granted, since nothing is started here now."""
    consumer.release([Released(granted.task_id, granted.token, 0) for granted in popped.tasks])


def release_running(consumer: Consumer, executor: Executor, jobs: Collection[Job], linger_seconds: float) -> None:
    """Release tasks that still run; each is asked to stop.

    Args:
        consumer: The queue.
        executor: Where they run.
        jobs: The tasks; they are no longer reported when they end.
        linger_seconds: How long they may clean up in child processes.
    """
    if not jobs:
        return
    log.warning("releasing tasks that still run", tasks=[job.granted.task_id for job in jobs])
    for job in jobs:
        job.request_stop(StopReason.WORKER_STOPS)
    # Before others can get them, while their leases are still renewed: as processes can be killed, none runs twice.
    executor.end_in_children(jobs, linger_seconds)
    consumer.release([Released(job.granted.task_id, job.granted.token, job.ran_us) for job in jobs])
