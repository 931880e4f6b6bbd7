"""The task: what a producer asks for, as one frozen value."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict, TypeVar, Unpack, cast, get_args

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
from fairque.protocol.showing import shown

__all__ = [
    "DEFAULT_RETRIES",
    "DEFAULT_TIMEOUT_MS",
    "ISOLATIONS",
    "Isolation",
    "Task",
    "TaskDefaults",
    "TaskOptions",
    "check_options",
    "from_fields",
    "with_fields",
]

R_co = TypeVar("R_co", covariant=True)

#: Where a task runs: in a thread of the worker or on its event loop, or in a child process of its own.
Isolation: TypeAlias = Literal["thread", "process"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)

DEFAULT_RETRIES = 2
#: A task never runs without limit: one hour unless it says otherwise.
DEFAULT_TIMEOUT_MS = 3_600_000


def _an_id(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_id(value, attribute.name)


def _whole(least: int, most: int) -> Callable[[object, "Attribute[Any]", object], None]:
    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if type(value) is not int or not least <= value <= most:
            raise InvalidTask(f"{attribute.name} must be a whole number from {least} to {most}, not {shown(value)}")

    return check


def _priority(value: object) -> Priority | None:
    if value is None:
        return None
    found = value if type(value) is Priority else Priority.known(value)
    if found is None:
        if isinstance(value, str) and value in Priority.__members__:
            raise InvalidTask(f"priority {value!r} is a text: pass Priority.{value}")
        names = ", ".join(f"{p.name} {p.value}" for p in Priority)
        raise InvalidTask(f"priority {shown(value)} is unknown: choose one of {names}")
    return found


def _values(value: Iterable[Any]) -> tuple[Any, ...]:
    # A text is a list of letters, too, but nobody means that.
    if isinstance(value, str | bytes | Mapping | Output) or not isinstance(value, Iterable):
        raise InvalidTask(f"args must be a list or tuple of arguments, not {shown(value)}: put it into a list")
    return tuple(value)


def _named(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidTask(f"kwargs must be a mapping of names to arguments, not {shown(value)}")
    return value


def _parents(value: "str | Task[Any] | After | Iterable[str | Task[Any] | After]") -> tuple[After, ...]:
    several: Iterable[str | Task[Any] | After] = (value,) if isinstance(value, str | Task | After) else value
    if isinstance(several, AbstractSet):
        # A set has another order in each process, and the first one may give the task its user.
        several = sorted(several, key=lambda one: one if isinstance(one, str) else one.task_id)
    if isinstance(several, Output) or not isinstance(several, Iterable):
        raise InvalidTask(f"depends_on must be tasks or ids of tasks, not {shown(value)}")
    found: dict[str, After] = {}
    for parent in several:
        after = parent if isinstance(parent, After) else After(parent.task_id if isinstance(parent, Task) else parent)
        if found.setdefault(after.task_id, after) != after:
            raise InvalidTask(
                f"depends_on names task {after.task_id} twice, with two ways to continue after its failure"
            )
    return tuple(found.values())


class TaskDefaults(TypedDict, total=False):
    """What ``@task(...)`` may say of all tasks of a function. Durations are seconds, or a `timedelta`.

    Attributes:
        user_id: The user whose share of the workers they use; None takes that of the first task that a task depends
            on, else the queue's default user.
        priority: Their urgency among the tasks of the same user; None takes that of the first task that a task depends
            on, else NORMAL.
        retries: How often one is retried after an error, 2 by default.
        backoff: The pauses between the attempts; None takes the default ones.
        timeout: How long one attempt may take, an hour unless told otherwise.
        isolation: ``process`` runs it in a child process of the worker, which can be killed; ``thread`` does not; None
            leaves it to the worker.
        delay: How long after the push until one may start. What is not a whole number of milliseconds is rounded up,
            as are the other durations.
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
    """What one task may say, and ``function.options(...)`` of the next ones: all of `TaskDefaults`, and more.

    Attributes:
        at: The moment at which it may start, with its time zone; instead of a delay.
        depends_on: Tasks, task ids or `After`: what must end first.
        dedup_key: While a task with this key has not ended, a push with it gives the handle of that task, whoever its
            user is: keys are those of the whole queue.
        dedup_ttl: How long the key stands instead, whatever becomes of the task.
        task_id: The id; two pushes of one id are one task. Without it each task gets a new one.
        payload: Any JSON value beside the arguments, for the worker's own `TaskHandler`.
    """

    at: datetime | None
    depends_on: "str | Task[Any] | After | Iterable[str | Task[Any] | After]"
    dedup_key: str | None
    dedup_ttl: float | timedelta
    task_id: str
    payload: Any


