"""The task: what a producer asks for, as one frozen value."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast, get_args

from attrs import Attribute, evolve, field, frozen

from fairque.protocol import clock
from fairque.protocol.durations import LONGEST_MS, LONGEST_SECONDS, to_epoch_ms, to_ms
from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.ids import check_id, new_task_id
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.pipeline import Chain, Pipeline
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.retry import RetryPolicy
from fairque.protocol.model.states import Priority
from fairque.protocol.showing import shown

__all__ = ["DEFAULT_RETRIES", "DEFAULT_TIMEOUT_MS", "ISOLATIONS", "Isolation", "Task"]

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


@frozen(kw_only=True)
class Task(Chain[R_co]):
    """One unit of work for one user.

    Make it with ``function.task(...)`` of a decorated function, or with `Task.create`, which take seconds and dates;
    the fields hold milliseconds.

    Attributes:
        task_id: Names the task forever; pushing it again does nothing. Use it as the idempotency key towards others.
        user_id: The user whose share of the workers it uses; None takes that of the first task that it depends on,
            else the queue's default user.
        priority: Its urgency among the tasks of the same user; None takes that of the first task that it depends on,
            else NORMAL.
        func: Registered name of its function; None leaves it to the worker's own `TaskHandler`.
        args: Positional arguments: JSON values, and outputs of other tasks anywhere inside of them.
        kwargs: Keyword arguments: likewise.
        payload: Any JSON value for the worker's own `TaskHandler`.
        depends_on: The tasks that must end before it starts; a task, its id, or `After` with what a failure means.
        delay_ms: Milliseconds from the push until it may start.
        execute_at: Or the moment at which it may start, in milliseconds since the epoch.
        retries: How often it is tried again after an error.
        retry: The pauses between the attempts; None takes the default backoff.
        timeout_ms: Milliseconds that one attempt may take.
        isolation: ``process`` runs it in a child process of the worker, which can be killed; ``thread`` does not; None
            leaves it to the worker.
        dedup_key: While a task with this key is not terminal, a push with it answers with that task instead.
        dedup_ttl_ms: Or for so long, even after the end of that task.
        cost: Expected run time in seconds, to charge the first run fairly; it is corrected by the measured time.
        group_id: Reserved for fairness between groups of users.
        created_at: Milliseconds since the epoch on the producer's clock; for people only.
    """

    json_hint: ClassVar[str] = "pass its result, task.output, or name it in depends_on"

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
    retry: RetryPolicy | None = None
    timeout_ms: int = field(default=DEFAULT_TIMEOUT_MS, validator=_whole(1, LONGEST_MS))
    isolation: Isolation | None = None
    dedup_key: str | None = field(default=None)
    dedup_ttl_ms: int = field(default=0, validator=_whole(0, LONGEST_MS))
    cost: float | None = field(default=None)
    group_id: str | None = field(default=None)
    created_at: int = field(factory=clock.now_ms)

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
                raise InvalidTask("give a delay or a time of execution, not both")
        if self.dedup_ttl_ms and self.dedup_key is None:
            raise InvalidTask("dedup_ttl needs a dedup_key")
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise InvalidTask(f"retry must be a RetryPolicy, not {shown(self.retry)}")
        if self.isolation not in (None, *ISOLATIONS):
            raise InvalidTask(f"isolation must be {' or '.join(map(repr, ISOLATIONS))}, not {shown(self.isolation)}")
        if self.cost is not None and not (type(self.cost) in (int, float) and 0 <= self.cost <= LONGEST_SECONDS):
            raise InvalidTask(f"cost must be a number of seconds from 0, not {shown(self.cost)}")

    @classmethod
    def create(
        cls,
        *,
        func: Callable[..., Any] | str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        delay: float | timedelta = 0,
        at: datetime | None = None,
        timeout: float | timedelta | None = None,
        dedup_ttl: float | timedelta = 0,
        depends_on: "str | Task[Any] | After | Iterable[str | Task[Any] | After]" = (),
        **fields: Any,
    ) -> "Task[Any]":
        """Make a task the untyped way.

        Args:
            func: A function (stored by its registered name, else as ``module:qualname``), or such a name. Without
                it the payload goes to the worker's own `TaskHandler`.
            args: Positional arguments.
            kwargs: Keyword arguments.
            delay: Seconds from the push until it may start, as a number or a timedelta. What is not a whole number of
                milliseconds is rounded up, as are the others.
            at: Or the moment, with its time zone.
            timeout: Seconds one attempt may take.
            dedup_ttl: Seconds for which ``dedup_key`` stands, whatever becomes of the task.
            depends_on: Tasks, task ids or `After`: what must end first.
            **fields: Any other field of `Task`.

        Raises:
            InvalidTask: A field that cannot be pushed; the message says which and why.
        """
        unknown = fields.keys() - _FIELDS
        if unknown:
            raise InvalidTask(f"unknown field {min(unknown)!r}: a task has {', '.join(sorted(_NAMES))}")
        execute_at = None if at is None else to_epoch_ms(at, "at")
        if execute_at is not None and execute_at > LONGEST_MS:
            raise InvalidTask(f"at {shown(at)} is too far away: tasks wait until the year 2255 at most")
        if timeout is not None:
            fields["timeout_ms"] = to_ms(timeout, "timeout")
            if not fields["timeout_ms"]:
                raise InvalidTask(f"timeout must be above 0 s: so long may one attempt take; it is {shown(timeout)}")
        return cls(
            func=name_of(func) if callable(func) else func,
            args=args,
            kwargs={} if kwargs is None else dict(_named(kwargs)),
            delay_ms=to_ms(delay, "delay"),
            execute_at=execute_at,
            dedup_ttl_ms=to_ms(dedup_ttl, "dedup_ttl"),
            depends_on=_parents(depends_on),
            **fields,
        )

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

    def evolve(self, **changes: Any) -> "Task[R_co]":
        """Return the task with some fields changed; the id stays unless it is among them."""
        return evolve(self, **changes)


#: What `Task.create` takes: the fields, and other names for those that hold milliseconds.
_FIELDS = frozenset(inspect.signature(Task).parameters) - {"delay_ms", "execute_at", "dedup_ttl_ms"}
_NAMES = (_FIELDS | inspect.signature(Task.create).parameters.keys()) - {"timeout_ms", "fields"}
_EXECUTE_AT = Task.__attrs_attrs__.execute_at
