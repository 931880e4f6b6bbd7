"""Makes the schedules of a queue those that a configuration declares: what differs, and the calls that change it."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import fields, frozen

from fairque.client.schedule_misses import overdue
from fairque.client.steps import Steps
from fairque.protocol.calls.schedules import Scheduled, Storing, read_schedules, schedule, unschedule
from fairque.protocol.errors import BatchTooLarge, ScheduleConflict, ScheduleNotFound
from fairque.protocol.model.schedule_infos import ScheduleInfo, UnreadableSchedule
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.schedules import content_digest, timing_digest

__all__ = ["Plan", "applying", "plan"]

_PAGE = 1_000
_NAMES = tuple(one.name for one in fields(Schedule) if one.name not in ("schedule_id", "task"))
#: Of its task: all but its id and the time when it was made.
_TASK_NAMES = tuple(one.name for one in fields(Task) if one.name not in ("task_id", "created_at"))
#: When others change the same schedules meanwhile, as further instances do that start together.
_TRIES = 5


@frozen(kw_only=True)
class Plan:
    """What has to be done so that the schedules of a queue are those that were declared.

    Attributes:
        storing: The schedules that are new or other.
        changes: The same, a sentence each.
        unchanged: How many are as declared.
        over: Declared ones that are not there and would never fire, since their times are past; they are left out.
        undeclared: Schedules that a file declared once and this one does not. They stay, unless they are pruned.
        replaced: Declared ones that cannot be read here. They are removed first: the digest beside such a definition
            still is that of the one before.
        unreadable: Others that cannot be read here, which nobody can tell from undeclared ones; they stay.
    """

    storing: tuple[Storing, ...]
    changes: tuple[str, ...]
    unchanged: int
    over: tuple[str, ...]
    undeclared: tuple[ScheduleInfo, ...]
    replaced: tuple[UnreadableSchedule, ...] = ()
    unreadable: tuple[UnreadableSchedule, ...] = ()

    def leftovers(self, fate: str) -> list[str]:
        """Return a sentence for each schedule that is not as declared, or not declared.

        Args:
            fate: What becomes of those that were declared once.
        """
        return [
            *(f"schedule {name!r}: has no run from now on, left out" for name in self.over),
            *(f"schedule {info.schedule_id!r}: is not declared any more, {fate}" for info in self.undeclared),
            *(f"{one.problem}; it is not declared, and stays" for one in self.unreadable),
        ]


def plan(
    declared: Iterable[Schedule],
    found: Mapping[str, ScheduleInfo],
    now_ms: int,
    unreadable: Iterable[UnreadableSchedule] = (),
) -> Plan:
    """Compare what is declared with what there is.

    Args:
        declared: Schedules without problems.
        found: All that there are, by their ids.
        now_ms: The server's time.
        unreadable: Those beside them that cannot be read here. A declared one is stored again.
    """
    damaged = {one.schedule_id: one for one in unreadable}
    storing, changes, over, replaced, unchanged, names = [], [], [], [], 0, set()
    for one in declared:
        names.add(one.schedule_id)
        known, next_at = found.get(one.schedule_id), time_after(one, now_ms)
        if (lost := damaged.pop(one.schedule_id, None)) is not None:
            replaced.append(lost)
            storing.append(Storing(schedule=one, revision=0, next_at=next_at))
            changes.append(f"{lost.problem}: stored again")
        elif known is None and next_at is None:
            over.append(one.schedule_id)
        elif known is not None and _same(one, known):
            unchanged += 1
        else:
            revision = 0 if known is None else known.revision
            late = None if known is None or not _other_times(one, known) else overdue(known, now_ms)
            storing.append(Storing(schedule=one, revision=revision, next_at=next_at, overdue=late))
            changes.append(f"schedule {one.schedule_id!r}: {'added' if known is None else _differences(one, known)}")
    undeclared = tuple(info for name, info in sorted(found.items()) if info.schedule.declared and name not in names)
    return Plan(
        storing=tuple(storing),
        changes=tuple(changes),
        unchanged=unchanged,
        over=tuple(over),
        undeclared=undeclared,
        replaced=tuple(replaced),
        unreadable=tuple(damaged.values()),
    )


def applying(
    keys: QueueKeys,
    declared: Iterable[Schedule],
    *,
    message_limit: int,
    prune: bool = False,
    dry_run: bool = False,
) -> Steps[Plan]:
    """Make it so, and return what was done. Doing it again changes nothing.

    Args:
        keys: The queue.
        declared: Schedules without problems.
        message_limit: Bytes of the largest message of a task.
        prune: Delete those that are not declared any more.
        dry_run: Change nothing.

    Raises:
        ScheduleConflict: Others changed the same schedules all the time.
    """
    declared = tuple(declared)
    for left in reversed(range(_TRIES)):
        planned = plan(declared, *(yield from _all(keys)))
        # Built before the first is sent, so that one that is refused changes nothing.
        calls = _calls(keys, planned.storing, message_limit)
        if dry_run:
            return planned
        try:
            for lost in planned.replaced:
                yield unschedule(keys, lost.schedule_id, revision=lost.revision)
            for call in calls:  # noqa: UP028 - a list takes no answers
                yield call
            if prune:
                for info in planned.undeclared:
                    yield unschedule(keys, info.schedule_id, revision=info.revision)
        except (ScheduleConflict, ScheduleNotFound):
            if not left:
                raise
        else:
            return planned
    raise AssertionError("unreachable")


def _calls(keys: QueueKeys, storing: Sequence[Storing], message_limit: int) -> list[Call[list[Scheduled]]]:
    """Build as few calls as hold all: a call holds a limited number of schedules, and of bytes."""
    if not storing:
        return []
    try:
        return [schedule(keys, storing, message_limit=message_limit)]
    except BatchTooLarge:
        if len(storing) == 1:
            raise
        half = len(storing) // 2
        return _calls(keys, storing[:half], message_limit) + _calls(keys, storing[half:], message_limit)


def _all(keys: QueueKeys) -> Steps[tuple[dict[str, ScheduleInfo], int, list[UnreadableSchedule]]]:
    page = yield read_schedules(keys, most=_PAGE)
    found, now_ms, unreadable = {info.schedule_id: info for info in page}, page.at_ms, [*page.unreadable]
    while page.next is not None:
        page = yield read_schedules(keys, after=page.next, most=_PAGE)
        found |= {info.schedule_id: info for info in page}
        unreadable += page.unreadable
    return found, now_ms, unreadable


def _same(one: Schedule, known: ScheduleInfo) -> bool:
    return content_digest(one) == content_digest(known.schedule) and one.paused in (None, known.paused)


def _other_times(one: Schedule, known: ScheduleInfo) -> bool:
    return one.paused is True or timing_digest(one) != timing_digest(known.schedule)


def _differences(one: Schedule, known: ScheduleInfo) -> str:
    before, after = _facts(known.schedule), _facts(one)
    if one.paused is None:
        del before["paused"]
    return ", ".join(
        f"{name} {_shown(before[name])} -> {_shown(after[name])}" for name in before if before[name] != after[name]
    )


def _facts(one: Schedule) -> dict[str, object]:
    """Return what a schedule says, and its task."""
    own = {name: getattr(one, name) for name in _NAMES}
    task = {name: getattr(one.task, name) for name in _TASK_NAMES}
    return {**own, **task, "priority": one.task.priority or Priority.NORMAL}


def _shown(value: object) -> str:
    return "none" if value is None else str(value) if isinstance(value, int | float) else shown(value, 60)
