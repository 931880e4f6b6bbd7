"""push: store tasks, as runnable, scheduled or waiting for others."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, islice
from typing import Any

from attrs import define

from fairque.protocol.errors import (
    BatchTooLarge,
    FairqueError,
    ProtocolError,
    QueueFull,
    TaskConflict,
    TaskTooLarge,
    UnknownDependency,
)
from fairque.protocol.model.dependencies import parent_lines, parents_first
from fairque.protocol.model.outputs import extract_outputs
from fairque.protocol.model.registry import parameter_name
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.codec import Message, encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_BATCH_EDGES",
    "MAX_BATCH_TASKS",
    "Batch",
    "Pushed",
    "arguments_of",
    "encode_batch",
    "join",
    "number_of_joinable",
    "push",
    "push_batch",
    "split",
]

MAX_BATCH_TASKS = 1_000
MAX_BATCH_BYTES = 4 * 1_048_576
#: Most dependencies of all tasks of a push together: each blocks the server for more than a microsecond.
MAX_BATCH_EDGES = 10_000


@define
class Pushed:
    """The result of a push for one task.

    Attributes:
        code: OK if it was stored, ALREADY if it was stored before, DEDUPLICATED if another task holds its key.
        state: Its state, or that of the other task; None if the other task has expired.
        task_id: Its id, or that of the other task.
    """

    code: Status
    state: TaskState | None
    task_id: str


@define
class Batch:
    """The tasks of one push, encoded.

    Attributes:
        tasks: The tasks.
        order: Their indexes, in the order in which they are sent: dependencies first.
        args: The arguments for the script, in that order.
        size: Bytes of all messages.
        edges: Number of all dependencies.
    """

    tasks: Sequence[Task[Any]]
    order: Sequence[int]
    args: list[Argument]
    size: int
    edges: int


def encode_batch(
    tasks: Sequence[Task[Any]],
    *,
    message_limit: int,
    user_id: str | None = None,
    default_user_id: str | None = None,
) -> Batch:
    """Encode the tasks of one push; see `push`.

    Raises:
        InvalidTask: A task cannot be pushed; the message says why.
        TaskTooLarge: A message exceeds the limit.
        BatchTooLarge: There are more than 1,000 tasks, 4 MiB, or 10,000 dependencies.
    """
    if not 1 <= len(tasks) <= MAX_BATCH_TASKS:
        raise BatchTooLarge(
            f"{len(tasks):,} tasks in one push: an atomic call takes 1 to {MAX_BATCH_TASKS:,}. "
            "Split them, or call push_many(tasks, chunked=True)"
        )
    args: list[Argument] = []
    size = 0
    messages = [encode_task(task, default_user_id, user_id) for task in tasks]
    edges = sum([len(message.parents) for message in messages])
    if edges > MAX_BATCH_EDGES:
        raise BatchTooLarge(
            f"the tasks of one push have {edges:,} dependencies: an atomic call takes at most {MAX_BATCH_EDGES:,}. "
            "Put a task between two wide stages that waits for the first, and let the second wait for that task"
        )
    order = _order(tasks, messages) if edges else range(len(tasks))
    for place in order:
        task, message = tasks[place], messages[place]
        if message.size > message_limit:
            raise TaskTooLarge(task.task_id, message.size, message_limit)
        size += message.size
        args += arguments_of(task, message)
    if size > MAX_BATCH_BYTES:
        raise BatchTooLarge(
            f"the messages of one push have {size:,} bytes: an atomic call takes at most {MAX_BATCH_BYTES:,}. "
            "Split them, or call push_many(tasks, chunked=True)"
        )
    return Batch(tasks, order, args, size, edges)


def number_of_joinable(batches: Iterable[Batch]) -> int:
    """Return how many of the first batches one push takes; at least 1."""
    number = tasks = size = edges = 0
    for batch in batches:
        tasks, size, edges = tasks + len(batch.tasks), size + batch.size, edges + batch.edges
        if number and (tasks > MAX_BATCH_TASKS or size > MAX_BATCH_BYTES or edges > MAX_BATCH_EDGES):
            break
        number += 1
    return number


def join(batches: Sequence[Batch]) -> Batch:
    """Return several batches as one, which is refused if one of them would be; see `number_of_joinable`."""
    if len(batches) == 1:
        return batches[0]
    tasks = [task for batch in batches for task in batch.tasks]
    starts = accumulate((len(batch.tasks) for batch in batches), initial=0)
    return Batch(
        tasks,
        [start + place for start, batch in zip(starts, batches, strict=False) for place in batch.order],
        [argument for batch in batches for argument in batch.args],
        sum(batch.size for batch in batches),
        sum(batch.edges for batch in batches),
    )


def split(batches: Sequence[Batch], pushed: Sequence[Pushed]) -> list[list[Pushed]]:
    """Return the answers for the tasks of each batch, given those for all of them together."""
    answers = iter(pushed)
    return [list(islice(answers, len(batch.tasks))) for batch in batches]


def push(
    keys: QueueKeys,
    tasks: Sequence[Task[Any]],
    *,
    message_limit: int,
    result_ttl_ms: int = 86_400_000,
    user_id: str | None = None,
    default_user_id: str | None = None,
) -> Call[list[Pushed]]:
    """Build the call that pushes tasks in one atomic step; it answers for each, in order.

    Args:
        keys: The queue.
        tasks: 1 to 1,000 tasks. They may depend on each other, in any order; without a user or a priority they inherit
            those of their first dependency.
        message_limit: Bytes of the largest message.
        user_id: User of tasks without a user.
        default_user_id: User of tasks that have no user then, and no dependencies.
        result_ttl_ms: How long to keep a task that is canceled here because a dependency has failed.

    Raises:
        InvalidTask: A task cannot be pushed; the message says why.
        TaskTooLarge: A message exceeds the limit.
        BatchTooLarge: There are more than 1,000 tasks, 4 MiB, or 10,000 dependencies.
    """
    batch = encode_batch(tasks, message_limit=message_limit, user_id=user_id, default_user_id=default_user_id)
    return push_batch(keys, batch, message_limit=message_limit, result_ttl_ms=result_ttl_ms)


def push_batch(keys: QueueKeys, batch: Batch, *, message_limit: int, result_ttl_ms: int) -> Call[list[Pushed]]:
    """Build the call that pushes encoded tasks; see `push`."""

    def decode(reply: list[Any]) -> list[Pushed]:
        if reply[0] != _OK:
            raise _refusal(keys, batch, message_limit, reply)
        pushed = list(map(_pushed, reply[1::3], reply[2::3], reply[3::3]))
        if not batch.edges:
            return pushed
        return [result for _, result in sorted(zip(batch.order, pushed, strict=True), key=lambda pair: pair[0])]

    return Call("push", keys, (message_limit, result_ttl_ms, *batch.args), decode)


def _refusal(keys: QueueKeys, batch: Batch, message_limit: int, reply: list[Any]) -> FairqueError:
    """Return the error of a push that stored nothing.

    Raises:
        FairqueError: An error that any script may report.
    """
    code = reply[0]
    if code == Status.CONFLICT:
        return TaskConflict(text(reply[1]))
    if code == Status.TOO_LARGE:
        return TaskTooLarge(text(reply[1]), reply[2], message_limit)
    if code == Status.FULL:
        return _full(keys, text(reply[1]), *map(int, reply[2:]))
    if code == Status.UNKNOWN_PARENT:
        task_id, parent_id = text(reply[1]), text(reply[2])
        return UnknownDependency(task_id, parent_id, keys.name, _argument(batch.tasks, task_id, parent_id))
    checked(keys, reply)
    return ProtocolError(f"queue {keys.name!r}: a push was answered with the unknown code {safe_repr(code)}")


def _pushed(code: int, state: bytes, task_id: bytes) -> Pushed:
    return Pushed(_STATUSES[code], _STATES[state], text(task_id))


_OK = int(Status.OK)
_STATUSES = {int(status): status for status in Status}
_STATES: dict[bytes, TaskState | None] = {b"": None, **{state.encode(): state for state in TaskState}}


def arguments_of(task: Task[Any], message: Message) -> tuple[str, bytes]:
    """Return the two arguments with which a script stores a task: id and what few have, a line each; and content."""
    if task.execute_at is None and not task.delay_ms and task.dedup_key is None and not message.parents:
        return task.task_id, message.content
    lines = [task.task_id]
    if task.execute_at is not None:
        lines.append(f"@{task.execute_at}")
    elif task.delay_ms:
        lines.append(f"+{task.delay_ms}")
    if task.dedup_key is not None:
        hashed = blake2b(task.dedup_key.encode(), digest_size=16).hexdigest()
        lines.append(f"d{hashed} {task.dedup_ttl_ms}" if task.dedup_ttl_ms else f"d{hashed}")
    if message.parents:
        lines.append(parent_lines(message.parents))
    return "\n".join(lines), message.content


def _full(keys: QueueKeys, user_id: str, most: int, waiting: int, pause_ms: int) -> QueueFull:
    whose = f"user {user_id!r} has" if user_id else "it has"
    return QueueFull(
        f"queue {keys.name!r} is full: {whose} {waiting:,} waiting tasks of at most {most:,}",
        pause_ms / 1000,
        "user" if user_id else "queue",
    )


def _argument(tasks: Sequence[Task[Any]], task_id: str, parent_id: str) -> str:
    """Return the name of the argument that uses an output of the other task; empty if none does."""
    for task in tasks:
        if task.task_id == task_id:
            for found in extract_outputs(task.args, task.kwargs)[2]:
                if found.output.task_id == parent_id:
                    return parameter_name(task.func, found.at[0]) or f"args[{found.at[0]}]"
    return ""


def _order(tasks: Sequence[Task[Any]], messages: Sequence[Message]) -> Sequence[int]:
    """Return the indexes of the tasks in the order in which they are sent: dependencies first."""
    parents = {task.task_id: message.parents for task, message in zip(tasks, messages, strict=True)}

    def label(task_id: str, parent_id: str) -> str:
        func = next((task.func for task in tasks if task.task_id == task_id), None)
        argument = _argument(tasks, task_id, parent_id)
        more = ", ".join(filter(None, (func, f"argument {argument!r}" if argument else "")))
        return f"{task_id} ({more})" if more else task_id

    rank = {task_id: number for number, task_id in enumerate(parents_first(parents, label))}
    return sorted(range(len(tasks)), key=lambda place: rank[tasks[place].task_id])
