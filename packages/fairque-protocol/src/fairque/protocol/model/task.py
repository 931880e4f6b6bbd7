"""The task: one unit of work of a user, as a frozen value."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack, cast, get_args

from attrs import Attribute, field, fields, frozen

from fairque.protocol import clock
from fairque.protocol.durations import LONGEST_MS, LONGEST_SECONDS, to_epoch_ms, to_ms
from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.ids import check_id, new_task_id
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.pipeline import Chain, Pipeline
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.safe_repr import safe_repr

__all__ = [
    "DEFAULT_RETRIES",
    "DEFAULT_TIMEOUT_MS",
    "ISOLATIONS",
    "Isolation",
    "Task",
    "TaskDefaults",
    "TaskOptions",
    "TaskTemplate",
    "check_options",
    "from_fields",
    "with_fields",
]

R_co = TypeVar("R_co", covariant=True)

#: Where a task runs: in a thread or on the event loop of the worker, or in a child process.
Isolation: TypeAlias = Literal["thread", "process"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)

DEFAULT_RETRIES = 2
#: Every task has a timeout: one hour by default.
DEFAULT_TIMEOUT_MS = 3_600_000


def _an_id(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_id(value, attribute.name)


def _whole(least: int, most: int) -> Callable[[object, "Attribute[Any]", object], None]:
    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if type(value) is not int or not least <= value <= most:
            raise InvalidTask(f"{attribute.name} must be a whole number from {least} to {most}, not {safe_repr(value)}")

    return check


def _priority(value: object) -> Priority | None:
    if value is None:
        return None
    priority = value if type(value) is Priority else Priority.known(value)
    if priority is None:
        if isinstance(value, str) and value in Priority.__members__:
            raise InvalidTask(f"priority {value!r} is a string: pass Priority.{value}")
        names = ", ".join(f"{p.name} {p.value}" for p in Priority)
        raise InvalidTask(f"priority {safe_repr(value)} is unknown: choose one of {names}")
    return priority


def _values(value: Iterable[Any]) -> tuple[Any, ...]:
    # A string is iterable, too, but passing one is a mistake.
    if isinstance(value, str | bytes | Mapping | Output) or not isinstance(value, Iterable):
        raise InvalidTask(f"args must be a list or tuple of arguments, not {safe_repr(value)}: put it into a list")
    return tuple(value)


def _named(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidTask(f"kwargs must be a mapping of names to arguments, not {safe_repr(value)}")
    return value


def _parents(value: "str | Task[Any] | After | Iterable[str | Task[Any] | After]") -> tuple[After, ...]:
    several: Iterable[str | Task[Any] | After] = (value,) if isinstance(value, str | Task | After) else value
    if isinstance(several, AbstractSet):
        # The order of a set differs between processes, and a task may get its user from the first dependency.
        several = sorted(several, key=lambda parent: parent if isinstance(parent, str) else parent.task_id)
    if isinstance(several, Output) or not isinstance(several, Iterable):
        raise InvalidTask(f"depends_on must be tasks or ids of tasks, not {safe_repr(value)}")
    by_id: dict[str, After] = {}
    for parent in several:
        after = parent if isinstance(parent, After) else After(parent.task_id if isinstance(parent, Task) else parent)
        if by_id.setdefault(after.task_id, after) != after:
            raise InvalidTask(f"depends_on has task {after.task_id} twice, with different on_failure")
    return tuple(by_id.values())


class TaskDefaults(TypedDict, total=False):
    """Options of ``@task(...)`` for all tasks of a function. Durations are seconds or a `timedelta`.

    Attributes:
        user_id: The user whose share of the workers a task uses; None for the user of its first dependency, or else
            the default user of the queue.
        priority: Its urgency among the tasks of the same user; None for the priority of its first dependency, or else
            NORMAL.
        retries: How often it is retried after an error, 2 by default.
        backoff: The pauses between attempts; None for the default backoff.
        timeout: How long an attempt may take, an hour by default.
        isolation: ``process`` runs it in a child process of the worker, which can be killed; ``thread`` does not; None
            uses the setting of the worker.
        delay: How long after the push it may start. Like all durations, it is rounded up to milliseconds.
        cost: Expected run time in seconds, to charge the first run fairly; it is corrected by the measured time.
    """

    user_id: str | None
    priority: Priority | None
    retries: int
    backoff: Backoff | None
    timeout: float | timedelta
    isolation: Isolation | None
    delay: float | timedelta
    cost: float | None


class TaskOptions(TaskDefaults, total=False):
    """Options of a single task, also for ``function.options(...)``: those of `TaskDefaults` and more.

    Attributes:
        at: When it may start, with a time zone; instead of a delay.
        depends_on: Tasks, task ids or `After`: what must end first.
        dedup_key: Until a task with this key has ended, another push with the key returns the handle of that task. Keys
            are shared by all users of the queue.
        dedup_ttl: How long the key is held instead, whenever the task ends.
        task_id: The id; pushing the same id twice is the same task. By default each task gets a new id.
        payload: Any JSON value in addition to the arguments, for a custom `TaskHandler`.
    """

    at: datetime | None
    depends_on: "str | Task[Any] | After | Iterable[str | Task[Any] | After]"
    dedup_key: str | None
    dedup_ttl: float | timedelta
    task_id: str
    payload: Any


@frozen(kw_only=True, init=False)
class Task(Chain[R_co]):
    """One unit of work of one user. Create it with ``function.task(...)`` of a task function, or with a function name.

    Attributes:
        task_id: Its unique id; pushing it again does nothing. Use it as the idempotency key towards other systems.
        user_id: The user whose share of the workers it uses.
        priority: Its urgency among the tasks of the same user.
        func: Registered name of its function; None for tasks of a custom `TaskHandler`.
        args: Positional arguments: JSON values, which may contain outputs of other tasks.
        kwargs: Keyword arguments, with the same values.
        payload: Any JSON value, for a custom `TaskHandler`.
        depends_on: The tasks that must end before it starts, each with what happens if it fails.
        group_id: Reserved for fairness between groups of users.
    """

    json_hint: ClassVar[str] = "pass its result, task.output, or add it to depends_on"

    # As stored: durations in milliseconds, times in milliseconds since the epoch.
    task_id: str = field(factory=new_task_id, validator=_an_id)
    user_id: str | None = field(default=None)
    priority: Priority | None = field(default=None, converter=_priority)
    func: str | None = field(default=None)
    args: tuple[Any, ...] = field(default=(), converter=_values)
    kwargs: Mapping[str, Any] = field(factory=dict, converter=_named)
    payload: Any = None
    depends_on: tuple[After, ...] = field(default=(), converter=_parents)
    delay_ms: int = field(default=0, validator=_whole(0, LONGEST_MS))
    execute_at: int | None = field(default=None)
    retries: int = field(default=DEFAULT_RETRIES, validator=_whole(0, 1_000))
    backoff: Backoff | None = None
    timeout_ms: int = field(default=DEFAULT_TIMEOUT_MS, validator=_whole(1, LONGEST_MS))
    isolation: Isolation | None = None
    dedup_key: str | None = field(default=None)
    dedup_ttl_ms: int = field(default=0, validator=_whole(0, LONGEST_MS))
    cost: float | None = field(default=None)
    group_id: str | None = field(default=None)
    #: By the producer's clock; for information only.
    created_at: int = field(factory=clock.now_ms)

    def __init__(
        self: "Task[Any]",
        *,
        func: Callable[..., Any] | str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Create a task without type checking of its arguments.

        Args:
            func: A function (stored by its registered name, or else as ``module:qualname``), or such a name. Without
                it, a custom `TaskHandler` gets the payload.
            args: Positional arguments.
            kwargs: Keyword arguments.
            **options: See `TaskOptions`.

        Raises:
            InvalidTask: A value cannot be pushed; the message says which and why.
            TypeError: An option is unknown.
        """
        self.__attrs_init__(
            func=name_of(func) if callable(func) else func,
            args=args,
            kwargs={} if kwargs is None else dict(_named(kwargs)),
            **_stored(options),
        )

    def __attrs_post_init__(self) -> None:
        """Validate the optional fields.

        Raises:
            InvalidTask: A field cannot be pushed; the message says which and why.
        """
        for name in ("user_id", "func", "dedup_key", "group_id"):
            value = getattr(self, name)
            if value is not None:
                check_id(value, name)
        if self.execute_at is not None:
            _whole(0, LONGEST_MS)(self, _EXECUTE_AT, self.execute_at)
            if self.delay_ms:
                raise InvalidTask("give a delay or a time (at), not both")
        if self.dedup_ttl_ms and self.dedup_key is None:
            raise InvalidTask("dedup_ttl needs a dedup_key")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise InvalidTask(f"backoff must be a Backoff, not {safe_repr(self.backoff)}")
        if self.isolation not in (None, *ISOLATIONS):
            raise InvalidTask(
                f"isolation must be {' or '.join(map(repr, ISOLATIONS))}, not {safe_repr(self.isolation)}"
            )
        if self.cost is not None and not (type(self.cost) in (int, float) and 0 <= self.cost <= LONGEST_SECONDS):
            raise InvalidTask(f"cost must be a number of seconds from 0, not {safe_repr(self.cost)}")

    @property
    def output(self) -> R_co:
        """A placeholder for the result, for the arguments of another task, which then depends on this one.

        It is replaced with the value when that task runs. For type checkers it has the type of the result, so that
        arguments are checked; at run time it is an `Output`, and ``[...]`` refers to a part of it.
        """
        return cast("R_co", Output(self.task_id))

    def xcom(self, key: str) -> Any:
        """Return a placeholder for the value that the task pushes under a key, like `output` for its result."""
        return Output(self.task_id, check_id(key, "key"))

    def as_pipeline(self) -> Pipeline[R_co]:
        """Return a pipeline of only this task."""
        return Pipeline({self.task_id: self}, (self.task_id,), (self.task_id,), single=True)

    def evolve(self, **options: Unpack[TaskOptions]) -> "Task[R_co]":
        """Return the task with some options changed; it keeps its id unless ``task_id`` is given.

        Raises:
            InvalidTask: A value cannot be pushed; the message says which and why.
            TypeError: An option is unknown.
        """
        return with_fields(self, **_stored(options))


