"""The message: a task as JSON, encoded once by the producer and never rewritten."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from attrs import asdict, define

from fairque.protocol.durations import to_us
from fairque.protocol.errors import InvalidTask, ProtocolError
from fairque.protocol.jsonvalue import canonical, check_json, dumps, encoded, fits_json, is_plain, loads, quoted
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.ids import ANY_TASK_ID, MAX_ID_BYTES
from fairque.protocol.model.outputs import Input, Output, edges, extract_outputs, fill_in
from fairque.protocol.model.registry import parameter_name
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_MS,
    Task,
    TaskTemplate,
    from_fields,
    with_fields,
)
from fairque.protocol.wire.body import content, content_head, digest_in

__all__ = ["WIRE_VERSION", "Message", "decode_backoff", "decode_task", "encode_backoff", "encode_task"]

#: Version of the message. Readers accept it and older ones, and ignore fields that they do not know.
WIRE_VERSION = 1

#: Fields of a message that contain values of the user.
_VALUES = ("args", "kwargs", "payload", "cost")

#: The names of the fields of a backoff on the wire.
_BACKOFF = {"base_seconds": "base", "factor": "factor", "cap_seconds": "longest"}

#: Fields that a message omits if they have these values.
_OPTIONAL: tuple[tuple[str, Any], ...] = (
    ("payload", None),
    ("func", None),
    ("priority", Priority.NORMAL),
    ("retries", DEFAULT_RETRIES),
    ("timeout_ms", DEFAULT_TIMEOUT_MS),
    ("isolation", None),
    ("depends_on", ()),
    ("dedup_key", None),
    ("dedup_ttl_ms", 0),
    ("cost", None),
    ("group_id", None),
)

#: Fields whose values are the same for many tasks, those of one function; in the order of `_OPTIONAL`.
_SHARED = ("func", "priority", "retries", "timeout_ms", "isolation", "dedup_ttl_ms", "cost", "group_id", "backoff")
_shared = attrgetter(*_SHARED)


@define
class Message:
    """An encoded task.

    Attributes:
        content: What a push sends: priority, timeout, cost, digest, user and message; see `wire.body`.
        size: Bytes of the message.
        parents: The tasks that it depends on, with those whose outputs are among its arguments.
    """

    content: bytes
    size: int
    parents: tuple[After, ...]

    @property
    def data(self) -> bytes:
        """The bytes that workers get."""
        return self.content[-self.size :]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over the message without the times.

        So a producer that creates the same task again after a crash repeats the push instead of conflicting with it.
        Equal values have the same digest, whatever the order of their keys.
        """
        return digest_in(self.content).hex()


def encode_task(task: Task[Any], default_user_id: str | None = None, user_id: str | None = None) -> Message:
    """Encode a task. This is the hot path of every push.

    Args:
        task: The task.
        default_user_id: Its user if it has no other and does not depend on another task.
        user_id: Its user if it names none itself.

    Raises:
        InvalidTask: The user is missing though it depends on no other task, or an argument is not a JSON value; the
            error names parameter and path.
    """
    user = user_id if task.user_id is None else task.user_id
    user = default_user_id if user is None else user
    common = user is not None and task.payload is None and not task.depends_on and task.dedup_key is None
    if common and fits_json(task.args) and fits_json(task.kwargs):
        try:
            return _encode_common(task, user or "")
        except ValueError:
            pass  # an argument is not JSON: the error below names it
    return _encode_any(task, default_user_id, user_id)


def _encode_common(task: Task[Any], user_id: str) -> Message:
    """Encode a task without dependencies whose arguments fit, with a text that many tasks share."""
    args, kwargs = task.args, task.kwargs
    values = compared = ""
    if args:
        values = compared = f',"args":{encoded(args)}'
        if not is_plain(args) and (form := canonical(args)) is not args:
            compared = f',"args":{encoded(form)}'
    if kwargs:
        text = f',"kwargs":{encoded(kwargs)}'
        sorted_ = kwargs if len(kwargs) == 1 and is_plain(kwargs.values()) else canonical(kwargs)
        values += text
        compared += text if sorted_ is kwargs else f',"kwargs":{encoded(sorted_)}'
    options, compared_options, packed = _options(*_shared(task))
    head = f'{{"v":{WIRE_VERSION},"id":{quoted(task.task_id)},"user":{quoted(user_id)}'
    body = f"{head}{values}{options}".encode()
    whole = body + b"}"
    if compared != values or compared_options != options:
        whole = f"{head}{compared}{compared_options}}}".encode()
    return _message(packed, whole, user_id, body, _encoded_times(task), ())


@lru_cache(maxsize=1_000, typed=True)
def _options(*values: Any) -> tuple[str, str, bytes]:
    """Return the values of `_SHARED` as a part of a message, its form for comparisons, and the head of a content."""
    given = dict(zip(_SHARED, values, strict=True))
    backoff = given.pop("backoff")
    fields = {name: given[name] for name, default in _OPTIONAL if given.get(name) not in (None, default)}
    changed = {"cost": canonical(fields["cost"])} if "cost" in fields else {}
    if backoff is not None:
        fields["retry"] = encode_backoff(backoff)
        changed["retry"] = _compared_backoff(fields["retry"])
    return _part(fields), _part(fields | changed), _packed(Priority.NORMAL, **given)


