"""The schedules of a queue as they are read, and the scheduler that leads."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, TypeAlias

from attrs import frozen

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.page import Page
from fairque.protocol.model.schedules import Schedule, task_id_of

__all__ = ["Miss", "MissReason", "Moved", "ScheduleInfo", "SchedulePage", "SchedulerStatus", "UnreadableSchedule"]

MissReason: TypeAlias = Literal["late", "overlap", "edited", "paused"]


@frozen(kw_only=True)
class Miss:
    """Runs of a schedule that enqueued no task.

    Attributes:
        first_at: The first of them.
        last_at: The last of them.
        count: How many. If the schedule was paused by a version that cannot compute its times, only the first counts.
        reason: ``late``: they were not fired within the grace; ``overlap``: the previous task had not ended;
            ``edited``: the times of the schedule changed; ``paused``: the schedule was paused.
    """

    first_at: datetime
    last_at: datetime
    count: int
    reason: MissReason


@frozen(kw_only=True)
class Moved:
    """A move of a schedule from one run to the next, made by the leader.

    Attributes:
        term: The term of the leader.
        revision: The revision of the schedule.
        time: The run it moved on from, in milliseconds since the epoch.
        code: The result, as in `Fired`.
        at_ms: When it was made, in milliseconds since the epoch.
    """

    term: int
    revision: int
    time: int
    code: int
    at_ms: int


@frozen(kw_only=True)
class ScheduleInfo:
    """A schedule of a queue. Times are by the server's clock.

    Attributes:
        schedule: The definition.
        revision: The number of its last change, counted over all schedules of the queue.
        paused: Whether it is paused.
        fired: Runs that enqueued a task.
        missed: Runs that did not, since they were not fired within their grace, or the schedule changed.
        skipped: Runs that did not, since the previous task had not ended.
        misses: The latest missed and skipped runs, newest first.
    """

    schedule: Schedule
    revision: int
    paused: bool
    #: Its next run, in milliseconds since the epoch; None if there is none or the leader has not computed it.
    next_ms: int | None
    #: If the next run is not computed: it is the first one after this time.
    from_ms: int | None
    #: If it has no further run: when its record expires.
    forgotten_ms: int | None
    last_ms: int | None
    fired: int
    missed: int
    skipped: int
    misses: tuple[Miss, ...]
    #: Its last move from one run to the next; None before the first.
    moved: Moved | None = None

    @property
    def schedule_id(self) -> str:
        """The id of the schedule."""
        return self.schedule.schedule_id

    @property
    def next_at(self) -> datetime | None:
        """Its next run; None if there is none, or if it is not computed and this version cannot do so."""
        return None if self.next_ms is None else from_epoch_ms(self.next_ms)

    @property
    def last_at(self) -> datetime | None:
        """Its last fired run; None before the first."""
        return None if self.last_ms is None else from_epoch_ms(self.last_ms)

    @property
    def last_task_id(self) -> str | None:
        """The task that its last run enqueued; None before the first."""
        return None if self.last_ms is None else task_id_of(self.schedule_id, self.last_ms)


@frozen(kw_only=True)
class UnreadableSchedule:
    """A schedule whose definition cannot be read: it is damaged, or was written by a newer release.

    Attributes:
        schedule_id: The id of the schedule.
        revision: The number of its last change.
        problem: Why it cannot be read, as a sentence with its id.
    """

    schedule_id: str
    revision: int
    problem: str


@frozen(kw_only=True)
class SchedulePage:
    """A page of schedules.

    Attributes:
        at_ms: When it was read, in milliseconds since the epoch by the server's clock.
        rows: The schedules.
        unreadable: Schedules of the page that this version cannot read.
        next: The start of the next page, to be passed as ``after``; None if this is the last one.
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
        """Return it as a `Page`."""
        return Page(
            items=self.rows,
            next=self.next,
            scanned=len(self.rows) + len(self.unreadable),
            read_at=from_epoch_ms(self.at_ms),
            problems=tuple(schedule.problem for schedule in self.unreadable),
        )


@frozen(kw_only=True)
class SchedulerStatus:
    """Which scheduler leads, and the numbers of the schedules of a queue.

    Attributes:
        at_ms: When this was read, in milliseconds since the epoch by the server's clock.
        leader: Name of the scheduler that leads; None if none does.
        term: The term of the leader; each new leader has a higher one.
        lease_ms: Milliseconds left on its lease.
        schedules: Number of schedules.
        overdue: Schedules that are due and not yet fired.
        next_ms: The earliest next run, in milliseconds since the epoch; None if there is none.
        fired: Runs of all schedules that enqueued a task, since the queue was created.
        missed: Missed runs.
        skipped: Runs that were skipped because the previous task had not ended.
    """

    at_ms: int
    leader: str | None
    term: int
    lease_ms: int
    schedules: int
    overdue: int
    next_ms: int | None
    fired: int
    missed: int
    skipped: int

    @property
    def next_at(self) -> datetime | None:
        """The earliest next run; None if there is none."""
        return None if self.next_ms is None else from_epoch_ms(self.next_ms)