_NAMES = tuple(attribute.name for attribute in fields(Task))
_EXECUTE_AT = Task.__attrs_attrs__.execute_at


def from_fields(**fields: Any) -> Task[Any]:
    """Create a task from its stored fields, such as those of a schedule's task; times are in milliseconds.

    Raises:
        InvalidTask: A field cannot be pushed; the message says which and why.
    """
    task: Task[Any] = object.__new__(Task)
    task.__attrs_init__(**fields)
    return task


def with_fields(task: Task[R_co], **changes: Any) -> Task[R_co]:
    """Return a task with some stored fields changed; times are in milliseconds.

    Raises:
        InvalidTask: A field cannot be pushed; the message says which and why.
    """
    changed: Task[R_co] = object.__new__(Task)
    changed.__attrs_init__(**{name: changes[name] if name in changes else getattr(task, name) for name in _NAMES})
    return changed


#: Fields in which the tasks of one `TaskTemplate` differ.
_OWN = ("task_id", "user_id", "args", "kwargs", "payload", "created_at")
_SET_SHARED = [(name, getattr(Task, name).__set__) for name in _NAMES if name not in _OWN]
_set_task_id, _set_user_id, _set_args, _set_kwargs, _set_payload, _set_created_at = (
    getattr(Task, name).__set__ for name in _OWN
)


