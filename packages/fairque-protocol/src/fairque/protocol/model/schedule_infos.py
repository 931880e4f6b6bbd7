"""What a queue knows of its schedules, and who fires them."""

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
        count: How many they are. Where it was paused by who cannot compute its times, only the first one counts.
        reason: ``late``: nobody fired them within the grace; ``overlap``: the task before had not ended; ``edited``:
            the schedule got other times just then; ``paused``: it was paused just then.
    """

    first_at: datetime
    last_at: datetime
    count: int
    reason: MissReason


@frozen(kw_only=True)
class Moved:
    """A step of a schedule from one of its runs to the next, as the leader made it.

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
    """What a queue knows of a schedule, by the server's clock.

    Attributes:
        schedule: The definition.
        revision: Number of its last change, among those of all schedules of the queue.
        paused: Whether it is paused.
        fired: Runs that enqueued a task.
        missed: Runs that did not, since nobody fired them within their grace, or the schedule was changed.
        skipped: Runs that did not, since the task before had not ended.
        misses: The last of those, the newest first.
    """

    schedule: Schedule
    revision: int
    paused: bool
    #: In milliseconds since the epoch: its next run; None while the leader has not computed it, and when there is none.
    next_ms: int | None
    #: While that is not computed: it is the first run after this moment.
    from_ms: int | None
    #: It has no further run, and is forgotten then.
    forgotten_ms: int | None
    last_ms: int | None
    fired: int
    missed: int
    skipped: int
    misses: tuple[Miss, ...]
    #: Its last step from one run to the next; None before the first.
    moved: Moved | None = None

    @property
    def schedule_id(self) -> str:
        """Its name."""
        return self.schedule.schedule_id

    @property
    def next_at(self) -> datetime | None:
        """Its next run; None when there is none, and while the leader has not computed it and nobody here can."""
        return None if self.next_ms is None else from_epoch_ms(self.next_ms)

    @property
    def last_at(self) -> datetime | None:
        """The run that it fired last; None before the first."""
        return None if self.last_ms is None else from_epoch_ms(self.last_ms)

    @property
    def last_task_id(self) -> str | None:
        """The task that its last run enqueued; None before the first."""
        return None if self.last_ms is None else task_id_of(self.schedule_id, self.last_ms)


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
        overdue: Schedules whose run has come and that are not fired yet.
        next_ms: The earliest of all next runs, in milliseconds since the epoch; None when there is none.
        fired: Runs of all schedules that enqueued a task, since the queue was made.
        missed: Runs that were missed.
        skipped: Runs that were skipped, since the task before had not ended.
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
        """The earliest of all next runs; None when there is none."""
        return None if self.next_ms is None else from_epoch_ms(self.next_ms)
