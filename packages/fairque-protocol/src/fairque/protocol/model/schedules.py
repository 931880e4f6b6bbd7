"""Schedules: which task is enqueued when, as a frozen value."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from attrs import field, fields, frozen

from fairque.protocol import clock
from fairque.protocol.durations import from_epoch_ms, to_epoch_ms, to_ms, whole_ms
from fairque.protocol.errors import InvalidSchedule, InvalidTask
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task, check_options, with_fields

__all__ = [
    "DEFAULT_MISFIRE_GRACE_MS",
    "DEFAULT_MISFIRE_LIMIT",
    "DstGap",
    "Misfire",
    "Overlap",
    "Schedule",
    "schedule_from_fields",
    "schedule_with",
    "task_id_of",
    "task_of",
]

Misfire: TypeAlias = Literal["latest", "all", "skip"]
Overlap: TypeAlias = Literal["allow", "skip"]
DstGap: TypeAlias = Literal["run", "skip"]

#: Longer than a standby needs to take over, so that a change of leaders misses nothing.
DEFAULT_MISFIRE_GRACE_MS = 60_000
DEFAULT_MISFIRE_LIMIT = 100


def _content(task: Any) -> Any:
    """Return what makes a task of a schedule equal to another one: each run has an id of its own."""
    if not isinstance(task, Task):
        return task
    return with_fields(task, task_id="any", created_at=0, priority=task.priority or Priority.NORMAL)


@frozen(init=False)
class Schedule:
    """When to run, and the task that each run enqueues. Exactly one of ``cron``, ``every`` and ``at`` says when.

    Nothing is checked when it is made: whoever stores a schedule gets all that is wrong with it in one
    `InvalidSchedule`.

    Attributes:
        schedule_id: Names the schedule; its tasks have the ids ``schedule:<id>:<time in ms>``. At most 100 bytes.
        task: What each run enqueues.
        cron: Five or six fields, or a name such as ``@daily``.
        timezone: IANA name of the zone in which ``cron`` is meant.
        misfire: Of the misfires, the ``latest`` is fired where nothing newer is; or ``all``, the newest
            ``misfire_limit`` of them; or none, ``skip``.
        misfire_limit: For ``all``.
        overlap: Whether a run is fired while the task of the last one has not ended: ``allow`` or ``skip``.
        dst_gap: What becomes of runs that a clock change leaves out: ``run`` right after it, or ``skip``.
        paused: Whether it is paused; None lets a new one fire and leaves an existing one as it is.
        declared: It stands in a configuration file.
    """

    schedule_id: str
    task: Task[Any] = field(eq=_content)
    # Times as they are stored: milliseconds, since the epoch where they are moments.
    cron: str | None = None
    every_ms: int | None = None
    at_ms: int | None = None
    timezone: str = "UTC"
    start_ms: int | None = None
    end_ms: int | None = None
    jitter_ms: int = 0
    misfire: Misfire = "latest"
    misfire_grace_ms: int = DEFAULT_MISFIRE_GRACE_MS
    misfire_limit: int = DEFAULT_MISFIRE_LIMIT
    overlap: Overlap = "allow"
    dst_gap: DstGap = "run"
    paused: bool | None = None
    declared: bool = False

    def __init__(
        self,
        schedule_id: str,
        task: Task[Any],
        *,
        cron: str | None = None,
        every: float | timedelta | None = None,
        at: datetime | None = None,
        timezone: str = "UTC",
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: float | timedelta = 0,
        misfire: Misfire = "latest",
        misfire_grace: float | timedelta = DEFAULT_MISFIRE_GRACE_MS / 1000,
        misfire_limit: int = DEFAULT_MISFIRE_LIMIT,
        overlap: Overlap = "allow",
        dst_gap: DstGap = "run",
        paused: bool | None = None,
    ) -> None:
        """Make a schedule. What is wrong with it is said when it is added, all at once.

        Args:
            schedule_id: Its name.
            task: What each run enqueues: ``function.task(...)``, without id, time, dependency or key of its own.
            cron: Five or six fields, or a name such as ``@daily``; see `fairque.scheduler.parse_cron`.
            every: Or seconds between two runs, of whole milliseconds, counted from ``start``, else from the beginning
                of 1970 in UTC.
            at: Or the moment of the one and only run, with its time zone.
            timezone: IANA name of the zone in which ``cron`` is meant.
            start: No run before this moment, with its time zone.
            end: And none after this one.
            jitter: Each run is moved by a fixed part of so many seconds, which comes from the id.
            misfire: What becomes of runs that nobody fired in time, see the attribute.
            misfire_grace: So many seconds later a run is still fired, and is a misfire after that.
            misfire_limit: How many misfires ``all`` fires.
            overlap: Whether a run is fired while the task of the last one has not ended.
            dst_gap: What becomes of runs that a clock change leaves out.
            paused: Whether it is paused; None leaves that as it is.
        """
        self.__attrs_init__(
            schedule_id=schedule_id,
            task=task,
            cron=cron,
            timezone=timezone,
            misfire=misfire,
            misfire_limit=misfire_limit,
            overlap=overlap,
            dst_gap=dst_gap,
            paused=paused,
            **_stored({"every": every, "at": at, "start": start, "end": end, "jitter": jitter}),
            **_stored({"misfire_grace": misfire_grace}),
        )

    def evolve(self, **changes: Any) -> "Schedule":
        """Return the schedule with some arguments changed, which have the names of those of the constructor.

        Raises:
            TypeError: There is no such argument.
        """
        check_options(changes, _ARGUMENTS)
        return schedule_with(self, **_stored(changes))

    def upcoming(self, count: int = 5, *, after: datetime | None = None) -> list[datetime]:
        """Return its next runs, the earliest first; fewer where it has no more.

        Args:
            count: How many.
            after: From which moment on; None takes now, by the clock of this machine.

        Raises:
            InvalidSchedule: It has no usable time zone, expression or interval.
        """
        times: list[datetime] = []
        at: int | None = clock.now_ms() if after is None else to_epoch_ms(after, "after")
        try:
            while at is not None and len(times) < count:
                at = time_after(self, at)
                if at is not None:
                    times.append(from_epoch_ms(at))
        except (TypeError, ArithmeticError) as error:
            raise InvalidSchedule([f"schedule {self.schedule_id!r} has no times: {error}"]) from error
        return times


_CONVERTED: dict[str, tuple[str, Callable[[Any, str], int]]] = {
    "every": ("every_ms", whole_ms),
    "at": ("at_ms", to_epoch_ms),
    "start": ("start_ms", to_epoch_ms),
    "end": ("end_ms", to_epoch_ms),
    "jitter": ("jitter_ms", to_ms),
    "misfire_grace": ("misfire_grace_ms", to_ms),
}
_NAMES = tuple(one.name for one in fields(Schedule))
_ARGUMENTS = {*_CONVERTED, *(name for name in _NAMES if not name.endswith("_ms") and name != "declared")}


@frozen
class _Refused:
    """A value that has no milliseconds, for `schedule_problems` to refuse: a number would be taken for some."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


