"""read_outputs: read the outputs of ended tasks for a dependent."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["MAX_OUTPUTS", "read_outputs"]

#: Most tasks per call.
MAX_OUTPUTS = 100


def read_outputs(keys: QueueKeys, reader: str, task_ids: Sequence[str]) -> Call[list[StoredOutputs]]:
    """Build the call that reads the outputs of 1 to 100 tasks, in order.

    The answer has at most 4 MiB, but at least one task: read the others with further calls.

    Args:
        keys: The queue.
        reader: The task that depends on them. If one of them was deduplicated, it gets the outputs of the task that
            held the key.
        task_ids: The tasks.
    """

    def decode(reply: list[Any]) -> list[StoredOutputs]:
        places = iter(checked(keys, reply)[1:])
        return [
            StoredOutputs(TaskState(text(state)) if state else None, result, xcom)
            for state, result, xcom in zip(places, places, places, strict=True)
        ]

    return Call("read_outputs", keys, (reader, *task_ids), decode)
