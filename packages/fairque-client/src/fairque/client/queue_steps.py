"""Operations on the whole queue, as steps."""

from fairque.client.steps import Steps
from fairque.protocol.calls.read import TOTALS, read_stats
from fairque.protocol.calls.users import read_configured
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.infos import QueueInfo
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["read_queue_info"]


def read_queue_info(keys: QueueKeys) -> Steps[QueueInfo]:
    """Read the statistics and the settings of a queue."""
    stats, settings = yield [read_stats(keys), read_configured(keys, most=1)]
    return QueueInfo(
        queue=keys.name,
        cost_mode=settings.cost_mode,
        backlog=settings.backlog,
        tasks={
            TaskState.DEFERRED: stats.deferred,
            TaskState.SCHEDULED: stats.scheduled,
            TaskState.QUEUED: stats.queued,
            TaskState.STARTED: stats.running,
            TaskState.FAILED: stats.dead,
        },
        kept=stats.kept,
        users_waiting=stats.users_waiting,
        totals={name: getattr(stats, name) for name in TOTALS},
        read_at=from_epoch_ms(stats.at_ms),
    )
