"""The errors of fairque: one root, a class where a caller would act differently, the facts as attributes."""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BatchTooLarge",
    "ConfigurationError",
    "EmbeddedServerError",
    "FairqueError",
    "InputsTooLarge",
    "InvalidSchedule",
    "InvalidTask",
    "LeaseLost",
    "PartialPush",
    "ProtocolError",
    "QueueFull",
    "RedisUnavailable",
    "RemoteError",
    "ResultExpired",
    "ScheduleConflict",
    "ScheduleNotFound",
    "SchemaMismatch",
    "ServerUnsuitable",
    "TaskCanceled",
    "TaskConflict",
    "TaskFailed",
    "TaskNotFound",
    "TaskTimeout",
    "TaskTooLarge",
    "UnknownFunction",
    "UnknownParent",
    "UserNotFound",
]


class FairqueError(Exception):
    """The root of all errors that fairque raises on purpose."""


class ConfigurationError(FairqueError, ValueError):
    """Settings that cannot be used. It carries every problem found, not only the first.

    Attributes:
        problems: One sentence each, with file, line and key where they are known.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class EmbeddedServerError(FairqueError):
    """The embedded server could not be found, started or attached to."""


class RedisUnavailable(FairqueError, ConnectionError):
    """Redis did not answer, or cannot now. The call may be sent again: every fairque call is safe to repeat.

    Attributes:
        passes: Whether it may answer a moment later; False when somebody has to change something first, such as a
            wrong password.
    """

    def __init__(self, message: str, *, passes: bool = True) -> None:
        self.passes = passes
        super().__init__(message)


class ServerUnsuitable(FairqueError):
    """The server answers, but cannot hold this queue: too old, a Sentinel, without a right, or it may evict tasks.

    Attributes:
        denied: Whether the user of the address lacks a right.
    """

    def __init__(self, message: str, *, denied: bool = False) -> None:
        self.denied = denied
        super().__init__(message)


class SchemaMismatch(FairqueError):
    """The queue was written by a version of fairque that this one cannot work with.

    Attributes:
        queue: Name of the queue.
        found: Schema number in the queue's meta record.
        supported: Schema number of this package.
    """

    def __init__(self, queue: str, found: str, supported: int) -> None:
        self.queue = queue
        self.found = found
        self.supported = supported
        older = found.isdigit() and int(found) < supported
        advice = (
            "upgrade the processes that still write the old schema, then drain the queue"
            if older
            else "upgrade fairque-protocol here"
        )
        super().__init__(f"queue {queue!r} has schema {found}, this fairque-protocol supports {supported}: {advice}")


class ProtocolError(FairqueError):
    """A script refused its arguments, or a record in Redis is not what the protocol says."""


class InvalidTask(FairqueError, ValueError):
    """A task that must not be pushed: the message names the task, the field and the remedy."""


class InvalidSchedule(FairqueError, ValueError):
    """A schedule that must not be kept. It carries every problem found, not only the first.

    Attributes:
        problems: One sentence each: the part of the schedule, what is wrong with it, and the remedy.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class TaskTooLarge(InvalidTask):
    """A task whose message is above the limit.

    Attributes:
        task_id: The task.
        size: Bytes of the encoded message.
        limit: Bytes allowed.
    """

    def __init__(self, task_id: str, size: int, limit: int) -> None:
        self.task_id = task_id
        self.size = size
        self.limit = limit
        super().__init__(
            f"task {task_id}: the message has {size:,} bytes, allowed are {limit:,}. "
            "Store large data elsewhere and pass its address, or raise queue.message_limit (1 MiB at most)"
        )


class BatchTooLarge(FairqueError, ValueError):
    """More tasks or bytes in one push than one atomic call takes."""


class PartialPush(FairqueError):
    """A push in several chunks went wrong after some of them; what went wrong is its ``__cause__``.

    Pushing the very same tasks again is safe: those that are stored stay what they are.

    Attributes:
        handles: Handles of the tasks that were stored for certain: the first ones, in order.
    """

    def __init__(self, handles: Sequence[Any], cause: BaseException) -> None:
        self.handles = tuple(handles)
        super().__init__(
            f"only the first {len(self.handles):,} tasks were pushed for certain (.handles), then: {cause}. "
            "Fix the cause and push the same tasks again, or those after them"
        )


class QueueFull(FairqueError):
    """The queue or the server takes no more tasks now; nothing was written.

    Attributes:
        retry_after: Seconds after which another try is reasonable.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"{message} (try again in {retry_after:g} s)")


class TaskConflict(FairqueError, ValueError):
    """The same task id was pushed before with other content.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"task {task_id} exists with other content: an id names one task forever. "
            "Use a new id, or push exactly the same task to repeat a push"
        )


class TaskNotFound(FairqueError, LookupError):
    """No task of that id is known: never pushed, or its record has expired.

    Attributes:
        task_id: The task.
        queue: Name of the queue that was asked.
    """

    def __init__(self, task_id: str, queue: str) -> None:
        self.task_id = task_id
        self.queue = queue
        super().__init__(
            f"task {task_id} is not known in queue {queue!r}: it was never pushed there, or its record expired"
        )


