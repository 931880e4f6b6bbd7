"""watch: read the outcomes of tasks, and subscribe to the endings of those that have not ended."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["LISTENING_MS", "MAX_WATCH_TASKS", "Outcome", "watch", "watch_many"]

MAX_WATCH_TASKS = 1_000

#: How long a subscription lasts unless it is renewed; that of a process that died expires then.
LISTENING_MS = 600_000


@frozen
class Outcome:
    """The state of a task, and the JSON of its result, error or reason if it has ended; empty for null."""

    state: TaskState
    blob: bytes


def watch(keys: QueueKeys, task_id: str, listener: str = "", *, ttl_ms: int = LISTENING_MS) -> Call[Outcome]:
    """Build the call that reads the outcome of a task and, if it has not ended, subscribes a listener to its ending.

    Reading the answer raises `TaskNotFound` for an unknown task. See `watch_many`.
    """
    many = watch_many(keys, (task_id,), listener, ttl_ms=ttl_ms)

    def decode(reply: list[Any]) -> Outcome:
        (outcome,) = many.decode(reply)
        if outcome is None:
            raise TaskNotFound(task_id, keys.name)
        return outcome

    return Call("watch", keys, many.args, decode)


def watch_many(
    keys: QueueKeys, task_ids: Sequence[str], listener: str = "", *, ttl_ms: int = LISTENING_MS
) -> Call[list[Outcome | None]]:
    """Build the call that does the same for 1 to 1,000 tasks; None for an unknown task.

    The answer has at most 4 MiB, but at least one task: read the others with further calls.

    Args:
        keys: The queue.
        task_ids: The tasks.
        listener: Name of the channel to notify; empty to only read.
        ttl_ms: How long the subscription lasts unless it is renewed; 0 to remove it.
    """

    def decode(reply: list[Any]) -> list[Outcome | None]:
        places = iter(checked(keys, reply)[1:])
        return [
            Outcome(TaskState(text(state)), blob) if state else None for state, blob in zip(places, places, strict=True)
        ]

    return Call("watch", keys, (listener, ttl_ms, *task_ids), decode)
