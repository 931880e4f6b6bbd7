"""The position of a user or a task in a queue as read from the server, and why it waits; no I/O."""

from datetime import datetime

from attrs import frozen

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.infos import Explanation
from fairque.protocol.model.limits import Limits
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.users import UserInfo
from fairque.protocol.reasons import WaitReason

__all__ = ["TaskStanding", "UserStanding"]

#: Idle workers ask for tasks more often than this, in milliseconds.
_SILENCE_MS = 10_000
#: Waits of at least this many seconds are shown in whole seconds.
_LONG_SECONDS = 100


@frozen(kw_only=True)
class UserStanding:
    """A user as read from the server. Limits are those in effect: its own, otherwise the defaults of all users.

    Times that end in ``_at`` and ``since`` are milliseconds since the epoch by the server's clock. Costs are seconds of
    work, or tasks if the cost mode is ``count``.

    Attributes:
        user_id: The user.
        at_ms: When this was read.
        weight: Share relative to other users, 1 by default.
        cap: Most tasks at a time; None for no limit.
        rate: Most starts a second; None for no limit.
        burst: Most starts at once if there is a rate.
        backlog: Most waiting tasks; None for no limit.
        paused: Whether its tasks are not started.
        own_limits: Its own limits only.
        waiting: Tasks in its queue, including ``waiting_critical``.
        waiting_critical: CRITICAL tasks in its queue.
        scheduled: Tasks that wait for a time or for other tasks.
        running: Running tasks.
        served: Cost of the attempts that ended after ``since``.
        since: When its record was created; None if it has neither tasks nor debts.
        ahead: Cost by which it is ahead of its share.
        oldest_seconds: How long its next task has waited; None if none waits.
        lane: ``F`` fresh, ``R`` ready, ``P`` parked, empty without waiting tasks.
        users_ahead: Users before it in its ring; None if it is in none.
        next_start_at: When its rate allows the next start; None if it does not wait for that.
        queue_running: Running tasks of all users.
        last_pop_at: When a worker last asked for tasks; None before the first time.
    """

    user_id: str
    at_ms: int
    weight: float
    cap: int | None
    rate: float | None
    burst: int
    backlog: int | None
    paused: bool
    own_limits: Limits
    waiting: int
    waiting_critical: int
    scheduled: int
    running: int
    served: float
    since: int | None
    ahead: float
    oldest_seconds: float | None
    lane: str
    users_ahead: int | None
    next_start_at: int | None
    queue_running: int
    last_pop_at: int | None

    @property
    def reason(self) -> WaitReason:
        """What its next task waits for."""
        if self.paused:
            return WaitReason.USER_PAUSED
        if not self.waiting:
            if self.running:
                return WaitReason.RUNNING
            return WaitReason.DELAYED if self.scheduled else WaitReason.IDLE
        if self.cap is not None and self.running >= self.cap:
            return WaitReason.USER_CAP
        if self.next_start_at is not None and self.lane == "P":
            return WaitReason.USER_RATE
        return WaitReason.NO_WORKER if self._nobody_asks() else WaitReason.TURN

    def explain(self) -> str:
        """Return the reason as a sentence."""
        name = f"user {self.user_id!r}"
        match self.reason:
            case WaitReason.USER_PAUSED:
                return f"{name} is paused: nothing is started until it is resumed"
            case WaitReason.RUNNING:
                return f"{name} has {_number(self.running, 'task')} running and none waiting"
            case WaitReason.DELAYED:
                return f"{name} has {_number(self.scheduled, 'task')} waiting for a time or for other tasks"
            case WaitReason.USER_CAP:
                return f"{name} runs {_number(self.running, 'task')}, as many as its cap of {self.cap:,} allows"
            case WaitReason.USER_RATE:
                wait = ((self.next_start_at or self.at_ms) - self.at_ms) / 1000
                return f"{name} may start {self.rate:g} tasks a second: the next one in {_seconds(wait)} s"
            case WaitReason.NO_WORKER:
                return f"{name} could be served, but no worker has asked for tasks for 10 s or more: start a worker"
            case WaitReason.TURN:
                ahead = self.users_ahead and f"waits for its turn behind {_number(self.users_ahead, 'other user')}"
                return f"{name} {ahead or 'is the next one to be served'}"
        return f"{name} has no waiting task"

    def info(self) -> UserInfo:
        """Return it as a `UserInfo`."""
        return UserInfo(
            user_id=self.user_id,
            weight=self.weight,
            cap=self.cap,
            paused=self.paused,
            waiting=self.waiting,
            running=self.running,
            served=self.served,
            since=_moment(self.since),
            reason=self.reason,
            limits=Limits(
                weight=self.weight,
                cap=self.cap,
                rate=self.rate,
                burst=self.burst,
                backlog=self.backlog,
                paused=self.paused,
            ),
            own_limits=self.own_limits,
            delayed=self.scheduled,
            ahead=self.ahead,
            oldest_seconds=self.oldest_seconds,
            users_ahead=self.users_ahead,
            next_start_at=_moment(self.next_start_at) if self.reason is WaitReason.USER_RATE else None,
            sentence=self.explain(),
        )

    def _nobody_asks(self) -> bool:
        # Workers that are busy with long tasks do not ask for tasks.
        return not self.queue_running and self.at_ms - (self.last_pop_at or 0) >= _SILENCE_MS


