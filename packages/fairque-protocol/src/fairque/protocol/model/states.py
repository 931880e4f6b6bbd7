"""The states of a task, the table of their transitions, which scripts and tests follow, and priorities."""

from enum import IntEnum, StrEnum

from attrs import frozen

__all__ = ["TRANSITIONS", "CancelResult", "Priority", "TaskState", "Transition"]


class TaskState(StrEnum):
    """The state of a task. FINISHED, FAILED and CANCELED are final, except that a FAILED task can be retried."""

    #: Waits for other tasks to end.
    DEFERRED = "DEFERRED"
    #: Waits for a time: a delay, or the pause before a retry.
    SCHEDULED = "SCHEDULED"
    #: Ready to be started by a free worker.
    QUEUED = "QUEUED"
    #: A worker holds its lease.
    STARTED = "STARTED"
    #: Ended with a result.
    FINISHED = "FINISHED"
    #: Ended with an error; kept as a dead letter.
    FAILED = "FAILED"
    #: Canceled on request, by the task itself, or because a task it depends on did not finish.
    CANCELED = "CANCELED"

    @property
    def ended(self) -> bool:
        """Whether a task in this state has ended."""
        return self in _ENDED


_ENDED = frozenset({TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELED})


class CancelResult(StrEnum):
    """The result of canceling a task."""

    #: The task was waiting and is canceled.
    CANCELED = "canceled"
    #: The task is running and was asked to stop.
    REQUESTED = "requested"
    #: The task had already ended; nothing changed.
    ALREADY_ENDED = "already_ended"


class Priority(IntEnum):
    """The urgency of a task among the tasks of its own user; it does not matter to other users."""

    VERY_LOW = 1
    LOW = 2
    NORMAL = 3
    HIGH = 4
    VERY_HIGH = 5
    #: Uses the critical lane: before the user's other tasks, and before other users only on bounded credit.
    CRITICAL = 6

    @classmethod
    def known(cls, value: object) -> "Priority | None":
        """Return the priority with this value, or None; accepts any object. Bools are not priorities."""
        try:
            return None if isinstance(value, bool) else cls._value2member_map_.get(value)  # type: ignore[return-value]
        except Exception:  # noqa: BLE001 - hashing and comparing run code of the user's object
            return None


@frozen
class Transition:
    """An allowed transition, and the verb that performs it. ``before`` is None for a new task."""

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
        # Done by operators: the only transition out of a final state.
        ("redrive", (s.FAILED,), (s.QUEUED,)),
        # The endings of a task free its dependents, a limited number per call.
        ("free", (s.DEFERRED,), (s.QUEUED, s.SCHEDULED, s.CANCELED, s.FAILED)),
        # Done by verify to a task whose message is missing.
        ("leave_waiting", (s.SCHEDULED, s.QUEUED, s.DEFERRED), (s.FAILED,)),
        # Done by pop and sweep, a limited number per call.
        ("promote", (s.SCHEDULED,), (s.QUEUED,)),
        ("reclaim", (s.STARTED,), (s.QUEUED, s.FAILED, s.CANCELED)),
    )
    return tuple(Transition(verb, b, a) for verb, before, after in rows for b in before for a in after)


#: All transitions.
TRANSITIONS = _table()
