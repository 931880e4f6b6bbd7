"""Log lines and metrics about tasks that this worker reclaimed from others that stopped renewing their leases."""

from collections.abc import Sequence

from fairque.protocol.calls.reclaimed import Reclaimed
from fairque.protocol.model.states import TaskState
from fairque.worker.log import log
from fairque.worker.metrics import Metrics

__all__ = ["note_reclaimed"]

_BECAME = {
    TaskState.QUEUED: "it waits to be started again",
    TaskState.FAILED: "it is a dead letter",
    TaskState.CANCELED: "it is canceled, as requested",
}


def note_reclaimed(tasks: Sequence[Reclaimed], metrics: Metrics) -> None:
    """Log a line for each task, and count them: a worker that was killed cannot do so itself."""
    for task in tasks:
        metrics.lease_expired(str(task.state))
        log.warning(
            f"a worker was lost: its task was taken back, and {_BECAME.get(task.state, task.state)}",
            task_id=task.task_id,
            user_id=task.user_id,
            lost_worker=task.worker,
        )