@frozen(kw_only=True)
class TaskStanding:
    """A task as read from the server, and what it waits for.

    Attributes:
        task_id: The id of the task.
        state: Its state.
        place: Tasks before it in its user's queue; None if it is in none.
        due_at: When it is due, in milliseconds since the epoch; None if it does not wait for a time.
        lease_ends_at: When it is reclaimed unless its worker renews the lease; None if it does not run.
        user: Its user.
    """

    task_id: str
    state: TaskState
    place: int | None
    due_at: int | None
    lease_ends_at: int | None
    user: UserStanding

    @property
    def reason(self) -> WaitReason:
        """What the task waits for."""
        if self.state.ended:
            return WaitReason.ENDED
        if self.state is TaskState.STARTED:
            return WaitReason.RUNNING
        if self.state is TaskState.SCHEDULED:
            return WaitReason.DELAYED
        if self.state is TaskState.DEFERRED:
            return WaitReason.DEPENDENCY
        return self.user.reason

    def explain(self) -> str:
        """Return the reason as a sentence."""
        name = f"task {self.task_id}"
        match self.reason:
            case WaitReason.ENDED:
                return f"{name} is {self.state}"
            case WaitReason.RUNNING:
                return f"{name} is running"
            case WaitReason.DEPENDENCY:
                return f"{name} waits for the tasks it depends on"
            case WaitReason.DELAYED:
                wait = ((self.due_at or self.user.at_ms) - self.user.at_ms) / 1000
                return f"{name} is due in {_seconds(wait)} s"
        return f"{name} is number {(self.place or 0) + 1:,} of its user: {self.user.explain()}"

    def explanation(self) -> Explanation:
        """Return it as an `Explanation`."""
        queued = self.state is TaskState.QUEUED
        at = self.due_at if self.reason is WaitReason.DELAYED else self.user.next_start_at if queued else None
        return Explanation(
            reason=self.reason,
            ahead_in_user=self.place,
            users_ahead=self.user.users_ahead if queued else None,
            next_start_at=_moment(at),
            sentence=self.explain(),
        )


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_epoch_ms(ms)


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _seconds(seconds: float) -> str:
    """Format a wait, which may be short or a year; a negative one is 0."""
    return f"{seconds:,.0f}" if seconds >= _LONG_SECONDS else f"{max(0.0, seconds):.3f}".rstrip("0").rstrip(".")
