"""All tasks of a pipeline: how they are canceled, and what is said of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from fairque.client.outcomes import Missing, canceled
from fairque.client.steps import Steps
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import ResultExpired, TaskNotFound
from fairque.protocol.model.pipeline import Pipeline
from fairque.protocol.model.reports import BulkReport
from fairque.protocol.model.states import CancelResult, TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["canceling", "handle_of", "state_of", "states_of"]

H = TypeVar("H")

#: The state of last tasks that have not ended, the one that is nearest to an end first.
_OPEN = (TaskState.QUEUED, TaskState.SCHEDULED, TaskState.DEFERRED)
#: The state of last tasks that have all ended: one that did not finish decides.
_ENDED = (TaskState.FAILED, TaskState.CANCELED, TaskState.FINISHED)


def canceling(keys: QueueKeys, task_ids: Sequence[str], reason: str, result_ttl_ms: int) -> Steps[BulkReport]:
    """Cancel tasks in their order.

    Args:
        keys: The queue.
        task_ids: The tasks.
        reason: Why, for people.
        result_ttl_ms: How long canceled tasks are kept.
    """
    calls = [cancel(keys, task_id, reason=reason, result_ttl_ms=result_ttl_ms) for task_id in task_ids]
    answers = yield [Call(call.script, call.keys, call.args, partial(_answer, call)) for call in calls]
    changed = sum(answer in (CancelResult.CANCELED, CancelResult.REQUESTED) for answer in answers)
    return BulkReport(matched=changed, changed=changed, refused=0, scanned=len(task_ids))


def state_of(queue: str, pipeline: Pipeline[Any], states: Mapping[str, TaskState | None]) -> TaskState:
    """Return the state of a pipeline, of which each task has one, or none any more.

    Raises:
        ResultExpired: The records of all its last tasks are gone.
    """
    last = {task_id: state for task_id in pipeline.last if (state := states[task_id]) is not None}
    if not last:
        raise ResultExpired(pipeline.last[0], queue)
    if TaskState.STARTED in states.values():
        return TaskState.STARTED
    for state in _OPEN:
        if state in last.values():
            return state
    for task_id, state in last.items():
        if state is TaskState.CANCELED and (cause := pipeline.cause(task_id, states)):
            last[task_id] = states[cause] or state
    return next(state for state in _ENDED if state in last.values())


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
