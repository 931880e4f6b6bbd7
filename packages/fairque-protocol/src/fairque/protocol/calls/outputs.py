"""read_outputs: what ended tasks have left for one that depends on them."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.model.outputs import Left
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, opened, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["MAX_OUTPUTS", "read_outputs"]

#: Of how many tasks one call asks.
MAX_OUTPUTS = 100


def read_outputs(keys: QueueKeys, reader: str, task_ids: Sequence[str]) -> Call[list[Left]]:
    """Build the call that reads what 1 to 100 tasks have left; its answer has one place for each, in their order.

    The answer ends before it has more than 4 MiB, but not before the first task: ask again for the others.

    Args:
        keys: The queue.
        reader: The task that depends on them. Where another task stood for one of them when it was pushed, by a
            deduplication key, it gets what that one has left.
        task_ids: Whose outputs it takes.
    """

    def decode(reply: list[Any]) -> list[Left]:
        places = iter(opened(keys, reply)[1:])
        return [
            Left(TaskState(text(state)) if state else None, result, xcom)
            for state, result, xcom in zip(places, places, places, strict=True)
        ]

    return Call("read_outputs", keys, (reader, *task_ids), decode)
