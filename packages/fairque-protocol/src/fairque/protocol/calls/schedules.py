"""schedule, enable, unschedule and due: store, pause and delete schedules, and read them."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import (
    BatchTooLarge,
    InvalidSchedule,
    ProtocolError,
    ScheduleConflict,
    ScheduleNotFound,
)
from fairque.protocol.model.page import page_start
from fairque.protocol.model.schedule_infos import (
    Miss,
    Moved,
    ScheduleInfo,
    SchedulePage,
    SchedulerStatus,
    UnreadableSchedule,
)
from fairque.protocol.model.schedules import Schedule, task_of
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.holder import name_of_holder
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.schedules import (
    content_digest,
    decode_schedule,
    encode_schedule,
    id_problems,
    schedule_problems,
    timing_digest,
)
from fairque.protocol.wire.status import Status

__all__ = [
    "MAX_DUE",
    "MAX_SCHEDULES",
    "Due",
    "Overdue",
    "ScheduleWrite",
    "Scheduled",
    "due",
    "enable",
    "read_known",
    "read_schedule",
    "read_scheduler",
    "read_schedules",
    "read_some",
    "schedule",
    "unschedule",
]

#: Most schedules per call of `schedule`.
MAX_SCHEDULES = 100
#: Most schedules per answer of `due`.
MAX_DUE = 10_000
_MAX_BYTES = 4 * 1_048_576
_PLACES = 13
#: Reasons of misses that have another name in the scripts.
_REASONS: dict[str, Any] = {"disabled": "paused"}


@frozen
class Overdue:
    """Runs of a schedule that are due and not fired; they are missed if it is paused or its times change.

    Attributes:
        number: How many, at least 1.
        first: The first of them, in milliseconds since the epoch.
        last: The last of them, in milliseconds since the epoch.
    """

    number: int
    first: int
    last: int


@frozen(kw_only=True)
class ScheduleWrite:
    """A schedule to be stored.

    Attributes:
        schedule: The schedule to store.
        revision: The revision it must have now: 0 for a new schedule; None changes an existing one of any revision.
        next_at: Its next run, if the caller has computed it; None leaves that to the leader.
        overdue: Its overdue runs, if the caller has counted them; otherwise one is counted as missed.
    """

    schedule: Schedule
    revision: int | None
    next_at: int | None = None
    overdue: Overdue | None = None


@frozen
class Scheduled:
    """The result for one schedule: OK if it was stored, ALREADY if it was identical; and its revision."""

    code: Status
    revision: int


@frozen
class Due:
    """Schedules that are due soon, earliest first.

    Attributes:
        at_ms: When they were read, in milliseconds since the epoch by the server's clock.
        times: When each one is due, or its next run must be computed, or its record expires.
    """

    at_ms: int
    times: tuple[tuple[str, int], ...]


def schedule(keys: QueueKeys, writes: Sequence[ScheduleWrite], *, message_limit: int) -> Call[list[Scheduled]]:
    """Build the call that stores 1 to 100 schedules, all or none; it answers for each, in order.

    Reading the answer raises `ScheduleConflict` or `ScheduleNotFound`.

    Args:
        keys: The queue.
        writes: The schedules.
        message_limit: Bytes of the largest message of a task.

    Raises:
        InvalidSchedule: With all problems of all schedules. Nothing was sent.
        BatchTooLarge: There are more than 100, or more than 4 MiB.
    """
    if not 1 <= len(writes) <= MAX_SCHEDULES:
        raise BatchTooLarge(f"{len(writes):,} schedules in one call: an atomic call takes 1 to {MAX_SCHEDULES}")
    problems = [problem for change in writes for problem in _problems(change.schedule, message_limit)]
    ids = [change.schedule.schedule_id for change in writes]
    duplicates = sorted({schedule_id for schedule_id in ids if ids.count(schedule_id) > 1})
    problems += [f"schedule {safe_repr(schedule_id, 110)}: it is there twice" for schedule_id in duplicates]
    if problems:
        raise InvalidSchedule(problems)
    args: list[Argument] = []
    for change in writes:
        paused = change.schedule.paused
        args += (
            change.schedule.schedule_id,
            _maybe(change.revision),
            timing_digest(change.schedule),
            _maybe(change.next_at),
            "" if paused is None else int(not paused),
            *_overdue(change.overdue),
            encode_schedule(change.schedule),
            content_digest(change.schedule),
        )
    if sum(len(arg) for arg in args if isinstance(arg, bytes)) > _MAX_BYTES:
        raise BatchTooLarge("the definitions of one call have more than 4 MiB: store fewer schedules at a time")

    def decode(reply: list[Any]) -> list[Scheduled]:
        if reply[0] == Status.CHANGED:
            raise ScheduleConflict(text(reply[1]), int(reply[2]), keys.name)
        if reply[0] == Status.NOT_FOUND:
            raise ScheduleNotFound(text(reply[1]), keys.name)
        answers = iter(checked(keys, reply)[2:])
        return [Scheduled(Status(code), int(revision)) for code, revision in zip(answers, answers, strict=True)]

    return Call("schedule", keys, tuple(args), decode)


def enable(keys: QueueKeys, schedule_id: str, *, on: bool, overdue: Overdue | None = None) -> Call[bool]:
    """Build the call that resumes or pauses a schedule; its answer is whether anything changed.

    Reading the answer raises `ScheduleNotFound`.

    Args:
        keys: The queue.
        schedule_id: The schedule.
        on: Whether to resume it.
        overdue: Its overdue runs, if the caller has counted them; otherwise one is counted as missed.

    Raises:
        InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
    """

    def decode(reply: list[Any]) -> bool:
        if reply[0] == Status.NOT_FOUND:
            raise ScheduleNotFound(schedule_id, keys.name)
        return bool(checked(keys, reply)[0] == Status.OK)

    return Call("enable", keys, (_id(schedule_id), int(on), *_overdue(overdue)), decode)


def unschedule(keys: QueueKeys, schedule_id: str, *, revision: int | None = None) -> Call[bool]:
    """Build the call that deletes a schedule; its answer is whether it existed.

    Reading the answer raises `ScheduleConflict` if it has another revision than the given one.

    Raises:
        InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
    """

    def decode(reply: list[Any]) -> bool:
        if reply[0] == Status.CHANGED:
            raise ScheduleConflict(schedule_id, int(reply[1]), keys.name)
        return bool(checked(keys, reply)[0] == Status.OK)

    return Call("unschedule", keys, (_id(schedule_id), _maybe(revision)), decode)


def read_schedule(keys: QueueKeys, schedule_id: str) -> Call[ScheduleInfo]:
    """Build the call that reads a schedule. Reading the answer raises `ScheduleNotFound` if it does not exist.

    Raises:
        InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
    """

    def decode(reply: list[Any]) -> ScheduleInfo:
        rows = _rows(checked(keys, reply)[3:])
        if not rows:
            raise ScheduleNotFound(schedule_id, keys.name)
        return rows[0]

    return Call("read_schedule", keys, (_id(schedule_id),), decode)


def read_some(keys: QueueKeys, schedule_ids: Sequence[str]) -> Call[tuple[tuple[ScheduleInfo, ...], int]]:
    """Build the call that reads 1 to 1,000 schedules; those that do not exist are omitted.

    The second part of the answer is how many of the ids were processed, in order: all, unless the definitions exceed
    4 MiB; read the others with further calls.
    """

    def decode(reply: list[Any]) -> tuple[tuple[ScheduleInfo, ...], int]:
        _, _, processed, *places = checked(keys, reply)
        return _rows(places), int(processed)

    return Call("read_schedule", keys, tuple(schedule_ids), decode)


def read_known(keys: QueueKeys, schedule_ids: Sequence[str]) -> Call[tuple[int, tuple[str, ...], int]]:
    """Build the call that reads which of 1 to 1,000 schedules exist, including unreadable ones.

    The answer is the server's time in milliseconds, the ids of the existing schedules, and how many of the ids were
    processed, as in `read_some`.
    """

    def decode(reply: list[Any]) -> tuple[int, tuple[str, ...], int]:
        _, now_ms, processed, *places = checked(keys, reply)
        return int(now_ms), tuple(map(text, places[::_PLACES])), int(processed)

    return Call("read_schedule", keys, tuple(schedule_ids), decode)


def read_schedules(
    keys: QueueKeys, *, after: str | None = None, most: int = 100, prefix: str = ""
) -> Call[SchedulePage]:
    """Build the call that reads a page of 1 to 1,000 schedules after ``after`` whose ids start with ``prefix``.

    The page has at most 4 MiB, but at least one schedule. Unreadable schedules do not affect the others.
    """

    def decode(reply: list[Any]) -> SchedulePage:
        _, now_ms, until, *places = checked(keys, reply)
        rows, unreadable, following = [], [], text(until) or None
        for values in _each(places):
            if not text(values[0]).startswith(prefix):
                following = None  # ids are sorted, so no further one matches
                break
            try:
                rows.append(_row(values))
            except ProtocolError as error:
                lost = UnreadableSchedule(schedule_id=text(values[0]), revision=int(values[2]), problem=str(error))
                unreadable.append(lost)
        return SchedulePage(at_ms=int(now_ms), rows=tuple(rows), unreadable=tuple(unreadable), next=following)

    return Call("read_schedules", keys, (page_start(after, prefix), most), decode)


def read_scheduler(keys: QueueKeys) -> Call[SchedulerStatus]:
    """Build the call that reads which scheduler leads, and the numbers of the schedules."""

    def decode(reply: list[Any]) -> SchedulerStatus:
        _, now_ms, holder, term, until, schedules, overdue, first, fired, missed, skipped = checked(keys, reply)
        lease_ms = max(0, int(until) - int(now_ms))
        return SchedulerStatus(
            at_ms=int(now_ms),
            leader=name_of_holder(text(holder)) if lease_ms else None,
            term=int(term),
            lease_ms=lease_ms,
            schedules=int(schedules),
            overdue=int(overdue),
            next_ms=_ms(first),
            fired=int(fired),
            missed=int(missed),
            skipped=int(skipped),
        )

    return Call("read_scheduler", keys, (), decode)


def due(keys: QueueKeys, *, ahead_ms: int, most: int = MAX_DUE, skip: int = 0) -> Call[Due]:
    """Build the call that reads which schedules are due within ``ahead_ms``: at most 10,000, earliest first.

    Args:
        keys: The queue.
        ahead_ms: How far to look ahead, in milliseconds.
        most: Most schedules in the answer.
        skip: How many of the earliest to skip.
    """

    def decode(reply: list[Any]) -> Due:
        _, now_ms, *places = checked(keys, reply)
        pairs = iter(places)
        return Due(int(now_ms), tuple((text(name), int(at)) for name, at in zip(pairs, pairs, strict=True)))

    return Call("due", keys, (ahead_ms, most, skip), decode)


def _problems(schedule: Schedule, message_limit: int) -> list[str]:
    problems = schedule_problems(schedule)
    if not problems:
        size = encode_task(task_of(schedule, 10**14)).size
        if size > message_limit:
            problems.append(
                f"schedule {schedule.schedule_id!r}: the message of its tasks has {size:,} bytes, allowed are "
                f"{message_limit:,}. Store large data elsewhere and pass its address"
            )
    return problems


def _id(schedule_id: str) -> str:
    if problems := id_problems(schedule_id):
        raise InvalidSchedule(problems)
    return schedule_id


def _overdue(overdue: Overdue | None) -> tuple[int, int, int]:
    return (0, 0, 0) if overdue is None else (overdue.number, overdue.first, overdue.last)


def _maybe(number: int | None) -> int | str:
    return "" if number is None else number


def _ms(value: bytes) -> int | None:
    return int(value) if value else None


def _rows(places: Sequence[Any]) -> tuple[ScheduleInfo, ...]:
    return tuple(map(_row, _each(places)))


def _each(places: Sequence[Any]) -> list[Sequence[Any]]:
    return [places[first : first + _PLACES] for first in range(0, len(places), _PLACES)]


def _row(places: Sequence[Any]) -> ScheduleInfo:
    name, definition, revision, on, following, after, forget, last, fired, missed, skipped, misses, did = places
    computed = bool(following or forget)
    return ScheduleInfo(
        schedule=_defined(text(name), definition, paused=not on),
        revision=int(revision),
        paused=not on,
        next_ms=_ms(following),
        from_ms=None if computed else _ms(after),
        forgotten_ms=_ms(forget),
        last_ms=_ms(last),
        fired=int(fired),
        missed=int(missed),
        skipped=int(skipped),
        misses=tuple(_miss(line) for line in text(misses).splitlines()),
        moved=_moved(text(did)) if did else None,
    )


def _defined(schedule_id: str, definition: bytes, *, paused: bool) -> Schedule:
    try:
        defined = decode_schedule(definition, paused=paused)
    except ProtocolError as error:
        raise ProtocolError(f"schedule {safe_repr(schedule_id, 110)}: {error}") from error
    if defined.schedule_id != schedule_id:
        other = safe_repr(defined.schedule_id, 110)
        raise ProtocolError(f"schedule {safe_repr(schedule_id, 110)}: its definition is that of schedule {other}")
    return defined


def _moved(line: str) -> Moved:
    term, revision, time, code, at_ms = map(int, line.split(" "))
    return Moved(term=term, revision=revision, time=time, code=code, at_ms=at_ms)


def _miss(line: str) -> Miss:
    first, last, number, reason = line.split(" ", 3)
    return Miss(
        first_at=from_epoch_ms(int(first)),
        last_at=from_epoch_ms(int(last)),
        count=int(number),
        reason=_REASONS.get(reason, reason),
    )