def _stored(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as the fields that hold them."""
    stored: dict[str, Any] = {}
    for name, value in arguments.items():
        kept, convert = _CONVERTED.get(name, (name, None))
        stored[kept] = value if convert is None or value is None else _taken(convert, value)
    return stored


def _taken(convert: Callable[[Any, str], int], value: Any) -> Any:
    try:
        return convert(value, "")
    except InvalidTask:
        return _Refused(value)


def schedule_from_fields(**stored: Any) -> Schedule:
    """Make a schedule of its stored fields, which hold milliseconds."""
    schedule: Schedule = object.__new__(Schedule)
    schedule.__attrs_init__(**stored)
    return schedule


def schedule_with(schedule: Schedule, **changes: Any) -> Schedule:
    """Return a schedule with some stored fields changed, which hold milliseconds."""
    return schedule_from_fields(**{name: getattr(schedule, name) for name in _NAMES} | changes)


def task_id_of(schedule_id: str, time_ms: int) -> str:
    """Return the id of the task of a run: the same whoever makes it, so that a run has one task."""
    return f"schedule:{schedule_id}:{time_ms}"


def task_of(schedule: Schedule, time_ms: int) -> Task[Any]:
    """Return the task of a run; made again it is the same, to the last byte of its message.

    Raises:
        InvalidTask: Its fields do not make a task.
    """
    task = schedule.task
    return with_fields(
        task,
        task_id=task_id_of(schedule.schedule_id, time_ms),
        priority=task.priority or Priority.NORMAL,
        created_at=time_ms,
    )
