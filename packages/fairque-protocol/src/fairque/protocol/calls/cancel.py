"""cancel: cancel a waiting task, or ask a running one to stop."""

from typing import Any

from fairque.protocol.errors import TaskNotFound
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["cancel"]


def cancel(keys: QueueKeys, task_id: str, *, reason: str, result_ttl_ms: int) -> Call[tuple[Status, TaskState]]:
    """Build the call that cancels a task; it answers with the result and the state of the task.

    OK: it is canceled. REQUESTED: it is running and was asked to stop. ALREADY: it had ended. Reading the answer raises
    `TaskNotFound` for an unknown task.
    """

    def decode(reply: list[Any]) -> tuple[Status, TaskState]:
        if reply[0] == Status.NOT_FOUND:
            raise TaskNotFound(task_id, keys.name)
        code, state = checked(keys, reply)
        return Status(code), TaskState(text(state))

    return Call("cancel", keys, (result_ttl_ms, task_id, dumps(reason)), decode)