def _packed(inherited: int, priority: Priority | None, timeout_ms: int, cost: float | None, **_: Any) -> bytes:
    """Return the head of the content of a task, given its priority if it has none of its own."""
    cost_us = None if cost is None else to_us(cost, "cost")
    return content_head(inherited if priority is None else priority, timeout_ms, cost_us)


def _message(  # noqa: PLR0917 - passing them by name takes longer
    head: bytes, compared: bytes, user_id: str, body: bytes, times: bytes, parents: tuple[After, ...]
) -> Message:
    digest = blake2b(compared, digest_size=8).digest()
    packed = content(head, digest, user_id, body, b",", times)
    return Message(packed, len(body) + 1 + len(times), parents)


def _part(fields: dict[str, Any]) -> str:
    return f",{encoded(fields)[1:-1]}" if fields else ""


def _encoded_times(task: Task[Any]) -> bytes:
    """Return the fields that follow all others, and the end of the message."""
    if task.delay_ms or task.execute_at is not None or type(task.created_at) is not int:
        return dumps(_times(task))[1:]
    return b'"created_at":%d}' % task.created_at


def _encode_any(task: Task[Any], default_user_id: str | None, user_id: str | None) -> Message:
    """Encode any task, or say why it cannot be."""
    args, kwargs, inputs, parents = _arguments(task)
    user_id = user_id if task.user_id is None else task.user_id
    if user_id is None and not parents:
        user_id = default_user_id
    if user_id is None and not parents:
        raise InvalidTask(
            f"task {task.task_id} has no user_id: whose share of the workers does it use? Give it one, "
            "push(task, user_id=...) or function.options(user_id=...), or set a default: "
            "TaskQueue.from_url(url, default_user_id=...)"
        )
    fields: dict[str, Any] = {"v": WIRE_VERSION, "id": task.task_id}
    if user_id is not None:
        fields["user"] = user_id
    if args:
        fields["args"] = args
    if kwargs:
        fields["kwargs"] = kwargs
    _add_options(fields, task, parents, inputs)
    try:
        body = dumps(fields)
    except ValueError as error:
        raise InvalidTask(f"task {task.task_id} cannot be written as JSON: {error}") from error
    # Without its own, its priority is that of its first parent.
    head = _packed(0 if parents else Priority.NORMAL, task.priority, task.timeout_ms, task.cost)
    return _message(head, _compared(body, fields, task), user_id or "", body[:-1], _encoded_times(task), parents)


def _compared(body: bytes, fields: dict[str, Any], task: Task[Any]) -> bytes:
    """Return the form of a message that is compared with others; usually that is the message itself."""
    changed = {
        name: value for name in _VALUES if name in fields and (value := canonical(fields[name])) is not fields[name]
    }
    if task.backoff is not None:
        changed["retry"] = _compared_backoff(fields["retry"])
    if "depends_on" in fields:
        changed["depends_on"] = _in_order(fields["depends_on"], task)
    return dumps({**fields, **changed}) if changed else body


def _compared_backoff(stored: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in stored.items()}


def _in_order(parents: list[Any], task: Task[Any]) -> list[Any]:
    """Return dependencies, sorted. The first one keeps its place if the task inherits its user or priority."""
    kept = 0 if task.user_id is not None and task.priority is not None else 1
    return parents[:kept] + sorted(parents[kept:], key=lambda edge: edge if isinstance(edge, str) else edge["task_id"])


