"""The values that pass between the parts of a worker: a task in flight, and how its attempt ended."""

from typing import Any, TypeAlias

from attrs import define, field, frozen

from fairque.protocol import clock
from fairque.protocol.calls import Granted
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.task import Task

__all__ = ["Ending", "Failure", "Job", "Success"]


@define(eq=False)
class Job:
    """A task that this worker holds.

    Attributes:
        granted: What the queue gave.
        task: The decoded message; None until it was decoded, or when it cannot be.
        context: The task's view of this attempt; with ``task``.
        held_until: When the worker must stop believing in its lease, on the monotonic clock.
        started: When it was taken, on the monotonic clock.
        cancel_reason: Why it was asked to stop; empty when it was not.
        canceled: Whether somebody canceled the task.
        lease_lost: Whether another worker may have it now.
    """

    granted: Granted
    held_until: float
    task: Task[Any] | None = None
    context: TaskContext | None = None
    started: float = field(factory=clock.monotonic, init=False)
    cancel_reason: str = field(default="", init=False)
    canceled: bool = field(default=False, init=False)
    lease_lost: bool = field(default=False, init=False)

    @property
    def ran_us(self) -> int:
        """Microseconds since it was taken."""
        return int((clock.monotonic() - self.started) * 1_000_000)

    def request_cancel(self, reason: str, *, lease_lost: bool = False) -> None:
        """Ask the attempt to stop, also when it has not begun yet."""
        self.cancel_reason = self.cancel_reason or reason
        self.lease_lost = self.lease_lost or lease_lost
        if self.context is not None:
            self.context.request_cancel(reason, lease_lost=lease_lost)


@frozen
class Success:
    """An attempt that returned ``value``, which ``result`` encodes; it ran for ``ran_us`` microseconds."""

    job: Job
    value: Any
    result: bytes
    ran_us: int


@frozen
class Failure:
    """An attempt that raised."""

    job: Job
    error: BaseException
    ran_us: int


Ending: TypeAlias = Success | Failure
