"""What is said of tasks that this worker took back from others that stopped renewing their leases."""

from collections.abc import Sequence

from fairque.protocol.calls import Reclaimed
from fairque.protocol.model.states import TaskState
from fairque.worker.log import log
from fairque.worker.metrics import Metrics

__all__ = ["note_reclaimed"]

_BECAME = {
    TaskState.QUEUED: "it waits to be started again",
    TaskState.FAILED: "it is a dead letter",
    TaskState.CANCELED: "it is canceled, as was asked for",
}


def note_reclaimed(tasks: Sequence[Reclaimed], metrics: Metrics) -> None:
    """Write a line to the log for each task, and count them: a worker that was killed cannot do so itself."""
    for one in tasks:
        metrics.lease_expired(str(one.state))
        log.warning(
            f"a worker was lost: its task was taken back, and {_BECAME.get(one.state, one.state)}",
            task_id=one.task_id,
            user_id=one.user_id,
            lost_worker=one.worker,
        )
