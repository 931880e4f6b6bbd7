"""Errors of schedules."""

from fairque.protocol.errors.roots import Conflict, InvalidArgument, NotFound

__all__ = ["InvalidSchedule", "ScheduleConflict", "ScheduleNotFound"]


class InvalidSchedule(InvalidArgument):
    """A schedule is invalid and was not stored.

    Attributes:
        problems: A sentence for each: the part of the schedule, what is wrong with it, and how to fix it.
    """


class ScheduleNotFound(NotFound):
    """The queue has no schedule with that id: it was never added, was deleted, or expired after its last run.

    Attributes:
        schedule_id: The id of the schedule.
    """

    def __init__(self, schedule_id: str, queue: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(
            f"queue {queue!r} has no schedule {schedule_id!r}: it was never added, was deleted, or expired after its "
            "last run. Check the spelling, or add it"
        )


class ScheduleConflict(Conflict):
    """A schedule with the id already exists, or it was changed since it was read. Nothing was stored.

    Attributes:
        schedule_id: The id of the schedule.
        revision: Its current revision.
    """

    def __init__(self, schedule_id: str, revision: int, queue: str) -> None:
        self.schedule_id = schedule_id
        self.revision = revision
        super().__init__(
            f"schedule {schedule_id!r} of queue {queue!r} exists with different content (revision {revision}): to "
            "change it, read it and update that revision; or choose another id"
        )
