"""The message: a task as JSON, encoded once by the producer and never rewritten."""

import inspect
from hashlib import blake2b
from typing import Any

from attrs import asdict, fields_dict, frozen

from fairque.protocol.errors import FairqueError, InvalidTask, ProtocolError
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.retry import RetryPolicy
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import DEFAULT_RETRIES, DEFAULT_TIMEOUT_MS, Task
from fairque.protocol.wire.jsonvalue import check_json, dumps, loads

__all__ = ["WIRE_VERSION", "Message", "decode_task", "encode_task"]

#: Version of the message. Readers accept it and older ones, and ignore fields that they do not know.
WIRE_VERSION = 1

_POLICY_FIELDS = fields_dict(RetryPolicy).keys()


#: Fields that a message leaves out where they have these values.
_OPTIONAL: tuple[tuple[str, Any], ...] = (
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


@frozen
class Message:
    """An encoded task.

    Attributes:
        data: The bytes that workers get.
        digest: 16 hexadecimal digits over the content without the times, so that a producer which makes the same
            task again after a crash repeats the push instead of conflicting with it.
    """

    data: bytes
    digest: str


def encode_task(task: Task[Any]) -> Message:
    """Encode a task whose user is known. Written by hand, since it is the hot path of every push.

    Raises:
        InvalidTask: The user is missing, or an argument is no JSON value: the error names parameter and path.
    """
    if task.user_id is None:
        raise InvalidTask(
            f"task {task.task_id} has no user_id: whose share of the workers does it use? Give it one "
            "(function.options(user_id=...)), or set a default: TaskQueue.from_url(url, default_user_id=...)"
        )
    fields: dict[str, Any] = {"v": WIRE_VERSION, "id": task.task_id, "user": task.user_id}
    for name, absent in (("args", ()), ("kwargs", {}), ("payload", None)):
        value = getattr(task, name)
        if value != absent:
            fields[name] = _checked(task, name, value)
    for name, default in _OPTIONAL:
        value = getattr(task, name)
        if value != default:
            fields[name] = _parents(value) if name == "depends_on" else value
    if task.retry is not None:
        fields["retry"] = asdict(task.retry)
    try:
        body = dumps(fields)
    except ValueError as error:
        raise InvalidTask(f"task {task.task_id} cannot be written as JSON: {error}") from error
    times: dict[str, int] = {"created_at": task.created_at}
    if task.delay_ms:
        times["delay_ms"] = task.delay_ms
    if task.execute_at is not None:
        times["execute_at"] = task.execute_at
    digest = blake2b(body, digest_size=8).hexdigest()
    return Message(body[:-1] + b"," + dumps(times)[1:], digest)


def decode_task(data: bytes) -> Task[Any]:
    """Decode a message.

    Raises:
        ProtocolError: It is no message of this or an older version.
    """
    try:
        fields = loads(data)
        version = fields["v"]
        if version > WIRE_VERSION:
            raise ProtocolError(
                f"a message has version {version}, this fairque-protocol reads up to {WIRE_VERSION}: "
                "upgrade the workers before the producers"
            )
        retry = fields.get("retry")
        return Task(
            task_id=fields["id"],
            user_id=fields["user"],
            func=fields.get("func"),
            args=fields.get("args", ()),
            kwargs=fields.get("kwargs", {}),
            payload=fields.get("payload"),
            priority=fields.get("priority", Priority.NORMAL),
            retries=fields.get("retries", DEFAULT_RETRIES),
            retry=None if retry is None else RetryPolicy(**{n: retry[n] for n in _POLICY_FIELDS & retry.keys()}),
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
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a message cannot be read ({error!r:.200}): {data[:200]!r}") from error


def _parents(parents: tuple[After, ...]) -> list[Any]:
    # An id alone for the usual policy: so messages stay short.
    return [parent.task_id if parent.on_failure == "cascade" else asdict(parent) for parent in parents]


def _checked(task: Task[Any], field: str, value: Any) -> Any:
    try:
        check_json(value, field)
    except InvalidTask as error:
        name = f" ({task.func})" if task.func else ""
        raise InvalidTask(f"task {task.task_id}{name}: {_with_parameter(task, str(error))}") from None
    return value


def _with_parameter(task: Task[Any], problem: str) -> str:
    """Name the parameter that a positional argument belongs to, where the function is known here."""
    place = problem.partition("[")[2].partition("]")[0]
    if not problem.startswith("args[") or task.func is None:
        return problem
    try:
        parameters = list(inspect.signature(REGISTRY.find(task.func).func).parameters)
        return f"argument {parameters[int(place)]!r}, {problem}"
    except (FairqueError, ValueError, IndexError, TypeError):
        return problem
