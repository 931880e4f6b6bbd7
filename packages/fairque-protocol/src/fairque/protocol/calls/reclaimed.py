"""The tasks that pop and sweep reclaimed after their leases ended."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import text

__all__ = ["Reclaimed", "reclaimed_in"]


@frozen
class Reclaimed:
    """A task whose worker stopped renewing its lease.

    Attributes:
        task_id: The id of the task.
        user_id: Its user; empty if its record is lost.
        worker: Name of the worker that held it; empty if its record is lost.
        state: Its state now: QUEUED if it will be started again, FAILED if it is a dead letter, or CANCELED.
    """

    task_id: str
    user_id: str
    worker: str
    state: TaskState


def reclaimed_in(places: Sequence[Any]) -> tuple[Reclaimed, ...]:
    """Return the tasks in a part of an answer, which has four values for each."""
    values = iter(places)
    return tuple(
        Reclaimed(text(task_id), text(user_id), text(worker), TaskState(text(state)))
        for task_id, user_id, worker, state in zip(values, values, values, values, strict=True)
    )