def decode_task(data: bytes) -> Task[Any]:
    """Decode a message. This is the hot path of every worker.

    Raises:
        ProtocolError: It is not a message of this or an older version.
    """
    try:
        fields = loads(data)
        task_id, created_at = fields.pop("id"), fields.pop("created_at")
        user_id, payload = fields.pop("user", None), fields.pop("payload", None)
        args, kwargs = fields.pop("args", []), fields.pop("kwargs", {})
        # With their types, since 1 and True are equal.
        template = _template(*fields.items(), *map(type, fields.values()))
    except (ProtocolError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return _decode_any(data)
    if type(args) is list and type(kwargs) is dict and _is_id(task_id) and _is_id(user_id):
        return template.task(task_id, user_id, tuple(args), kwargs, payload, created_at)
    return _decode_any(data)


@lru_cache(maxsize=1_000)
def _template(*parts: Any) -> TaskTemplate[Any]:
    """Return what the messages have in common that differ only in id, user, arguments, payload and time of creation.

    Raises:
        TypeError: A value is a list or an object, such as dependencies.
        ValueError: It is not a message.
    """
    fields = dict(parts[: len(parts) // 2])
    return TaskTemplate(_decode_any(dumps({**fields, "id": ANY_TASK_ID, "created_at": 0})))


def _is_id(value: object) -> bool:
    """Whether a value is certainly a valid id."""
    return type(value) is str and value.isascii() and value.isprintable() and 0 < len(value) <= MAX_ID_BYTES


def _decode_any(data: bytes) -> Task[Any]:
    """Decode any message, or say why it cannot be read."""
    try:
        fields = loads(data)
        version = fields["v"]
        if version > WIRE_VERSION:
            raise ProtocolError(
                f"a message has version {version}, this fairque-protocol reads up to {WIRE_VERSION}: "
                "upgrade the workers before the producers"
            )
        retry = fields.get("retry")
        args, kwargs = fields.get("args", ()), fields.get("kwargs", {})
        inputs = fields.get("inputs")
        if inputs:
            places = tuple(Input(tuple(at), Output(t, key, tuple(path))) for at, t, key, path in inputs)
            args, kwargs = fill_in(args, kwargs, places, lambda entry: entry.output)
        return from_fields(
            task_id=fields["id"],
            user_id=fields.get("user"),
            func=fields.get("func"),
            args=args,
            kwargs=kwargs,
            payload=fields.get("payload"),
            priority=fields.get("priority", Priority.NORMAL),
            retries=fields.get("retries", DEFAULT_RETRIES),
            backoff=None if retry is None else decode_backoff(retry),
            timeout_ms=fields.get("timeout_ms", DEFAULT_TIMEOUT_MS),
            isolation=fields.get("isolation"),
            depends_on=[After(p) if isinstance(p, str) else After(**p) for p in fields.get("depends_on", ())],
            delay_ms=fields.get("delay_ms", 0),
            execute_at=fields.get("execute_at"),
            dedup_key=fields.get("dedup_key"),
            dedup_ttl_ms=fields.get("dedup_ttl_ms", 0),
            cost=fields.get("cost"),
            group_id=fields.get("group_id"),
            created_at=fields["created_at"],
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a message cannot be read ({error!r:.200}): {data[:200]!r}") from error


def encode_backoff(backoff: Backoff) -> dict[str, float]:
    """Return a backoff as it is stored in messages and schedules."""
    return {wire: getattr(backoff, name) for wire, name in _BACKOFF.items()}


def decode_backoff(stored: Mapping[str, Any]) -> Backoff:
    """Decode the result of `encode_backoff`; unknown fields are ignored.

    Raises:
        InvalidTask: A value is invalid.
    """
    return Backoff(**{name: stored[wire] for wire, name in _BACKOFF.items() if wire in stored})


def _parents(parents: tuple[After, ...]) -> list[Any]:
    # Only the id for the usual policy, to keep messages short.
    return [parent.task_id if parent.on_failure == "cascade" else asdict(parent) for parent in parents]


def _add_options(fields: dict[str, Any], task: Task[Any], parents: tuple[After, ...], inputs: list[Input]) -> None:
    """Add the fields that most messages omit."""
    if inputs:
        # All tasks that it depends on, whether it names them or takes their outputs.
        task = with_fields(task, depends_on=parents)
    for name, default in _OPTIONAL:
        value = getattr(task, name)
        if value is not None and value != default:
            fields[name] = value
    if parents:
        fields["depends_on"] = _parents(parents)
    if inputs:
        fields["inputs"] = [_input(entry) for entry in inputs]
    if task.backoff is not None:
        fields["retry"] = encode_backoff(task.backoff)


def _times(task: Task[Any]) -> dict[str, int]:
    times: dict[str, int] = {"created_at": task.created_at}
    if task.delay_ms:
        times["delay_ms"] = task.delay_ms
    if task.execute_at is not None:
        times["execute_at"] = task.execute_at
    return times


def _arguments(task: Task[Any]) -> tuple[Any, Any, list[Input], tuple[After, ...]]:
    """Return the arguments without outputs of other tasks, these outputs, and all dependencies of the task."""
    try:
        _check(task, task.args, task.kwargs)
    except InvalidTask:
        # Outputs are not JSON values. They are rare, so only arguments that are refused are searched for them.
        args, kwargs, inputs = extract_outputs(task.args, task.kwargs)
        if not inputs:
            raise
        _check(task, args, kwargs)
        return args, kwargs, inputs, edges(task.depends_on, inputs)
    return task.args, task.kwargs, [], task.depends_on


def _input(entry: Input) -> list[Any]:
    return [entry.at, entry.output.task_id, entry.output.key, entry.output.path]


def _check(task: Task[Any], args: Any, kwargs: Any) -> None:
    """Refuse values that JSON cannot represent, naming the task and the parameter."""
    try:
        if args:
            check_json(args, "args")
        if kwargs:
            check_json(kwargs, "kwargs")
        if task.payload is not None:
            check_json(task.payload, "payload")
    except InvalidTask as error:
        name = f" ({task.func})" if task.func else ""
        raise InvalidTask(f"task {task.task_id}{name}: {_with_parameter(task, str(error))}") from None


def _with_parameter(task: Task[Any], problem: str) -> str:
    """Name the parameter of a positional argument, if the function is known here."""
    place = problem.partition("[")[2].partition("]")[0]
    name = parameter_name(task.func, int(place)) if problem.startswith("args[") else ""
    return f"argument {name!r}, {problem}" if name else problem
