"""The status codes of scripts: positive ones are successes; with a negative one nothing was changed."""

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    """The closed set of codes in the first place of a script's answer, or of its answer for one task."""

    #: Done; for a batch, the answers for its tasks follow.
    OK = 1
    #: The same call was run before: the answer says with which result.
    ALREADY = 2
    #: Another task holds the deduplication key; its id follows.
    DEDUPLICATED = 3
    #: The task is running: it was asked to stop.
    REQUESTED = 4
    #: The task has run for its whole timeout: its lease is not renewed.
    OVERDUE = 5
    #: No task for this run of a schedule, since the task of the last one has not ended.
    SKIPPED = 6

    #: The caller no longer holds the task, or no longer leads.
    LOST = -1
    #: No such task.
    NOT_FOUND = -2
    #: The same task id exists with different content.
    CONFLICT = -3
    #: A message above the limit.
    TOO_LARGE = -4
    #: The arguments are not what the script takes.
    BAD_ARGS = -5
    #: The queue has another schema, or needs what this version does not know; the number and the word follow.
    SCHEMA = -6
    #: The backlog has reached a limit; whose limit follows.
    FULL = -7
    #: Not now: users have tasks or debts, or dependents are still being notified of an ending.
    BUSY = -8
    #: A task depends on one that is not known; both follow.
    UNKNOWN_PARENT = -9
    #: The schedule was changed: it has another revision.
    CHANGED = -10
    #: Another scheduler leads.
    HELD = -11
    #: The run of a schedule is not due yet.
    EARLY = -12
