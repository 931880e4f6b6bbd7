"""What pop and sweep tell of tasks that they took back, since the leases had ended."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import text

__all__ = ["Reclaimed", "reclaimed_in"]


@frozen
class Reclaimed:
    """A task whose worker stopped renewing its lease, and what became of it.

    Attributes:
        task_id: The task.
        user_id: Its user; empty when its record is lost.
        worker: Name of the worker that held it; empty when its record is lost.
        state: QUEUED when it will be started again, FAILED when it is a dead letter now, or CANCELED.
    """

    task_id: str
    user_id: str
    worker: str
    state: TaskState


def reclaimed_in(places: Sequence[Any]) -> tuple[Reclaimed, ...]:
    """Return the tasks in these places of an answer, four for each."""
    each = iter(places)
    return tuple(
        Reclaimed(text(task_id), text(user_id), text(worker), TaskState(text(state)))
        for task_id, user_id, worker, state in zip(each, each, each, each, strict=True)
    )
