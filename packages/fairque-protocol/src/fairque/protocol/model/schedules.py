"""Schedules: which task is enqueued when, as a frozen value; and what a queue knows of one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen

from fairque.protocol.durations import from_epoch_ms, to_epoch_ms, to_ms, whole_ms
from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.page import Page
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import DEFAULT_RETRIES, DEFAULT_TIMEOUT_MS, Task, from_fields

__all__ = [
    "DEFAULT_GRACE_MS",
    "DEFAULT_MISFIRE_LIMIT",
    "DstGap",
    "Misfire",
    "Miss",
    "Moved",
    "Overlap",
    "Schedule",
    "ScheduleInfo",
    "SchedulePage",
    "SchedulerStatus",
    "task_id_of",
    "task_of",
]

Misfire: TypeAlias = Literal["latest", "all", "skip"]
Overlap: TypeAlias = Literal["allow", "skip"]
DstGap: TypeAlias = Literal["run", "skip"]

#: Longer than a standby needs to take over, so that a change of leaders misses nothing.
DEFAULT_GRACE_MS = 60_000
DEFAULT_MISFIRE_LIMIT = 100


@frozen(kw_only=True)
class Schedule:
    """When to run, and the task that each run enqueues. Exactly one of ``cron``, ``every_ms`` and ``at`` says when.

    Nothing is checked here: whoever stores a schedule gets all that is wrong with it in one `InvalidSchedule`. Make
    one with `create`, which takes seconds and dates.

    Attributes:
        schedule_id: Names the schedule; its tasks have the ids ``schedule:<id>:<time in ms>``. At most 100 bytes.
        cron: Five or six fields, or a name such as ``@daily``.
        every_ms: Milliseconds between two times, counted from ``start``, else from the beginning of 1970 in UTC.
        at: The one and only time, in milliseconds since the epoch.
        timezone: IANA name of the zone in which ``cron`` is meant.
        dst_gap: What becomes of times that a clock change skips: ``run`` right after it, or ``skip``.
        func: Registered name of the task's function; None leaves it to the worker's own `TaskHandler`.
        args: Positional arguments: JSON values.
        kwargs: Keyword arguments: JSON values.
        payload: Any JSON value for the worker's own `TaskHandler`.
        user_id: The user whose share of the workers the tasks use.
        priority: Their urgency among the tasks of the same user.
        retries: How often one is tried again after an error.
        retry: The pauses between the attempts; None takes the default backoff.
        timeout_ms: Milliseconds that one attempt may take.
        cost: Expected run time in seconds.
        start: No time before this moment, in milliseconds since the epoch.
        end: And none after this one.
        jitter_ms: Each time is moved by a fixed number of milliseconds from 0 to this, which comes from the id.
        grace_ms: A time that nobody fired is still fired so many milliseconds later, and is a misfire after that.
        misfire: Of the misfires, the ``latest`` is fired where nothing newer is; or ``all``, the newest
            ``misfire_limit`` of them; or none, ``skip``.
        misfire_limit: For ``all``.
        overlap: Whether a time is fired while the task of the last one has not ended: ``allow`` or ``skip``.
        enabled: Whether it fires; None lets a new one fire and leaves an existing one as it is.
        declared: It stands in a configuration file.
    """

    schedule_id: str
    cron: str | None = None
    every_ms: int | None = None
    at: int | None = None
    timezone: str = "UTC"
    dst_gap: DstGap = "run"
    func: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    payload: Any = None
    user_id: str | None = None
    priority: Priority = Priority.NORMAL
    retries: int = DEFAULT_RETRIES
    retry: Backoff | None = None
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    cost: float | None = None
    start: int | None = None
    end: int | None = None
    jitter_ms: int = 0
    grace_ms: int = DEFAULT_GRACE_MS
    misfire: Misfire = "latest"
    misfire_limit: int = DEFAULT_MISFIRE_LIMIT
    overlap: Overlap = "allow"
    enabled: bool | None = None
    declared: bool = False

    @classmethod
    def create(
        cls,
        schedule_id: str,
        *,
        every: float | timedelta | None = None,
        at: datetime | None = None,
        func: Callable[..., Any] | str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        timeout: float | timedelta | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: float | timedelta = 0,
        grace: float | timedelta = DEFAULT_GRACE_MS / 1000,
        **fields: Any,
    ) -> "Schedule":
        """Make a schedule from seconds and dates. What is wrong is said when it is added, all at once.

        Args:
            schedule_id: Its name.
            every: Seconds between two times: whole milliseconds.
            at: Or the one and only time, with its time zone.
            func: A function, or the name of one.
            args: Positional arguments.
            kwargs: Keyword arguments.
            timeout: Seconds one attempt may take.
            start: No time before this moment, with its time zone.
            end: And none after this one.
            jitter: Seconds by which the times are moved at most.
            grace: Seconds for which a time that nobody fired is still fired.
            **fields: Any other field of `Schedule`: ``cron``, ``timezone``, ``user_id`` …

        Raises:
            TypeError: There is no such field.
        """
        return cls(
            schedule_id=schedule_id,
            every_ms=_taken(whole_ms, every),
            at=_taken(to_epoch_ms, at),
            func=name_of(func) if callable(func) else func,
            args=args if isinstance(args, str | bytes) or not isinstance(args, Iterable) else tuple(args),  # type: ignore[arg-type]  # refused when stored
            kwargs={} if kwargs is None else kwargs,
            timeout_ms=DEFAULT_TIMEOUT_MS if timeout is None else _taken(to_ms, timeout),
            start=_taken(to_epoch_ms, start),
            end=_taken(to_epoch_ms, end),
            jitter_ms=_taken(to_ms, jitter),
            grace_ms=_taken(to_ms, grace),
            **fields,
        )

    def evolve(self, **changes: Any) -> "Schedule":
        """Return the schedule with some fields changed."""
        return evolve(self, **changes)


@frozen
class _Refused:
    """A value that has no milliseconds, for `schedule_problems` to refuse: a number would be taken for some."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


