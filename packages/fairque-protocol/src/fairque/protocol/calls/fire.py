"""fire and lead: how one scheduler becomes the leader, and enqueues the tasks of schedules that are due."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.calls.edition import NO_EDITION, Edition, edition_of
from fairque.protocol.calls.push import arguments_of
from fairque.protocol.model.schedules import Schedule, task_of
from fairque.protocol.wire.call import Argument, Call, opened, text
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["MAX_MOVES", "Fired", "Firing", "Leadership", "Move", "fire", "lead", "move"]

#: Of one call.
MAX_MOVES = 200
_NO_TASK: tuple[Argument, ...] = ("", *[""] * 11)


@frozen
class Move:
    """How a schedule comes from one of its times to the next; made by `move`.

    Attributes:
        schedule_id: The schedule.
        revision: As it was read.
        time: Its next time as it was read; None while none was computed.
        fire_at: The run that enqueues a task; None when none does.
        missed: How many runs before it enqueue none.
        size: Bytes of the task's message.
        args: As the script takes it.
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
    """What became of a move.

    Attributes:
        code: OK: done. ALREADY: somebody did it before. SKIPPED: without the task, since the last one has not ended.
            NOT_FOUND, CHANGED: it was removed, or it has a newer revision. EARLY: it is not due yet. FULL: too many
            tasks wait. Nothing was changed by the last four.
        next_at: Its next time now; None when there is none.
        pause_ms: For FULL: after how long to try again.
    """

    code: Status
    next_at: int | None
    pause_ms: int


@frozen
class Firing:
    """The answer of `fire`.

    Attributes:
        at_ms: When it was, in milliseconds since the epoch on the server's clock.
        ruling: The term of a later leader, who alone may fire; None when all was done.
        fired: What became of each move.
    """

    at_ms: int
    ruling: int | None
    fired: tuple[Fired, ...]


@frozen
class Leadership:
    """The answer of `lead`.

    Attributes:
        leads: Whether the caller leads now.
        term: That of the leader.
        lease_ms: How long it leads yet.
        holder: The other one who leads; else empty.
        edition: Which queue it is.
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
    """Make a move of a schedule. The task's message is encoded here, ahead of its time.

    Args:
        schedule: The schedule to move.
        revision: As it was read.
        time: Its next time as it was read; None while none was computed.
        following: What the next one is to be; None when there is none.
        fire_at: The run that enqueues a task.
        missed: How many runs from ``time`` on enqueue none.
        missed_last: The last of those.
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
    return Move(schedule.schedule_id, revision, time, fire_at, missed, len(message.data), args)


def fire(keys: QueueKeys, moves: Sequence[Move], *, term: int, result_ttl_ms: int) -> Call[Firing]:
    """Build the call that makes 1 to 200 moves, each by itself; sent again, it makes none twice.

    Args:
        keys: The queue.
        moves: They may be of one schedule, too, in the order of their times. 4 MiB of messages at most.
        term: That of the caller.
        result_ttl_ms: How long a schedule is kept that has no further times.
    """
    args: list[Argument] = [term, result_ttl_ms]
    for one in moves:
        args += one.args

    def decode(reply: list[Any]) -> Firing:
        if reply[0] == Status.LOST:
            return Firing(0, int(reply[1]), ())
        answers = iter(opened(keys, reply)[2:])
        fired = tuple(
            Fired(Status(code), int(following) if following else None, int(pause))
            for code, following, pause in zip(answers, answers, answers, strict=True)
        )
        return Firing(int(reply[1]), None, fired)

    return Call("fire", keys, tuple(args), decode)


def lead(keys: QueueKeys, holder: str, *, lease_ms: int) -> Call[Leadership]:
    """Build the call that asks for the lead, or renews the lease; with 0 it resigns.

    Args:
        keys: The queue.
        holder: Of the scheduler's process alone, by `holder_of`.
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
        _, term, left, *edition = opened(keys, reply)
        return Leadership(leads=lease_ms > 0, term=int(term), lease_ms=int(left), edition=edition_of(edition))

    return Call("lead", keys, (holder, lease_ms), decode)
