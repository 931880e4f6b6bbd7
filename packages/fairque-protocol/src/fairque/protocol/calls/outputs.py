"""read_outputs: what ended tasks have left for those that depend on them."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.model.outputs import Left
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, opened, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["MAX_OUTPUTS", "read_outputs"]

#: How many tasks one call reads.
MAX_OUTPUTS = 100


def read_outputs(keys: QueueKeys, task_ids: Sequence[str]) -> Call[list[Left]]:
    """Build the call that reads what 1 to 100 tasks have left; its answer has one place for each, in their order."""

    def decode(reply: list[Any]) -> list[Left]:
        places = iter(opened(keys, reply)[1:])
        return [
            Left(TaskState(text(state)) if state else None, result, xcom)
            for state, result, xcom in zip(places, places, places, strict=True)
        ]

    return Call("read_outputs", keys, tuple(task_ids), decode)