class TaskFailed(FairqueError):
    """The task ended as FAILED. The error is text: exceptions are never rebuilt from stored data.

    Attributes:
        task_id: The task.
        error_type: Class name of the exception in the worker.
        error: Its message.
        traceback: Its traceback as text, cut to a few KiB.
        reason: Why it is final: ``retries``, ``deliveries``, ``unregistered`` …
    """

    def __init__(self, task_id: str, error_type: str, error: str, traceback: str = "", reason: str = "") -> None:
        self.task_id = task_id
        self.error_type = error_type
        self.error = error
        self.traceback = traceback
        self.reason = reason
        super().__init__(f"task {task_id} failed: {error_type}: {error}" + (f" ({reason})" if reason else ""))


class TaskCanceled(FairqueError):
    """The task ended as CANCELED.

    Attributes:
        task_id: The task.
        reason: Who or what canceled it.
    """

    def __init__(self, task_id: str, reason: str = "") -> None:
        self.task_id = task_id
        self.reason = reason
        super().__init__(f"task {task_id} was canceled" + (f": {reason}" if reason else ""))


class ResultExpired(FairqueError, LookupError):
    """The task was known, and its record is gone: it was kept for its time, or the server has lost its data.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"the record of task {task_id} is gone: it has expired (read results earlier, or raise "
            "queue.result_ttl), or the server has lost its data (push the task again)"
        )


class OutputMissing(FairqueError, LookupError):
    """A task asks for a value that another one has not left, or whose time of keeping is over.

    Attributes:
        task_id: The task that should have left it; empty when none of several has.
    """

    def __init__(self, message: str, task_id: str = "") -> None:
        self.task_id = task_id
        super().__init__(message)


class InputsTooLarge(FairqueError, ValueError):
    """What a task takes from others has more bytes than ``queue.input_limit``: it was not run."""


class UnknownFunction(FairqueError, LookupError):
    """A task names a function that this worker does not know.

    Attributes:
        name: The name in the task.
        close: Registered names that look like it.
    """

    def __init__(
        self,
        name: str,
        close: Sequence[str],
        modules: Sequence[str],
        why: str = "Start the worker with the module that defines it",
    ) -> None:
        self.name = name
        self.close = tuple(close)
        meant = f"; did you mean {', '.join(map(repr, self.close))}?" if self.close else ""
        loaded = ", ".join(modules) or "none"
        super().__init__(f"no task function {name!r} is registered here{meant} (modules loaded: {loaded}). {why}")


class TaskTimeout(FairqueError, TimeoutError):
    """An attempt took longer than the task's timeout and was given up: a failed attempt like any other.

    Attributes:
        seconds: The timeout.
    """

    def __init__(self, seconds: float, end: str) -> None:
        self.seconds = seconds
        super().__init__(f"the attempt took longer than the timeout of {seconds:g} s: {end}")


class RemoteError(FairqueError):
    """What a task raised in another process, as text: it is never rebuilt.

    Attributes:
        kind: Name of its class.
        traceback: Where it was raised.
    """

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        self.kind = kind
        self.traceback = traceback
        super().__init__(text)


class LeaseLost(FairqueError):
    """The worker no longer holds the task: its ending was refused and changed nothing.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f"the lease of task {task_id} is lost: it was given to another worker")


class UserNotFound(FairqueError, LookupError):
    """A user who has no tasks, no debts and no limits of its own: the queue knows nothing of it.

    Attributes:
        user_id: The user.
    """

    def __init__(self, user_id: str, queue: str) -> None:
        self.user_id = user_id
        super().__init__(
            f"queue {queue!r} knows no user {user_id!r}: it has no tasks, no debts and no limits of its own. "
            "Check the spelling, or set limits for it first"
        )


class UnknownParent(InvalidTask):
    """A task depends on one that the queue does not know; nothing was pushed.

    Attributes:
        task_id: The task that cannot be pushed.
        parent_id: The one that it depends on.
        argument: Its argument that the output of the other one was to be; empty when it takes none.
    """

    def __init__(self, task_id: str, parent_id: str, queue: str, argument: str = "") -> None:
        self.task_id = task_id
        self.parent_id = parent_id
        self.argument = argument
        why = f", whose output is its argument {argument!r} and" if argument else ","
        super().__init__(
            f"task {task_id} depends on task {parent_id}{why} which queue {queue!r} does not know: push it before, or "
            "in the same call. A task is forgotten some time after its end (queue.result_ttl)"
        )


class ScheduleNotFound(FairqueError, LookupError):
    """No schedule of that id is known: never added, removed, or forgotten some time after its last time.

    Attributes:
        schedule_id: The schedule.
    """

    def __init__(self, schedule_id: str, queue: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(
            f"queue {queue!r} has no schedule {schedule_id!r}: it was never added, was removed, or had its last time "
            "some while ago. Check the spelling, or add it"
        )


class ScheduleConflict(FairqueError, ValueError):
    """A schedule is not as the caller thinks: a new one exists already, or somebody changed it. Nothing was stored.

    Attributes:
        schedule_id: The schedule.
        revision: That it has now.
    """

    def __init__(self, schedule_id: str, revision: int, queue: str) -> None:
        self.schedule_id = schedule_id
        self.revision = revision
        super().__init__(
            f"schedule {schedule_id!r} of queue {queue!r} exists with other content (revision {revision}): to change "
            "it, read it and update that revision; or choose another id"
        )
