"""The states of a task, its priorities, and the one table of transitions that scripts and tests follow."""

from enum import IntEnum, StrEnum

from attrs import frozen

__all__ = ["TRANSITIONS", "CancelResult", "Priority", "TaskState", "Transition"]


class TaskState(StrEnum):
    """Where a task is in its life. FINISHED, FAILED and CANCELED are ends, from which `retry` leads back."""

    #: Waits for other tasks to end.
    DEFERRED = "DEFERRED"
    #: Waits for its time: a delay, or the pause before a retry.
    SCHEDULED = "SCHEDULED"
    #: May be started by the next free worker.
    QUEUED = "QUEUED"
    #: A worker holds its lease.
    STARTED = "STARTED"
    #: Ended with a result.
    FINISHED = "FINISHED"
    #: Ended without one; kept as a dead letter.
    FAILED = "FAILED"
    #: Ended because somebody asked for it.
    CANCELED = "CANCELED"

    @property
    def ended(self) -> bool:
        """Whether a task in this state has ended."""
        return self in _ENDED


_ENDED = frozenset({TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELED})


class CancelResult(StrEnum):
    """What a cancelation did."""

    #: The task was waiting and has ended.
    CANCELED = "canceled"
    #: It runs and was asked to stop.
    REQUESTED = "requested"
    #: It had ended before, and keeps that ending.
    ALREADY_ENDED = "already_ended"


class Priority(IntEnum):
    """How urgent a task is among the tasks of its own user; it never outranks another user's."""

    VERY_LOW = 1
    LOW = 2
    NORMAL = 3
    HIGH = 4
    VERY_HIGH = 5
    #: A lane of its own: ahead of the user's other tasks, and ahead of other users only on bounded credit.
    CRITICAL = 6

    @classmethod
    def known(cls, value: object) -> "Priority | None":
        """Return the priority that a value stands for, whatever it is; None for none. True is none, though it is 1."""
        try:
            return None if isinstance(value, bool) else cls._value2member_map_.get(value)  # type: ignore[return-value]
        except Exception:  # noqa: BLE001 - of whatever object a user passed
            return None


@frozen
class Transition:
    """One allowed change of state, and the verb that makes it. ``before`` is None for a new task."""

    verb: str
    before: TaskState | None
    after: TaskState


def _table() -> tuple[Transition, ...]:
    s = TaskState
    rows: tuple[tuple[str, tuple[TaskState | None, ...], tuple[TaskState, ...]], ...] = (
        ("push", (None,), (s.QUEUED, s.SCHEDULED, s.DEFERRED, s.CANCELED)),
        ("fire", (None,), (s.QUEUED,)),
        ("pop", (s.QUEUED,), (s.STARTED,)),
        ("finish", (s.STARTED,), (s.FINISHED,)),
        ("fail", (s.STARTED,), (s.SCHEDULED, s.FAILED, s.CANCELED)),
        ("release", (s.STARTED,), (s.QUEUED, s.CANCELED)),
        ("cancel", (s.SCHEDULED, s.QUEUED, s.DEFERRED), (s.CANCELED,)),
        ("purge", (s.SCHEDULED, s.QUEUED, s.DEFERRED), (s.CANCELED,)),
        # An operator does it: the only way out of an end.
        ("redrive", (s.FAILED,), (s.QUEUED,)),
        # What ends a task frees those that depend on it, some in each call.
        ("free", (s.DEFERRED,), (s.QUEUED, s.SCHEDULED, s.CANCELED, s.FAILED)),
        # A verification does this to a task whose message is gone.
        ("leave_waiting", (s.SCHEDULED, s.QUEUED, s.DEFERRED), (s.FAILED,)),
        # Both pop and sweep do these two, a few at a time.
        ("promote", (s.SCHEDULED,), (s.QUEUED,)),
        ("reclaim", (s.STARTED,), (s.QUEUED, s.FAILED, s.CANCELED)),
    )
    return tuple(Transition(verb, b, a) for verb, before, after in rows for b in before for a in after)


#: Every transition there is.
TRANSITIONS = _table()
