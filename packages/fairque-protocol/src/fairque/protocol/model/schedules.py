"""The schedule: when to enqueue which task, as a frozen value."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from attrs import field, fields, frozen

from fairque.protocol import clock
from fairque.protocol.durations import from_epoch_ms, to_epoch_ms, to_ms, whole_ms
from fairque.protocol.errors import InvalidSchedule, InvalidTask
from fairque.protocol.model.schedule_checks import time_problems
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

#: Longer than a standby needs to take over, so that no run is missed when the leader changes.
DEFAULT_MISFIRE_GRACE_MS = 60_000
DEFAULT_MISFIRE_LIMIT = 100


def _content(task: Any) -> Any:
    """Return the task of a schedule without its id and creation time, for comparisons: each run has its own."""
    if not isinstance(task, Task):
        return task
    return with_fields(task, task_id="any", created_at=0, priority=task.priority or Priority.NORMAL)


@frozen(init=False)
class Schedule:
    """When to run, and the task that each run enqueues. Exactly one of ``cron``, ``every`` and ``at`` is given.

    Nothing is checked on creation: storing a schedule raises a single `InvalidSchedule` with all problems.

    Attributes:
        schedule_id: The id of the schedule, at most 100 bytes; its tasks have the ids ``schedule:<id>:<time in ms>``.
        task: The task that each run enqueues.
        cron: Five or six fields, or a name such as ``@daily``.
        timezone: IANA name of the time zone of ``cron``.
        misfire: Which misfires are fired later: the ``latest``, unless a newer run is due; ``all``, of which the newest
            ``misfire_limit``; or ``skip``, none.
        misfire_limit: For ``all``.
        overlap: Whether a run is fired if the task of the previous one has not ended: ``allow`` or ``skip``.
        dst_gap: What happens to runs in the gap when clocks are set forward: ``run`` right after it, or ``skip``.
        paused: Whether it is paused; None means active for a new schedule, and unchanged for an existing one.
        declared: Whether it is declared in a configuration file.
    """

    schedule_id: str
    task: Task[Any] = field(eq=_content)
    # As stored: durations in milliseconds, times in milliseconds since the epoch.
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
        """Create a schedule. Its problems are reported when it is added, all at once.

        Args:
            schedule_id: The id of the schedule.
            task: The task that each run enqueues: ``function.task(...)``, without id, time, dependencies or key.
            cron: Five or six fields, or a name such as ``@daily``; see `fairque.scheduler.parse_cron`.
            every: Or the seconds between two runs, in whole milliseconds, counted from ``start``, or else from the
                start of 1970 in UTC.
            at: Or the time of a single run, with a time zone.
            timezone: IANA name of the time zone of ``cron``.
            start: No run before this time, with a time zone.
            end: No run after this time, with a time zone.
            jitter: All runs are delayed by a constant time up to this many seconds, derived from the id.
            misfire: Which misfires are fired later, see the attribute.
            misfire_grace: How many seconds late a run is still fired; after that it is a misfire.
            misfire_limit: How many misfires ``all`` fires.
            overlap: Whether a run is fired if the task of the previous one has not ended.
            dst_gap: What happens to runs in the gap when clocks are set forward.
            paused: Whether it is paused; None leaves that unchanged.
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
        """Return the schedule with some arguments of the constructor changed.

        Raises:
            TypeError: An argument is unknown.
        """
        check_options(changes, _ARGUMENTS)
        return schedule_with(self, **_stored(changes))

    def upcoming(self, count: int = 5, *, after: datetime | None = None) -> list[datetime]:
        """Return its next runs, earliest first; fewer if it does not have as many.

        Args:
            count: How many.
            after: Only runs after this time; None for the current time of this machine.

        Raises:
            InvalidSchedule: Its time zone, expression or interval is invalid.
        """
        if problems := time_problems(self):
            raise InvalidSchedule([f"schedule {self.schedule_id!r}: {problem}" for problem in problems])
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
_NAMES = tuple(attribute.name for attribute in fields(Schedule))
_ARGUMENTS = {*_CONVERTED, *(name for name in _NAMES if not name.endswith("_ms") and name != "declared")}


@frozen
class _Refused:
    """A value that cannot be converted to milliseconds; wrapped, so that `schedule_problems` refuses even a number."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


def _stored(arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert arguments to stored fields."""
    stored: dict[str, Any] = {}
    for name, value in arguments.items():
        field_name, convert = _CONVERTED.get(name, (name, None))
        stored[field_name] = value if convert is None or value is None else _converted(convert, value)
    return stored


def _converted(convert: Callable[[Any, str], int], value: Any) -> Any:
    try:
        return convert(value, "")
    except InvalidTask:
        return _Refused(value)


def schedule_from_fields(**stored: Any) -> Schedule:
    """Create a schedule from its stored fields; times are in milliseconds."""
    schedule: Schedule = object.__new__(Schedule)
    schedule.__attrs_init__(**stored)
    return schedule


def schedule_with(schedule: Schedule, **changes: Any) -> Schedule:
    """Return a schedule with some stored fields changed; times are in milliseconds."""
    return schedule_from_fields(**{name: getattr(schedule, name) for name in _NAMES} | changes)


def task_id_of(schedule_id: str, time_ms: int) -> str:
    """Return the id of the task of a run. It is deterministic, so that a run has only one task."""
    return f"schedule:{schedule_id}:{time_ms}"


def task_of(schedule: Schedule, time_ms: int) -> Task[Any]:
    """Return the task of a run. It is deterministic, down to the bytes of its message.

    Raises:
        InvalidTask: Its fields are not those of a valid task.
    """
    task = schedule.task
    return with_fields(
        task,
        task_id=task_id_of(schedule.schedule_id, time_ms),
        priority=task.priority or Priority.NORMAL,
        created_at=time_ms,
    )
