"""The values that pass between the parts of a worker: a task in flight, its lease, and how its attempt ended."""

import asyncio
import math
from functools import partial
from typing import Any, TypeAlias

from attrs import Factory, define, field, frozen

from fairque.protocol import clock
from fairque.protocol.calls.pop import Granted
from fairque.protocol.errors import ErrorInfo, FairqueError, LeaseLost, RemoteError
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.outcome import Decision, decide
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason, StopSignal
from fairque.protocol.model.task import Task, with_fields
from fairque.protocol.model.tracebacks import ErrorText
from fairque.protocol.reasons import DeadReason

__all__ = ["Ending", "Failure", "Job", "Lease", "Postponed", "Success", "Unstarted", "drop_user_objects"]


@define(eq=False)
class Lease:
    """The worker's view of a lease.

    Attributes:
        held_until: When the worker must treat it as lost unless it is renewed, on the monotonic clock.
        lost: Whether it is known to be lost, regardless of the clock.
    """

    held_until: float
    lost: bool = False

    def held(self) -> bool:
        """Whether the worker may rely on it. Once lost, it stays lost: an answer that renews it can come too late."""
        self.lost = self.lost or clock.monotonic() >= self.held_until
        return not self.lost


@define(eq=False)
class Job:
    """A task that this worker holds.

    Attributes:
        granted: The queue's answer to the pop.
        lease: How long the worker may assume that it holds the task.
        task: The decoded message; None before it is decoded, or if it cannot be.
        context: The task's view of this attempt; set together with ``task``.
        started: When it was taken, on the monotonic clock.
        limit: When the watch has to end it, on the monotonic clock.
        stop: Asks the attempt to stop, also if it has not begun yet.
        pushed: The values that the task has pushed, as JSON.
        canceled: Whether the task was canceled.
        progress: Its last progress, unless the queue is known to have it.
        in_lane: Whether it is run as a short task, one behind the other with others.
        measured: Whether to measure for how long it waits.
        waited_us: For how many microseconds its thread did not compute while it ran, if that was measured.
    """

    granted: Granted
    lease: Lease
    task: Task[Any] | None = None
    context: TaskContext | None = None
    started: float = field(factory=clock.monotonic, init=False)
    limit: float = field(default=math.inf, init=False)
    stop: StopSignal = field(factory=StopSignal, init=False)
    pushed: dict[str, bytes] = field(factory=dict, init=False)
    canceled: bool = field(default=False, init=False)
    progress: Progress | None = field(default=None, init=False)
    in_lane: bool = field(default=False, init=False)
    measured: bool = field(default=False, init=False)
    waited_us: float | None = field(default=None, init=False)

    @property
    def ran_us(self) -> int:
        """Microseconds since it was taken."""
        return int((clock.monotonic() - self.started) * 1_000_000)

    def request_stop(self, reason: StopReason) -> None:
        """Ask the attempt to stop, also when it has not begun yet."""
        if reason.ends_lease:
            self.lease.lost = True
        self.stop.give(reason)


@define(eq=False)
class Success:
    """An attempt that returned ``value``, which ``result`` encodes; it ran for ``ran_us`` µs and pushed ``xcom``.

    The value is None if no hook needs it, see `drop_user_objects`.
    """

    job: Job
    value: Any
    result: bytes
    ran_us: int
    xcom: bytes = b""


class Unstarted(FairqueError):
    """A task could not be started for reasons outside the task: it is released without using up a retry.

    Attributes:
        why: What was missing, for the log.
        pause_seconds: After how many seconds it may be retried.
    """

    def __init__(self, why: str, pause_seconds: float) -> None:
        self.why = why
        self.pause_seconds = pause_seconds
        super().__init__(why)


def _decision_of(failure: "Failure") -> Decision:
    """Decide what happens to the task after a failed attempt, whatever it raised."""
    job, error = failure.job, failure.error
    if job.task is None:
        return Decision("dead", 0, DeadReason.UNREADABLE)
    decision = partial(decide, retries=job.task.retries, failures=job.granted.failures, backoff=job.task.backoff)
    try:
        return decision(error)
    except BaseException as second:  # noqa: BLE001 - such as a subclass of Retry that never called its super().__init__
        return decision(second)


@define(eq=False)
class Failure:
    """An attempt that raised.

    Create it where the task ran, within its timeout: it calls methods of the error, which may hang. Afterwards only the
    user's hook uses the error.

    Attributes:
        job: The task.
        error: What it raised; only its text if no hook needs it, see `drop_user_objects`.
        ran_us: How long it ran, in microseconds.
        decision: What happens to the task.
        summary: The error as text.
        kind: The class of the error.
    """

    job: Job
    error: BaseException
    ran_us: int
    decision: Decision = field(default=Factory(_decision_of, takes_self=True))
    summary: ErrorText = field(default=Factory(lambda self: ErrorText.of(self.error), takes_self=True), init=False)
    kind: type[BaseException] = field(default=Factory(lambda self: type(self.error), takes_self=True), init=False)

    @property
    def canceled(self) -> bool:
        """Whether the coroutine raised nothing but its cancelation."""
        kind = asyncio.CancelledError
        return issubclass(self.kind, kind) or (self.kind is RemoteError and self.summary.kind == kind.__name__)

    @property
    def interrupted(self) -> bool:
        """Whether the loss of the lease ended it and not the task: then it does not count as a failure of the task."""
        return (self.canceled or issubclass(self.kind, LeaseLost)) and not self.job.lease.held()


@frozen
class Postponed:
    """A task that this worker could not start, for reasons outside the task.

    Attributes:
        job: The task.
        why: What was missing, for the log.
        pause_seconds: After how many seconds it may be retried, by any worker.
        starts_nothing: Whether the worker could not start any other task either: it takes none for ``pause_seconds``,
            and other workers may run this one at once.
        ran_us: Always 0.
    """

    job: Job
    why: str
    pause_seconds: float
    starts_nothing: bool = False
    ran_us: int = field(default=0, init=False)


Ending: TypeAlias = Success | Failure | Postponed

#: The types of arguments that may hold objects of user code, since a task can put some there.
_OBJECTS = frozenset({list, dict})


def drop_user_objects(ending: Ending) -> None:
    """Drop the references to objects of user code: its value or error, its arguments, its context.

    Call it where that code ran. Dropping the last reference to an object runs its ``__del__`` and that of everything it
    holds, such as the locals of each function in a traceback; it may hang, as any user code may.
    """
    job = ending.job
    if isinstance(ending, Success):
        ending.value = None
    elif isinstance(ending, Failure):
        ending.error = RemoteError(ErrorInfo(ending.summary.kind, ending.summary.text, ending.summary.traceback))
    task = job.task
    if task is not None and not (
        _OBJECTS.isdisjoint(map(type, task.args)) and _OBJECTS.isdisjoint(map(type, task.kwargs.values()))
    ):
        job.task = with_fields(task, args=(), kwargs={})
    job.stop.close()
    job.context = None