@frozen(kw_only=True, init=False)
class Task(Chain[R_co]):
    """One unit of work for one user. Make it with ``function.task(...)`` of a decorated function, or of its name.

    Attributes:
        task_id: Names the task forever; pushing it again does nothing. Use it as the idempotency key towards others.
        user_id: The user whose share of the workers it uses.
        priority: Its urgency among the tasks of the same user.
        func: Registered name of its function; None leaves it to the worker's own `TaskHandler`.
        args: Positional arguments: JSON values, and outputs of other tasks anywhere inside of them.
        kwargs: Keyword arguments: likewise.
        payload: Any JSON value for the worker's own `TaskHandler`.
        depends_on: The tasks that must end before it starts, each with what a failure means.
        group_id: Reserved for fairness between groups of users.
    """

    json_hint: ClassVar[str] = "pass its result, task.output, or name it in depends_on"

    # As they are stored: times are milliseconds, since the epoch where they are moments.
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
    #: On the producer's clock; for people only.
    created_at: int = field(factory=clock.now_ms)

    def __init__(
        self: "Task[Any]",
        *,
        func: Callable[..., Any] | str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Make a task the untyped way.

        Args:
            func: A function (stored by its registered name, else as ``module:qualname``), or such a name. Without
                it the payload goes to the worker's own `TaskHandler`.
            args: Positional arguments.
            kwargs: Keyword arguments.
            **options: See `TaskOptions`.

        Raises:
            InvalidTask: A value that cannot be pushed; the message says which and why.
            TypeError: There is no such option.
        """
        self.__attrs_init__(
            func=name_of(func) if callable(func) else func,
            args=args,
            kwargs={} if kwargs is None else dict(_named(kwargs)),
            **_stored(options),
        )

    def __attrs_post_init__(self) -> None:
        """Check what concerns the rarer fields.

        Raises:
            InvalidTask: A field that cannot be pushed; the message says which and why.
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
            raise InvalidTask(f"backoff must be a Backoff, not {shown(self.backoff)}")
        if self.isolation not in (None, *ISOLATIONS):
            raise InvalidTask(f"isolation must be {' or '.join(map(repr, ISOLATIONS))}, not {shown(self.isolation)}")
        if self.cost is not None and not (type(self.cost) in (int, float) and 0 <= self.cost <= LONGEST_SECONDS):
            raise InvalidTask(f"cost must be a number of seconds from 0, not {shown(self.cost)}")

    @property
    def output(self) -> R_co:
        """A reference to the result: among the arguments of another task it is replaced by the value when that runs.

        It makes the other task depend on this one. For type checkers it is the result itself, so that arguments are
        checked; in truth it is an `Output`, of which ``[...]`` gives a part.
        """
        return cast("R_co", Output(self.task_id))

    def xcom(self, key: str) -> Any:
        """Return a reference to the value that the task pushes under a key, as `output` is one to its result."""
        return Output(self.task_id, check_id(key, "key"))

    def as_pipeline(self) -> Pipeline[R_co]:
        """Return a pipeline of this task alone."""
        return Pipeline({self.task_id: self}, (self.task_id,), (self.task_id,), single=True)

    def evolve(self, **options: Unpack[TaskOptions]) -> "Task[R_co]":
        """Return the task with some options changed; the id stays unless it is among them.

        Raises:
            InvalidTask: A value that cannot be pushed; the message says which and why.
            TypeError: There is no such option.
        """
        return with_fields(self, **_stored(options))


_NAMES = tuple(one.name for one in fields(Task))
_EXECUTE_AT = Task.__attrs_attrs__.execute_at


def from_fields(**fields: Any) -> Task[Any]:
    """Make a task of its stored fields, which hold milliseconds: for code that has them, such as a schedule's.

    Raises:
        InvalidTask: A field that cannot be pushed; the message says which and why.
    """
    task: Task[Any] = object.__new__(Task)
    task.__attrs_init__(**fields)
    return task


def with_fields(task: Task[R_co], **changes: Any) -> Task[R_co]:
    """Return a task with some stored fields changed, which hold milliseconds.

    Raises:
        InvalidTask: A field that cannot be pushed; the message says which and why.
    """
    changed: Task[R_co] = object.__new__(Task)
    changed.__attrs_init__(**{name: changes[name] if name in changes else getattr(task, name) for name in _NAMES})
    return changed


def check_options(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options that do not exist.

    Raises:
        TypeError: With the name that is close to the wrong one.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"unknown option {name!r}: {hint}")


def _stored(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the fields that hold them."""
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
            raise InvalidTask(f"timeout must be above 0 s: so long may one attempt take; it is {shown(timeout)}")
    if "at" in stored:
        at = stored.pop("at")
        stored["execute_at"] = moment = None if at is None else to_epoch_ms(at, "at")
        if moment is not None and moment > LONGEST_MS:
            raise InvalidTask(f"at {shown(at)} is too far away: tasks wait until the year 2255 at most")
    return stored