def _taken(convert: Callable[[Any, str], int], value: Any) -> Any:
    try:
        return None if value is None else convert(value, "")
    except InvalidTask:
        return _Refused(value)


@frozen(kw_only=True)
class Miss:
    """Runs of a schedule that enqueued no task.

    Attributes:
        first: The first of them, in milliseconds since the epoch.
        last: The last of them.
        number: How many they are. Where it was stopped by who cannot compute its times, only the first one counts.
        reason: ``late``: nobody fired them within the grace; ``overlap``: the task before had not ended; ``edited``:
            the schedule got other times just then; ``disabled``: it was stopped just then.
    """

    first: int
    last: int
    number: int
    reason: str


@frozen(kw_only=True)
class Moved:
    """A step of a schedule from one of its times to the next, as the leader made it.

    Attributes:
        term: That of the leader.
        revision: That the schedule had.
        time: From which one it continued, in milliseconds since the epoch.
        code: What became of it: that of `Fired`.
        at_ms: When it was, in milliseconds since the epoch.
    """

    term: int
    revision: int
    time: int
    code: int
    at_ms: int


@frozen(kw_only=True)
class ScheduleInfo:
    """What a queue knows of a schedule. Times are milliseconds since the epoch on the server's clock.

    Attributes:
        schedule: The definition.
        revision: Number of its last change, among those of all schedules of the queue.
        enabled: Whether it fires.
        next_at: Its next time; None while the leader has not computed it, and when there is none.
        from_at: While ``next_at`` is not computed: it is the first time after this moment.
        forgotten_at: It has no further time, and is forgotten then.
        last_at: The time that it fired last.
        fired: Runs that enqueued a task.
        missed: Times that did not, since nobody fired them within their grace, or the schedule was changed.
        skipped: Times that did not, since the task before had not ended.
        misses: The last of those, the newest first.
        moved: Its last step from one time to the next; None before the first.
    """

    schedule: Schedule
    revision: int
    enabled: bool
    next_at: int | None
    from_at: int | None
    forgotten_at: int | None
    last_at: int | None
    fired: int
    missed: int
    skipped: int
    misses: tuple[Miss, ...]
    moved: Moved | None = None

    @property
    def schedule_id(self) -> str:
        """Its name."""
        return self.schedule.schedule_id

    @property
    def last_task_id(self) -> str | None:
        """The task that its last run enqueued; None before the first."""
        return None if self.last_at is None else task_id_of(self.schedule_id, self.last_at)


@frozen(kw_only=True)
class UnreadableSchedule:
    """A schedule whose definition cannot be read here: it is damaged, or a newer release has written it.

    Attributes:
        schedule_id: Its name.
        revision: Number of its last change.
        problem: Why it cannot be read, in a sentence that names it.
    """

    schedule_id: str
    revision: int
    problem: str


@frozen(kw_only=True)
class SchedulePage:
    """Some schedules.

    Attributes:
        at_ms: When they were read, in milliseconds since the epoch on the server's clock.
        rows: The schedules.
        unreadable: Those between them that cannot be read here.
        next: Where the next page begins, to be passed as ``after``; None when this was the last one.
    """

    at_ms: int
    rows: tuple[ScheduleInfo, ...]
    unreadable: tuple[UnreadableSchedule, ...] = ()
    next: str | None

    def __iter__(self) -> Iterator[ScheduleInfo]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def page(self) -> Page[ScheduleInfo]:
        """Return the same as pages of other lists are."""
        return Page(
            items=self.rows,
            next=self.next,
            scanned=len(self.rows) + len(self.unreadable),
            read_at=from_epoch_ms(self.at_ms),
            problems=tuple(one.problem for one in self.unreadable),
        )


@frozen(kw_only=True)
class SchedulerStatus:
    """Who fires the schedules of a queue, and how many they are.

    Attributes:
        at_ms: When this was read, in milliseconds since the epoch on the server's clock.
        leader: Name of the scheduler that leads; None when none does.
        term: Number of the leader; each new one has a higher one.
        lease_ms: How long it leads yet unless it renews its lease.
        schedules: All schedules.
        overdue: Schedules whose time has come and that are not fired yet.
        first_at: The earliest of all next times; None when there is none.
        fired: Runs of all schedules that enqueued a task, since the queue was made.
        missed: Times that were missed.
        skipped: Times that were skipped, since the task before had not ended.
    """

    at_ms: int
    leader: str | None
    term: int
    lease_ms: int
    schedules: int
    overdue: int
    first_at: int | None
    fired: int
    missed: int
    skipped: int


def task_id_of(schedule_id: str, time_ms: int) -> str:
    """Return the id of the task of a time: the same whoever makes it, so that a time has one task."""
    return f"schedule:{schedule_id}:{time_ms}"


def task_of(schedule: Schedule, time_ms: int) -> Task[Any]:
    """Return the task of a time; made again it is the same, to the last byte of its message.

    Raises:
        InvalidTask: Its fields do not make a task.
    """
    return from_fields(
        task_id=task_id_of(schedule.schedule_id, time_ms),
        user_id=schedule.user_id,
        priority=schedule.priority,
        func=schedule.func,
        args=schedule.args,
        kwargs=schedule.kwargs,
        payload=schedule.payload,
        retries=schedule.retries,
        backoff=schedule.retry,
        timeout_ms=schedule.timeout_ms,
        cost=schedule.cost,
        created_at=time_ms,
    )
