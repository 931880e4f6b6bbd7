"""Decides about overdue runs: which is fired next, and which are missed. A pure function."""

from collections import deque

from attrs import define, field, frozen

from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule

__all__ = ["MAX_MISSED", "Step", "next_step"]

#: Most missed runs of one step, in addition to those that may still be fired: a schedule that is months overdue
#: continues in steps, and delays no other.
MAX_MISSED = 200


@frozen
class Step:
    """How a schedule that is late continues.

    Attributes:
        fire_at: The run that enqueues a task; None when none does in this step.
        missed: How many runs before it, or before the next one, enqueue none.
        missed_last: The last of those; 0 when there are none.
        following: The next time; None when there is none.
    """

    fire_at: int | None
    missed: int
    missed_last: int
    following: int | None


@define
class _Missed:
    number: int = 0
    last: int = 0
    #: The newest late runs that the policy lets fire.
    kept: deque[int] = field(factory=deque)

    def add(self, time: int, most: int) -> None:
        self.kept.append(time)
        if len(self.kept) > most:
            self.drop()

    def drop(self) -> None:
        self.number, self.last = self.number + 1, self.kept.popleft()


def next_step(schedule: Schedule, due_ms: int, now_ms: int) -> Step:
    """Decide the next step of an overdue schedule.

    Runs within ``misfire_grace`` are fired one after another. Of the later ones the policy fires the newest one, unless
    a newer run is within the grace; or the newest ``misfire_limit``; or none.

    Args:
        schedule: The overdue schedule.
        due_ms: Its next time, in milliseconds since the epoch, not later than ``now_ms``.
        now_ms: The server's time.
    """
    most = {"latest": 1, "all": schedule.misfire_limit, "skip": 0}[schedule.misfire]
    missed = _Missed()
    time: int | None = due_ms
    while time is not None and time < now_ms - schedule.misfire_grace_ms and time <= now_ms:
        missed.add(time, most)
        time = time_after(schedule, time)
        if missed.number >= MAX_MISSED:
            return Step(None, missed.number, missed.last, missed.kept[0] if missed.kept else time)
    in_grace = time is not None and time <= now_ms
    if in_grace and missed.kept and schedule.misfire == "latest":
        missed.drop()
    fire_at = missed.kept[0] if missed.kept else time if in_grace else None
    following = time if fire_at is None else time_after(schedule, fire_at)
    return Step(fire_at, missed.number, missed.last, following)
