"""Operations on all tasks of a pipeline, as steps, and the state of a pipeline."""

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

__all__ = ["cancel_tasks", "handle_of", "state_of", "states_of"]

H = TypeVar("H")

#: States of last tasks that have not ended, in order of precedence: the one nearest to its end first.
_OPEN = (TaskState.QUEUED, TaskState.SCHEDULED, TaskState.DEFERRED)
#: States of last tasks that have all ended, in order of precedence.
_ENDED = (TaskState.FAILED, TaskState.CANCELED, TaskState.FINISHED)


def cancel_tasks(keys: QueueKeys, task_ids: Sequence[str], reason: str, result_ttl_ms: int) -> Steps[BulkReport]:
    """Cancel tasks in the given order.

    Args:
        keys: The queue.
        task_ids: The tasks.
        reason: Why, for humans.
        result_ttl_ms: How long canceled tasks are kept.
    """
    calls = [cancel(keys, task_id, reason=reason, result_ttl_ms=result_ttl_ms) for task_id in task_ids]
    answers = yield [Call(call.script, call.keys, call.args, partial(_answer, call)) for call in calls]
    changed = sum(answer in (CancelResult.CANCELED, CancelResult.REQUESTED) for answer in answers)
    return BulkReport(matched=changed, changed=changed, refused=0, scanned=len(task_ids))


def state_of(queue: str, pipeline: Pipeline[Any], states: Mapping[str, TaskState | None]) -> TaskState:
    """Return the state of a pipeline from those of its tasks; None is the state of an expired task.

    Raises:
        ResultExpired: The records of all its last tasks have expired.
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
        KeyError: The task is not in this pipeline.
    """
    task_id = task.task_id if isinstance(task, Task) else task
    if task_id not in handles:
        raise KeyError(f"task {task_id} is not in this pipeline")
    return handles[task_id]


def states_of(handles: Mapping[str, Any], outcomes: Mapping[str, Outcome | Missing]) -> dict[str, TaskState | None]:
    """Return the states of tasks by their ids."""
    by_id = {task_id: outcomes[handle.task_id] for task_id, handle in handles.items()}
    return {task_id: outcome.state if isinstance(outcome, Outcome) else None for task_id, outcome in by_id.items()}
