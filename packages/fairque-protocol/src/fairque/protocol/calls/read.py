"""read_task and read_stats: read a task, and the statistics of a queue."""

from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.infos import TaskInfo
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["TOTALS", "QueueStats", "read_stats", "read_task"]

#: The counters of a queue since it was created, in the order in which they are shown.
TOTALS: Final = (
    "pushed",
    "finished",
    "failed",
    "canceled",
    "retried",
    "released",
    "redriven",
    "expired",
    "stale",
    "broken",
)


@frozen(kw_only=True)
class QueueStats:
    """The statistics of a queue: its current state, and counters since it was created, from ``pushed`` on.

    Attributes:
        queued: QUEUED tasks, including those of parked users.
        scheduled: Tasks that wait for a time.
        deferred: Tasks that wait for other tasks.
        running: Running tasks.
        dead: Dead letters.
        kept: Ended tasks whose records have not expired.
        users_waiting: Users with tasks that a free worker could start.
        at_ms: When it was read, in milliseconds since the epoch by the server's clock.
        pushed: Tasks stored.
        finished: Tasks that ended with a result.
        failed: Tasks that ended as dead letters.
        canceled: Tasks that were canceled.
        retried: Attempts that failed and were retried.
        released: Attempts that were released.
        redriven: Dead letters that were made runnable again.
        expired: Leases that expired.
        stale: Endings that were refused because the lease was lost.
        broken: Keys that were unreadable and set aside.
    """

    queued: int
    scheduled: int
    deferred: int
    running: int
    dead: int
    kept: int
    users_waiting: int
    at_ms: int
    pushed: int
    finished: int
    failed: int
    canceled: int
    retried: int
    released: int
    redriven: int
    expired: int
    stale: int
    broken: int


def read_task(keys: QueueKeys, task_id: str) -> Call[TaskInfo]:
    """Build the call that reads a task. Reading the answer raises `TaskNotFound` for an unknown task."""

    def decode(reply: list[Any]) -> TaskInfo:
        if reply[0] == Status.NOT_FOUND:
            raise TaskNotFound(task_id, keys.name)
        places = iter(checked(keys, reply)[2:])
        record = {text(name): text(value) for name, value in zip(places, places, strict=True)}
        return TaskInfo(
            task_id=task_id,
            state=TaskState(record["state"]),
            user_id=record["user"],
            priority=Priority.known(_whole(record.get("prio", "3"))) or Priority.NORMAL,
            attempts=_whole(record.get("attempt", "0")),
            failures=_whole(record.get("fails", "0")),
            pushed_at=from_epoch_ms(_whole(record["pushed_at"])),
            started_at=_moment(record.get("started_at")),
            ended_at=_moment(record.get("ended_at")),
            worker=record.get("worker") or None,
            cancel_requested="cancel" in record,
        )

    return Call("read_task", keys, (task_id,), decode)


def _moment(ms: str | None) -> datetime | None:
    return None if ms is None else from_epoch_ms(_whole(ms))


def _whole(number: str) -> int:
    # Tolerates a number with a fraction, written by another program.
    return int(float(number))


def read_stats(keys: QueueKeys) -> Call[QueueStats]:
    """Build the call that reads the statistics of a queue."""

    def decode(reply: list[Any]) -> QueueStats:
        answers = checked(keys, reply)
        scheduled, deferred, running, dead, kept, held, ready, fresh, _critical = answers[2:11]
        places = iter(answers[11:])
        counted = {text(name): int(value) for name, value in zip(places, places, strict=True)}
        return QueueStats(
            at_ms=int(answers[1]),
            scheduled=scheduled,
            deferred=deferred,
            running=running,
            dead=dead,
            kept=kept + held,
            users_waiting=ready + fresh,
            **{name: counted.get(name, 0) for name in ("queued", *TOTALS)},
        )

    return Call("read_stats", keys, (), decode)
