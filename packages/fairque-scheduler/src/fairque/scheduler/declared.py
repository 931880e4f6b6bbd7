"""The section ``schedules:`` of a configuration: schedules with every problem at its line."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.converters import optional as optional_converter
from attrs.validators import optional

from fairque.client.schedule_checks import cron_problems, function_problem
from fairque.protocol.config import (
    FairnessSection,
    LogSection,
    QueueSection,
    RedisSection,
    Seconds,
    between,
    seconds,
)
from fairque.protocol.config.nodes import join
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.limits import id_problem
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedules import DEFAULT_MISFIRE_GRACE_MS, DEFAULT_MISFIRE_LIMIT, Schedule
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import DEFAULT_RETRIES, DEFAULT_TIMEOUT_MS, Isolation, Task
from fairque.protocol.service.loading import import_modules
from fairque.scheduler.settings import SchedulerSection, SchedulerSettings

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["DeclaredSchedule", "FileSettings", "import_functions", "schedules_of"]

_DAY = 86_400.0


def _when(entry: "DeclaredSchedule", attribute: "Attribute[Any]", value: str | None) -> None:
    given = [name for name in ("cron", "every", "at") if getattr(entry, name, None) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ValueError(f"{attribute.name}: give one of cron, every and at, to say when; found {found}")
    _refuse(attribute, cron_problems(value, "UTC"))


def _zone(_: Any, attribute: "Attribute[Any]", value: str) -> None:
    _refuse(attribute, cron_problems(None, value))


def _refuse(attribute: "Attribute[Any]", problems: list[str]) -> None:
    if problems:
        raise ValueError(f"{attribute.name}: {'; '.join(problems)}")


def _moment(_: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    if value is not None:
        try:
            _read(value)
        except ValueError as error:
            raise ValueError(f"{attribute.name}: {error}") from None


def _end(entry: "DeclaredSchedule", attribute: "Attribute[Any]", value: str | None) -> None:
    _moment(entry, attribute, value)
    if value is not None and entry.start is not None and _read(value) < _read(entry.start):
        raise ValueError(f"{attribute.name}: is before start {entry.start!r}: it could never fire")


def _an_id(_: Any, attribute: "Attribute[Any]", value: str) -> None:
    if problem := id_problem(value, attribute.name):
        raise ValueError(problem.removeprefix(f"{attribute.name} "))


def _function(_: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    if value is not None and (problem := id_problem(value, attribute.name)):
        raise ValueError(f"{attribute.name}: {problem}")


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else _read(text)


def _read(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"must be a date and time such as '2026-03-01T08:00:00+01:00', found {text!r}") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: append Z for UTC, or an offset such as +01:00")
    return moment


@frozen(kw_only=True)
class DeclaredTask:
    """The task that each run of a declared schedule enqueues.

    Attributes:
        func: Registered name of the function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        payload: Data for a `TaskHandler` of the worker.
        user_id: The user whose share of the workers the tasks use.
        priority: Urgency among the tasks of the same user.
        retries: How often a task is retried after an error.
        backoff: The pauses between the attempts.
        timeout: How long one attempt may take.
        isolation: Whether it runs in a child process.
        cost: Expected run time in seconds.
    """

    func: str | None = field(default=None, validator=_function)
    args: list[Any] = field(factory=list)
    kwargs: dict[str, Any] = field(factory=dict)
    payload: Any = None
    user_id: str = field(validator=_an_id)
    priority: Priority = Priority.NORMAL
    retries: int = field(default=DEFAULT_RETRIES, validator=between(0, 1_000))
    backoff: Backoff | None = None
    timeout: Seconds = field(default=DEFAULT_TIMEOUT_MS / 1000, converter=seconds, validator=between(0.001, 366 * _DAY))
    isolation: Isolation | None = None
    cost: float | None = field(default=None, validator=optional(between(0, _DAY * 1000)))

    def task(self) -> Task[Any]:
        """Return the task."""
        return Task(
            func=self.func,
            args=self.args,
            kwargs=self.kwargs,
            payload=self.payload,
            user_id=self.user_id,
            priority=self.priority,
            retries=self.retries,
            backoff=self.backoff,
            timeout=self.timeout,
            isolation=self.isolation,
            cost=self.cost,
        )


@frozen(kw_only=True)
class DeclaredSchedule:
    """One schedule of a configuration file, under its id: the arguments of `Schedule`.

    Attributes:
        cron: Five or six fields, or a name such as ``@daily``.
        every: Or the time between two runs, counted from ``start``, else from the beginning of 1970.
        at: Or the moment of the only run.
        timezone: IANA name of the time zone of ``cron``.
        dst_gap: What happens to runs that a clock change skips.
        task: The task that each run enqueues.
        start: The earliest moment of a run.
        end: The latest moment of a run.
        jitter: Each run is shifted by a fixed fraction of this.
        misfire_grace: For how long a run that was not fired on time is still fired.
        misfire: What happens to later ones.
        misfire_limit: How many of them, with ``misfire: all``.
        overlap: Whether a run is fired while the task of the last one has not ended.
        paused: Whether it is paused; None leaves that to ``queue.schedules.pause`` and ``resume``.
    """

    cron: str | None = field(default=None, validator=_when)
    every: Seconds | None = field(
        default=None, converter=optional_converter(seconds), validator=optional(between(0.1, 3_660 * _DAY))
    )
    at: str | None = field(default=None, validator=_moment)
    timezone: str = field(default="UTC", validator=_zone)
    dst_gap: Literal["run", "skip"] = "run"
    task: DeclaredTask
    start: str | None = field(default=None, validator=_moment)
    end: str | None = field(default=None, validator=_end)
    jitter: Seconds = field(default=0.0, converter=seconds, validator=between(0, _DAY))
    misfire_grace: Seconds = field(
        default=DEFAULT_MISFIRE_GRACE_MS / 1000, converter=seconds, validator=between(0, 366 * _DAY)
    )
    misfire: Literal["latest", "all", "skip"] = "latest"
    misfire_limit: int = field(default=DEFAULT_MISFIRE_LIMIT, validator=between(1, 1_000))
    overlap: Literal["allow", "skip"] = "allow"
    paused: bool | None = None

    def schedule(self, schedule_id: str) -> Schedule:
        """Return the schedule of that id."""
        return Schedule(
            schedule_id,
            self.task.task(),
            cron=self.cron,
            every=self.every,
            at=_maybe(self.at),
            timezone=self.timezone,
            dst_gap=self.dst_gap,
            start=_maybe(self.start),
            end=_maybe(self.end),
            jitter=self.jitter,
            misfire_grace=self.misfire_grace,
            misfire=self.misfire,
            misfire_limit=self.misfire_limit,
            overlap=self.overlap,
            paused=self.paused,
        )


def schedules_of(declared: Mapping[str, DeclaredSchedule]) -> list[Schedule]:
    """Return the schedules of a section."""
    return [entry.schedule(schedule_id) for schedule_id, entry in declared.items()]


@frozen(kw_only=True)
class FileSettings:
    """The settings of a scheduler in a configuration file; a missing section with declarations is None.

    Attributes:
        redis: The server.
        queue: The queue.
        scheduler: The section of the scheduler.
        log: What the command writes to standard error.
        fairness: Limits of users.
        schedules: Schedules by their ids.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    scheduler: SchedulerSection = field(factory=SchedulerSection)
    log: LogSection = field(factory=LogSection)
    fairness: FairnessSection | None = None
    schedules: dict[str, DeclaredSchedule] | None = None

    def service(self) -> SchedulerSettings:
        """Return the settings of the scheduler itself."""
        return SchedulerSettings(
            redis=self.redis,
            queue=self.queue,
            scheduler=self.scheduler,
            log=self.log,
            fairness=self.fairness or FairnessSection(),
        )


def import_functions(settings: FileSettings, origins: Mapping[str, str]) -> None:
    """Import the modules of a file that was read, and refuse schedules for functions that are not in them.

    Args:
        settings: The settings of the file. Without modules the functions are unknown, and all are accepted.
        origins: The place of each key, as `fairque.protocol.config.trace_settings` returns it.

    Raises:
        CannotImport: A module cannot be imported.
        ConfigurationError: Functions are missing; the message names each of them with its line.
    """
    modules = settings.scheduler.modules
    import_modules(modules)
    paths = {
        join("schedules", name, "task", "func"): declared.task.func
        for name, declared in (settings.schedules or {}).items()
    }
    found = {path: function_problem(func, modules) for path, func in paths.items()}
    if problems := [f"{origins[path]}: {path}: {problem}" for path, problem in found.items() if problem]:
        raise ConfigurationError(problems)
