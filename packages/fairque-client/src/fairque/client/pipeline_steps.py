"""All tasks of a pipeline: how they are canceled, and what is said of them."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from fairque.client.outcomes import CancelResult, Missing, canceled
from fairque.client.steps import Steps
from fairque.protocol.calls import Outcome, cancel
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["canceling", "handle_of", "states_of"]

H = TypeVar("H")


def canceling(
    keys: QueueKeys, task_ids: Mapping[str, str], reason: str, result_ttl_ms: int
) -> Steps[dict[str, CancelResult]]:
    """Cancel tasks in their order.

    Args:
        keys: The queue.
        task_ids: The tasks, each by the name that its answer gets.
        reason: Why, for people.
        result_ttl_ms: How long canceled tasks are kept.

    Returns:
        The answers by these names, without those of tasks whose records have expired.
    """
    calls = [cancel(keys, task_id, reason=reason, result_ttl_ms=result_ttl_ms) for task_id in task_ids.values()]
    answers = yield [Call(call.script, call.keys, call.args, partial(_answer, call)) for call in calls]
    return {name: answer for name, answer in zip(task_ids, answers, strict=True) if answer is not None}


def _answer(call: Call[tuple[Status, TaskState]], reply: Any) -> CancelResult | None:
    try:
        return canceled(call.decode(reply))
    except TaskNotFound:
        return None


def handle_of(handles: Mapping[str, H], task: Task[Any] | str) -> H:
    """Return the handle of a task.

    Raises:
        KeyError: There is none.
    """
    task_id = task.task_id if isinstance(task, Task) else task
    if task_id not in handles:
        raise KeyError(f"task {task_id} is not in this pipeline")
    return handles[task_id]


def states_of(handles: Mapping[str, Any], outcomes: Mapping[str, Outcome | Missing]) -> dict[str, TaskState | None]:
    """Return the states of tasks by their ids."""
    found = {task_id: outcomes[handle.task_id] for task_id, handle in handles.items()}
    return {task_id: one.state if isinstance(one, Outcome) else None for task_id, one in found.items()}
