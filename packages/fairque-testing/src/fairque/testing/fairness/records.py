"""The model's records of users and tasks, with the field names of the Lua scripts."""

import math
from enum import StrEnum
from typing import Final, TypeGuard

from attrs import define, field, frozen

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import LimitName, limit_problem
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.fairness.ring import Ring

__all__ = ["CRITICAL_RUN", "Lane", "ModelTask", "User", "UserSettings", "is_number", "settings_problems"]

#: C_u: CRITICAL tasks of one user in a row while it has other work.
CRITICAL_RUN: Final = 4


def settings_problems(weight: object, cap: object, rate: object, burst: object) -> list[str]:
    """Return the problems of the settings of a user, a sentence each."""
    given: tuple[tuple[LimitName, object], ...] = (("weight", weight), ("cap", cap), ("rate", rate), ("burst", burst))
    return [
        f"{name} {problem}"
        for name, value in given
        if (value is not None or name == "weight") and (problem := limit_problem(name, value))
    ]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)  # finite, and possibly too large for isfinite


@frozen(kw_only=True)
class UserSettings:
    """The settings of one user, or the defaults of all.

    Attributes:
        own_weight: Share relative to others, 0.01 to 100; None: 1. To write down the 1 is a change, as for a server.
        cap: Most tasks that run at a time; None: the default, or no cap.
        paused: Whether no task may be started.
        rate: Most starts a second; None: the default, or no limit.
        burst: Most starts at once after a rest; None: the default, or 1.

    Raises:
        InvalidArgument: A setting is invalid; all problems are listed.
    """

    own_weight: float | None = field(default=None, alias="weight")
    cap: int | None = None
    paused: bool = False
    rate: float | None = None
    burst: int | None = None

    def __attrs_post_init__(self) -> None:
        if problems := settings_problems(self.weight, self.cap, self.rate, self.burst):
            raise InvalidArgument(problems)

    @property
    def weight(self) -> float:
        """Its share relative to others."""
        return 1.0 if self.own_weight is None else self.own_weight


class Lane(StrEnum):
    """The place of a user."""

    #: No task waits.
    IDLE = ""
    #: In the fresh ring: was idle, owes little, not served since.
    FRESH = "F"
    #: In the ready ring.
    READY = "R"
    #: Tasks wait, but none may be started: capped, paused, or limited in its rate. In no ring.
    PARKED = "P"


@define(eq=False)
class User:
    """The record of a user, kept while the user has work, a debt, or a bucket that is not full.

    Attributes:
        id: The user.
        settings: Its own settings.
        S: The tag: charged service per weight. The user with the smallest is served next.
        inf: Running tasks ("in flight").
        lane: Its place.
        cs: CRITICAL tasks in a row.
        ewma: Average run time of its tasks, µs; None before the first ended.
        leeway: How far it may be behind V, in service, when it returns from its cap or its rate; None: the initial K.
        cut: V when the leeway cut its place, if it has not had to wait for its turn since.
        anew: Whether an operator has changed its limits in the current call.
        tat: Rate limit: the time, µs, at which the bucket will be full again (GCRA's theoretical arrival time).
        n: Waiting tasks by place.
        c: Waiting CRITICAL tasks by time of entry.
    """

    id: str
    settings: UserSettings
    S: float = -math.inf
    inf: int = 0
    lane: Lane = Lane.IDLE
    cs: int = 0
    ewma: int | None = None
    leeway: int | None = None
    cut: float | None = None
    anew: bool = False
    tat: float = 0.0
    n: Ring = field(init=False, factory=Ring)
    c: Ring = field(init=False, factory=Ring)

    @property
    def pending(self) -> int:
        """Number of its waiting tasks."""
        return len(self.n) + len(self.c)

    @property
    def critical_next(self) -> bool:
        """Whether its next task is a CRITICAL one."""
        return len(self.c) > 0 and (self.cs < CRITICAL_RUN or len(self.n) == 0)


@define(eq=False)
class ModelTask:
    """A task: created by the caller that pushes it, then changed by the model until it ends.

    Attributes:
        task_id: The id of the task.
        user: The user whose share it uses.
        priority: Its order among the tasks of its user.
        delay_ms: Milliseconds from its push until it may start; None: no delay.
        due_ms: Or the moment on the server's clock, in milliseconds; None once it is reached.
        cost_us: Expected run time in microseconds; None: unknown.
        state: SCHEDULED, QUEUED or STARTED.
        place: Its score in the user's queue, kept while it runs.
        start_us: When its attempt began.
        charged: What its user was charged for the attempt so far.
        lease_end_ms: When it is reclaimed from an unresponsive worker.
        lost: Attempts whose lease expired.
        cancel: Whether it was asked to stop.
    """

    task_id: str
    user: str
    priority: Priority = Priority.NORMAL
    delay_ms: int | None = field(default=None, kw_only=True)
    due_ms: int | None = field(default=None, kw_only=True)
    cost_us: int | None = field(default=None, kw_only=True)
    state: TaskState = field(init=False, default=TaskState.QUEUED)
    place: int = field(init=False, default=0)
    start_us: int = field(init=False, default=0)
    charged: int = field(init=False, default=0)
    lease_end_ms: int = field(init=False, default=0)
    lost: int = field(init=False, default=0)
    cancel: bool = field(init=False, default=False)