class TaskTemplate(Generic[R_co]):
    """Makes tasks that differ from a valid one only in id, user, arguments, payload and time of creation.

    Args:
        task: The task.
    """

    __slots__ = ("_shared",)

    def __init__(self, task: Task[R_co]) -> None:
        self._shared = [(set_field, getattr(task, name)) for name, set_field in _SET_SHARED]

    def task(  # noqa: PLR0917 - passing them by name takes longer
        self,
        task_id: str,
        user_id: str | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        payload: Any,
        created_at: int,
    ) -> Task[R_co]:
        """Return a task. Nothing is validated: the values must be valid."""
        task: Task[R_co] = object.__new__(Task)
        for set_field, value in self._shared:
            set_field(task, value)
        _set_task_id(task, task_id)
        _set_user_id(task, user_id)
        _set_args(task, args)
        _set_kwargs(task, kwargs)
        _set_payload(task, payload)
        _set_created_at(task, created_at)
        return task


def check_options(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse unknown options.

    Raises:
        TypeError: An option is unknown; the message suggests a similar one.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"unknown option {name!r}: {hint}")


def _stored(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert options to stored fields."""
    if not options.keys() <= TaskOptions.__optional_keys__:
        check_options(options, TaskOptions.__optional_keys__)
    stored = dict(options)
    if "delay" in stored:
        stored["delay_ms"] = to_ms(stored.pop("delay"), "delay")
    if "dedup_ttl" in stored:
        stored["dedup_ttl_ms"] = to_ms(stored.pop("dedup_ttl"), "dedup_ttl")
    if "timeout" in stored:
        timeout = stored.pop("timeout")
        stored["timeout_ms"] = to_ms(timeout, "timeout")
        if not stored["timeout_ms"]:
            raise InvalidTask(f"timeout must be above 0 s, not {safe_repr(timeout)}")
    if "at" in stored:
        at = stored.pop("at")
        stored["execute_at"] = execute_at = None if at is None else to_epoch_ms(at, "at")
        if execute_at is not None and execute_at > LONGEST_MS:
            raise InvalidTask(f"at {safe_repr(at)} is too far away: the latest time is in the year 2255")
    return stored
