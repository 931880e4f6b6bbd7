"""What is read of a queue and of its tasks, for programs and people; moments are aware datetimes in UTC."""

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from fairque.protocol.limits import CostMode
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.reasons import WaitReason

__all__ = ["Explanation", "QueueInfo", "TaskInfo"]


@frozen(kw_only=True)
class Explanation:
    """Why a task waits. ``str()`` gives it as a sentence.

    Attributes:
        reason: What it waits for.
        ahead_in_user: Tasks of its user before it; None when it is not QUEUED.
        users_ahead: Users before its user; None when its user does not wait for its turn.
        next_start_at: When its time comes, or when the rate of its user lets one start again; None when it waits for
            neither.
        sentence: All of that for people.
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
    """The queue in numbers.

    Attributes:
        queue: Its name.
        cost_mode: What tasks cost their users: their time, or one each.
        backlog: Most waiting tasks of the queue; None for no limit.
        tasks: How many tasks are in each state in which they wait or run, or are dead letters. QUEUED are those that a
            free worker could start, and those whose users wait for a cap or a rate.
        kept: Ended tasks that are still remembered.
        users_waiting: Users with tasks that a free worker could start.
        totals: What has happened since the queue was made: tasks ``pushed``, ``finished``, ``failed``, ``canceled``;
            attempts ``retried`` and ``released``; dead letters ``redriven``; leases ``expired``; endings ``stale``,
            refused since the lease was lost; keys ``broken``, which could not be read and were set aside.
        read_at: When it was read, on the server's clock.
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
    """One task as the server knows it. Moments are those of the server's clock.

    Attributes:
        task_id: The task.
        state: Where it is in its life.
        user_id: Whose share it uses.
        priority: Its urgency among the tasks of its user.
        pushed_at: When it was pushed.
        started_at: When its last attempt began; None before the first.
        ended_at: When it ended; None before.
        attempts: How often it was started.
        failures: How many attempts ended in an error.
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
