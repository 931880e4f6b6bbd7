"""The values that pass between the parts of a worker: a task in flight, its lease, and how its attempt ended."""

import asyncio
import math
from functools import partial
from typing import Any, TypeAlias

from attrs import Factory, define, field, frozen

from fairque.protocol import clock
from fairque.protocol.calls import Granted
from fairque.protocol.errors import ErrorInfo, FairqueError, LeaseLost, RemoteError
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.outcome import Decision, decide
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason, StopSignal
from fairque.protocol.model.task import Task, with_fields
from fairque.protocol.model.tracebacks import ErrorText
from fairque.protocol.reasons import DeadReason

__all__ = ["Ending", "Failure", "GivenBack", "Job", "Lease", "Success", "Unstarted", "let_go"]


@define(eq=False)
class Lease:
    """The worker's own view of a lease.

    Attributes:
        held_until: When the worker must stop believing in it unless it is renewed, on the monotonic clock.
        lost: Whether it is known to be lost, whatever the clock says.
    """

    held_until: float
    lost: bool = False

    def held(self) -> bool:
        """Whether the worker may believe in it. Once it may not, it never may again: an answer can come too late."""
        self.lost = self.lost or clock.monotonic() >= self.held_until
        return not self.lost


@define(eq=False)
class Job:
    """A task that this worker holds.

    Attributes:
        granted: What the queue gave.
        lease: How long the worker may believe that it has the task.
        task: The decoded message; None until it was decoded, or when it cannot be.
        context: The task's view of this attempt; with ``task``.
        started: When it was taken, on the monotonic clock.
        limit: When the watch has to do more than tell it to stop, on the monotonic clock.
        stop: Tells the attempt to stop, also when it has not begun yet.
        pushed: The values that the task has pushed, as JSON.
        canceled: Whether somebody canceled the task.
        progress: How far it says it has come, unless the queue is known to have been told.
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
    """An attempt that returned ``value``, which ``result`` encodes; it ran for ``ran_us`` µs and left ``xcom``.

    The value is None when nobody hears of it, see `let_go`.
    """

    job: Job
    value: Any
    result: bytes
    ran_us: int
    xcom: bytes = b""


class Unstarted(FairqueError):
    """A task could not be begun, for a reason that is not its own: it goes back without having used up a retry.

    Attributes:
        why: What was missing, as the log says it.
        pause_seconds: After how long it may be tried again.
    """

    def __init__(self, why: str, pause_seconds: float) -> None:
        self.why = why
        self.pause_seconds = pause_seconds
        super().__init__(why)


def _judged(failure: "Failure") -> Decision:
    """Return what becomes of the task after a failed attempt, whatever it raised."""
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
    """An attempt that raised. Make it where the task ran, and while its time counts: it asks the error, which may hang.

    Nobody asks the error again afterwards, but the user's own hook.

    Attributes:
        job: The task.
        error: What it raised; only its text when nobody hears of it any more, see `let_go`.
        ran_us: How long it ran, in microseconds.
        decision: What becomes of the task.
        told: The error as text.
        kind: The class of the error.
    """

    job: Job
    error: BaseException
    ran_us: int
    decision: Decision = field(default=Factory(_judged, takes_self=True))
    told: ErrorText = field(default=Factory(lambda self: ErrorText.of(self.error), takes_self=True), init=False)
    kind: type[BaseException] = field(default=Factory(lambda self: type(self.error), takes_self=True), init=False)

    @property
    def canceled(self) -> bool:
        """Whether a cancelation of the coroutine was all that it raised."""
        kind = asyncio.CancelledError
        return issubclass(self.kind, kind) or (self.kind is RemoteError and self.told.kind == kind.__name__)

    @property
    def broken_off(self) -> bool:
        """Whether the loss of the lease ended it, and not the task: it says nothing about the task then."""
        return (self.canceled or issubclass(self.kind, LeaseLost)) and not self.job.lease.held()


@frozen
class GivenBack:
    """A task that this worker could not begin, for a reason that is not the task's own.

    Attributes:
        job: The task.
        why: What was missing.
        pause_seconds: After how long it may be tried again, here or elsewhere.
        crippled: Whether the worker could begin no other task either: it takes none for so long, and others may try
            this one at once.
        ran_us: It did not run.
    """

    job: Job
    why: str
    pause_seconds: float
    crippled: bool = False
    ran_us: int = field(default=0, init=False)


Ending: TypeAlias = Success | Failure | GivenBack


def let_go(ending: Ending) -> None:
    """Forget what code of the user's has made or had in its hands: its value or error, its arguments, its context.

    Call it where that code ran. The last one who forgets an object runs its ``__del__`` and that of all that it holds,
    as the locals of each function through which an error has come; it may hang, as code of the user's may.
    """
    job = ending.job
    if isinstance(ending, Success):
        ending.value = None
    elif isinstance(ending, Failure):
        ending.error = RemoteError(ErrorInfo(ending.told.kind, ending.told.text, ending.told.traceback))
    if job.task is not None and any(type(one) in (list, dict) for one in (*job.task.args, *job.task.kwargs.values())):
        job.task = with_fields(job.task, args=(), kwargs={})
    job.stop.close()
    job.context = None
