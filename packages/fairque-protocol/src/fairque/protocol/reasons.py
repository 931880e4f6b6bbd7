"""Why a task waits, failed or was canceled: enums, of which a newer release may write members that this one lacks."""

from enum import StrEnum
from typing import TypeVar

__all__ = ["CancelCause", "DeadReason", "WaitReason", "known"]

E = TypeVar("E", bound=StrEnum)


class DeadReason(StrEnum):
    """Why a task that ended as FAILED gets no further attempt."""

    #: Its last attempt ended in an error, and it has no retry left.
    RETRIES = "retries"
    #: Its workers were lost too often while they ran it.
    LOST_WORKERS = "lost_workers"
    #: No worker knows its function.
    UNREGISTERED = "unregistered"
    #: What it takes from other tasks is not there, or too large.
    INPUT = "input"
    #: Its message cannot be read.
    UNREADABLE = "unreadable"
    #: What the server has stored of it is damaged.
    BROKEN = "broken"
    #: A newer release, or another program, has written something else.
    UNKNOWN = "unknown"


class CancelCause(StrEnum):
    """What ended a task as CANCELED."""

    #: Somebody canceled it.
    REQUESTED = "requested"
    #: It raised `Cancel`.
    TASK = "task"
    #: A task on which it depends did not finish.
    DEPENDENCY = "dependency"
    #: That was not stored.
    UNKNOWN = "unknown"


class WaitReason(StrEnum):
    """Why something waits. RUNNING, ENDED and IDLE wait for nothing, TURN only for its turn."""

    #: The users before it are served first.
    TURN = "turn"
    #: No worker asks for tasks.
    NO_WORKER = "no_worker"
    #: Its time has not come.
    DELAYED = "delayed"
    #: A task on which it depends has not ended.
    DEPENDENCY = "dependency"
    #: Its user is paused.
    USER_PAUSED = "user_paused"
    #: Its user runs as many tasks as it may at a time.
    USER_CAP = "user_cap"
    #: Its user has started as many tasks as it may for now.
    USER_RATE = "user_rate"
    #: It runs.
    RUNNING = "running"
    #: It has ended.
    ENDED = "ended"
    #: The user has no task.
    IDLE = "idle"


def known(kind: type[E], value: str) -> E:
    """Return the member that a stored value stands for; UNKNOWN where this release has none."""
    try:
        return kind(value)
    except ValueError:
        return kind("unknown")
