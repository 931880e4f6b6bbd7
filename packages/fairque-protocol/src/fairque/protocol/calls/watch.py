"""watch: how tasks ended, or the promise to be told."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, opened, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["LISTENING_MS", "MAX_WATCH_TASKS", "Outcome", "watch", "watch_many"]

MAX_WATCH_TASKS = 1_000

#: For how long a listener is remembered that does not say again that it listens; one that died is forgotten then.
LISTENING_MS = 600_000


@frozen
class Outcome:
    """The state of a task, and what it left when it ended: JSON of a result, an error or a reason; empty for null."""

    state: TaskState
    blob: bytes


def watch(keys: QueueKeys, task_id: str, listener: str = "", *, ttl_ms: int = LISTENING_MS) -> Call[Outcome]:
    """Build the call that gives the outcome of a task and, before its end, registers a listener to be told of it.

    Reading the answer raises `TaskNotFound` when there is no such task. See `watch_many`.
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
    """Build the call that does the same for 1 to 1,000 tasks; None stands for one that is not known.

    Its answer has the first of the tasks, at least one: as many as have left 4 MiB together.

    Args:
        keys: Of the queue.
        task_ids: The tasks.
        listener: Name of the channel on which to be told; empty to only look.
        ttl_ms: For how long the listener is remembered unless the call is sent again; 0 to forget it at once.
    """

    def decode(reply: list[Any]) -> list[Outcome | None]:
        places = iter(opened(keys, reply)[1:])
        return [
            Outcome(TaskState(text(state)), blob) if state else None for state, blob in zip(places, places, strict=True)
        ]

    return Call("watch", keys, (listener, ttl_ms, *task_ids), decode)
