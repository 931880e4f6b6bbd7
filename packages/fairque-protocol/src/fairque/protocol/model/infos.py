"""The state of a queue and of its tasks as they are read; times are aware datetimes in UTC."""

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from fairque.protocol.limits import CostMode
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.reasons import WaitReason

__all__ = ["Explanation", "QueueInfo", "TaskInfo"]


@frozen(kw_only=True)
class Explanation:
    """Why a task waits. ``str()`` returns it as a sentence.

    Attributes:
        reason: What it waits for.
        ahead_in_user: Tasks of its user before it; None if it is not QUEUED.
        users_ahead: Users before its user; None if its user does not wait for its turn.
        next_start_at: When it is due, or when the rate of its user allows the next start; None if it waits for neither.
        sentence: The explanation, for humans.
    """

    reason: WaitReason
    ahead_in_user: int | None
    users_ahead: int | None
    next_start_at: datetime | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@frozen(kw_only=True)
class QueueInfo:
    """Statistics and settings of a queue.

    Attributes:
        queue: The name of the queue.
        cost_mode: What a task costs its user: its run time, or 1 per task.
        backlog: Most waiting tasks of the queue; None for no limit.
        tasks: Number of tasks by state: those that wait or run, and dead letters. QUEUED includes tasks whose users are
            held back by a cap, a rate or a pause.
        kept: Ended tasks whose records have not expired.
        users_waiting: Users with tasks that a free worker could start.
        totals: Counters since the queue was created: tasks ``pushed``, ``finished``, ``failed``, ``canceled``; attempts
            ``retried`` and ``released``; dead letters ``redriven``; leases ``expired``; endings ``stale``, refused
            because the lease was lost; keys ``broken``, which were unreadable and set aside.
        read_at: When it was read, by the server's clock.
    """

    queue: str
    cost_mode: CostMode
    backlog: int | None
    tasks: Mapping[TaskState, int]
    kept: int
    users_waiting: int
    totals: Mapping[str, int]
    read_at: datetime


@frozen(kw_only=True)
class TaskInfo:
    """A task as the server knows it. Times are by the server's clock.

    Attributes:
        task_id: The id of the task.
        state: Its state.
        user_id: The user whose share it uses.
        priority: Its urgency among the tasks of its user.
        pushed_at: When it was pushed.
        started_at: When its last attempt started; None before the first.
        ended_at: When it ended; None if it has not.
        attempts: How often it was started.
        failures: How many attempts raised an error.
        worker: Name of the worker of its last attempt; None before the first.
        cancel_requested: Whether it was asked to stop.
    """

    task_id: str
    state: TaskState
    user_id: str
    priority: Priority
    pushed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    failures: int
    worker: str | None
    cancel_requested: bool
