"""fire and lead: elect the leader among schedulers, and enqueue the tasks of due schedules."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.calls.edition import NO_EDITION, Edition, edition_of
from fairque.protocol.calls.push import arguments_of
from fairque.protocol.model.schedules import Schedule, task_of
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["MAX_MOVES", "Fired", "Firing", "Leadership", "Move", "fire", "lead", "move"]

#: Most moves per call.
MAX_MOVES = 200
_NO_TASK: tuple[Argument, ...] = ("", "", "")


@frozen
class Move:
    """A move of a schedule from one run to the next; created by `move`.

    Attributes:
        schedule_id: The schedule.
        revision: The revision that was read.
        time: The next run that was read; None if it was not computed.
        fire_at: The run that enqueues a task; None if none does.
        missed: How many runs before it are missed.
        size: Bytes of the task's message.
        args: The arguments of the script.
    """

    schedule_id: str
    revision: int
    time: int | None
    fire_at: int | None
    missed: int
    size: int
    args: tuple[Argument, ...]


@frozen
class Fired:
    """The result of a move.

    Attributes:
        code: OK: done. ALREADY: it was made before. SKIPPED: made without a task, since the previous one has not ended.
            NOT_FOUND: the schedule was deleted. CHANGED: it has a newer revision. EARLY: it is not due yet. FULL: a
            backlog is full. The last four changed nothing.
        next_at: The next run of the schedule; None if there is none.
        pause_ms: For FULL: after how many milliseconds to try again.
    """

    code: Status
    next_at: int | None
    pause_ms: int


@frozen
class Firing:
    """The answer of `fire`.

    Attributes:
        at_ms: When it was made, in milliseconds since the epoch by the server's clock.
        later_term: The term of a later leader, if the caller no longer leads and nothing was done; otherwise None.
        fired: The result of each move.
    """

    at_ms: int
    later_term: int | None
    fired: tuple[Fired, ...]


@frozen
class Leadership:
    """The answer of `lead`.

    Attributes:
        leads: Whether the caller leads.
        term: The term of the leader.
        lease_ms: Milliseconds left on its lease.
        holder: The holder, if another scheduler leads; otherwise empty.
        edition: The edition of the queue.
    """

    leads: bool
    term: int
    lease_ms: int
    holder: str = ""
    edition: Edition = NO_EDITION


def move(
    schedule: Schedule,
    revision: int,
    *,
    time: int | None,
    following: int | None,
    fire_at: int | None = None,
    missed: int = 0,
    missed_last: int = 0,
) -> Move:
    """Create a move of a schedule. The message of the task is encoded here, before the run is due.

    Args:
        schedule: The schedule to move.
        revision: The revision that was read.
        time: The next run that was read; None if it was not computed.
        following: The run after the move; None if there is none.
        fire_at: The run that enqueues a task; None if none does.
        missed: How many runs from ``time`` are missed.
        missed_last: The last missed run.
    """
    head = (
        schedule.schedule_id,
        revision,
        "" if time is None else time,
        "" if following is None else following,
        missed,
        missed_last,
        schedule.overlap,
    )
    if fire_at is None:
        return Move(schedule.schedule_id, revision, time, None, missed, 0, (*head, *_NO_TASK))
    task = task_of(schedule, fire_at)
    message = encode_task(task)
    args = (*head, fire_at, *arguments_of(task, message))
    return Move(schedule.schedule_id, revision, time, fire_at, missed, message.size, args)


def fire(keys: QueueKeys, moves: Sequence[Move], *, term: int, result_ttl_ms: int) -> Call[Firing]:
    """Build the call that makes 1 to 200 independent moves. Repeating it makes none twice.

    Args:
        keys: The queue.
        moves: The moves, with at most 4 MiB of messages. Several moves of a schedule must be in order.
        term: The term of the caller.
        result_ttl_ms: How long to keep a schedule without further runs.
    """
    args: list[Argument] = [term, result_ttl_ms]
    for each in moves:
        args += each.args

    def decode(reply: list[Any]) -> Firing:
        if reply[0] == Status.LOST:
            return Firing(0, int(reply[1]), ())
        answers = iter(checked(keys, reply)[2:])
        fired = tuple(
            Fired(Status(code), int(following) if following else None, int(pause))
            for code, following, pause in zip(answers, answers, answers, strict=True)
        )
        return Firing(int(reply[1]), None, fired)

    return Call("fire", keys, tuple(args), decode)


def lead(keys: QueueKeys, holder: str, *, lease_ms: int) -> Call[Leadership]:
    """Build the call that requests the lead or renews its lease; with a lease of 0 it resigns.

    Args:
        keys: The queue.
        holder: The unique holder of the scheduler's process, see `holder_of`.
        lease_ms: How long it leads unless it renews the lease.
    """

    def decode(reply: list[Any]) -> Leadership:
        if reply[0] == Status.HELD:
            return Leadership(
                leads=False,
                term=int(reply[1]),
                lease_ms=int(reply[2]),
                holder=text(reply[3]),
                edition=edition_of(reply[4:]),
            )
        _, term, left, *edition = checked(keys, reply)
        return Leadership(leads=lease_ms > 0, term=int(term), lease_ms=int(left), edition=edition_of(edition))

    return Call("lead", keys, (holder, lease_ms), decode)
