"""Errors of schedules."""

from fairque.protocol.errors.roots import Conflict, InvalidArgument, NotFound

__all__ = ["InvalidSchedule", "ScheduleConflict", "ScheduleNotFound"]


class InvalidSchedule(InvalidArgument):
    """A schedule that must not be stored.

    Attributes:
        problems: One sentence each: the part of the schedule, what is wrong with it, and the remedy.
    """


class ScheduleNotFound(NotFound):
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


class ScheduleConflict(Conflict):
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
