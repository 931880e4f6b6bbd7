"""read_user, read_users, read_configured and explain: read the users of a queue."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from attrs import frozen

from fairque.protocol.calls.edition import NO_EDITION, Edition, edition_of
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import InvalidArgument, TaskNotFound
from fairque.protocol.limits import CostMode, LimitName, id_problem
from fairque.protocol.model.limits import Limits
from fairque.protocol.model.page import Page, page_start
from fairque.protocol.model.standing import TaskStanding, UserStanding
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.users import UserRow, waits_for
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Configured", "explain", "read_configured", "read_user", "read_users"]

_MICROSECONDS = 1_000_000


@frozen(kw_only=True)
class Configured:
    """The settings of a queue, and a page of the limits of its users.

    Attributes:
        cost_mode: What a task costs its user: its run time, or 1 per task.
        backlog: Most waiting tasks of the queue; None for no limit.
        users: The limits of users, ordered by id; the defaults come first, as `ALL_USERS`.
        next: The start of the next page, to be passed as ``after``; None if this is the last one.
        edition: The edition of the queue.
    """

    cost_mode: CostMode
    backlog: int | None
    users: Mapping[str, Mapping[LimitName, float]]
    next: str | None
    edition: Edition = NO_EDITION


def read_user(keys: QueueKeys, user_id: str) -> Call[UserStanding]:
    """Build the call that reads a user; an unknown user has no tasks and the default limits.

    Raises:
        InvalidArgument: `user_id` is not a valid user id; nothing was sent.
    """
    if problem := id_problem(user_id, "user_id"):
        raise InvalidArgument(problem)

    def decode(reply: list[Any]) -> UserStanding:
        answers = checked(keys, reply)
        return _standing(user_id, int(answers[1]), answers[2:])

    return Call("read_user", keys, (user_id,), decode)


def read_users(keys: QueueKeys, *, after: str | None = None, most: int = 100, prefix: str = "") -> Call[Page[UserRow]]:
    """Build the call that reads a page of 1 to 1,000 users with tasks or debts.

    Args:
        keys: The queue.
        after: The last user of the previous page; None for the first page.
        most: Users to read.
        prefix: Only users whose id starts with it.
    """

    def decode(reply: list[Any]) -> Page[UserRow]:
        answers = checked(keys, reply)
        unit = 1 if text(answers[2]) == "count" else _MICROSECONDS
        places = iter(answers[3:])
        rows = tuple(_row(row, unit) for row in zip(*[places] * 9, strict=True))
        matching = tuple(row for row in rows if row.user_id.startswith(prefix))
        return Page(
            items=matching,
            # Rows are sorted, so after one with another prefix no further one matches.
            next=rows[-1].user_id if len(matching) == most else None,
            scanned=len(rows),
            read_at=from_epoch_ms(int(answers[1])),
        )

    return Call("read_users", keys, (page_start(after, prefix), most), decode)


def read_configured(keys: QueueKeys, *, after: str | None = None, most: int = 100) -> Call[Configured]:
    """Build the call that reads the settings of the queue and the limits of 1 to 1,000 users after ``after``."""

    def decode(reply: list[Any]) -> Configured:
        answers = checked(keys, reply)
        users: dict[str, dict[LimitName, float]] = {}
        places = iter(answers[5:])
        for user_id, name, value in zip(*[places] * 3, strict=True):
            users.setdefault(text(user_id), {})[cast("LimitName", text(name))] = float(value)
        return Configured(
            cost_mode=CostMode.COUNT if answers[1] == b"count" else CostMode.TIME,
            backlog=int(answers[2]) or None,
            users=users,
            next=list(users)[-1] if len(users) == most else None,
            edition=edition_of(answers[3:5]),
        )

    return Call("read_configured", keys, (page_start(after), most), decode)


def explain(keys: QueueKeys, task_id: str) -> Call[TaskStanding]:
    """Build the call that explains why a task waits. Reading the answer raises `TaskNotFound` for an unknown task."""

    def decode(reply: list[Any]) -> TaskStanding:
        if reply[0] == Status.NOT_FOUND:
            raise TaskNotFound(task_id, keys.name)
        answers = checked(keys, reply)
        now_ms, state, user_id, place, due, lease = answers[1:7]
        return TaskStanding(
            task_id=task_id,
            state=TaskState(text(state)),
            place=int(place) if place else None,
            due_at=int(float(due)) if due else None,
            lease_ends_at=int(float(lease)) if lease else None,
            user=_standing(text(user_id), int(now_ms), answers[7:]),
        )

    return Call("explain", keys, (task_id,), decode)


def _row(places: Iterable[Any], unit: int) -> UserRow:
    user_id, running, served, since, weight, waiting, lane, paused, cap = places
    most = int(float(cap)) if cap else None
    reason = waits_for(lane=text(lane), paused=bool(paused), waiting=int(waiting), running=int(running), cap=most)
    return UserRow(
        user_id=text(user_id),
        weight=float(weight),
        cap=most,
        paused=bool(paused),
        waiting=int(waiting),
        running=int(running),
        served=float(served) / unit,
        since=from_epoch_ms(int(since)),
        reason=reason,
    )


def _standing(user_id: str, now_ms: int, answers: Iterable[Any]) -> UserStanding:
    pairs = iter(answers)
    fields = {text(name): value for name, value in zip(pairs, pairs, strict=True)}

    def number(name: str) -> float | None:
        return None if fields.get(name) in (None, b"") else float(fields[name])

    def setting(name: LimitName) -> float | None:
        values = (number(f"{whose}_{name}") for whose in ("own", "default"))
        return next((value for value in values if value is not None), None)

    unit = 1 if fields["cost_mode"] == b"count" else _MICROSECONDS
    weight, tag, virtual = setting("weight") or 1.0, number("S") or 0.0, number("V") or 0.0
    heads = [number(name) for name in ("head_1", "head_2", "head_3")]
    cap, burst, backlog, ready, fresh, timer = (
        None if value is None else int(value)
        for value in (
            setting("cap"),
            setting("burst"),
            setting("backlog"),
            number("ahead_ready"),
            number("ahead_fresh"),
            number("timer"),
        )
    )
    return UserStanding(
        user_id=user_id,
        at_ms=now_ms,
        weight=weight,
        cap=cap,
        rate=setting("rate"),
        burst=burst or 1,
        backlog=backlog,
        paused="own_paused" in fields,
        own_limits=_own(number),
        waiting=int(number("waiting") or 0) + int(number("waiting_critical") or 0),
        waiting_critical=int(number("waiting_critical") or 0),
        scheduled=int(number("scheduled") or 0),
        running=int(number("inf") or 0),
        served=(number("served") or 0.0) / unit,
        since=int(number("since") or 0) or None,
        ahead=max(0.0, tag - virtual) * weight / unit,
        oldest_seconds=max((now_ms - head) / 1000 for head in heads if head is not None) if any(heads) else None,
        lane=text(fields.get("lane")),
        users_ahead=fresh if fresh is not None else ready,
        next_start_at=None if timer is None else timer // 1000,
        queue_running=int(number("running") or 0),
        last_pop_at=int(number("pop_at") or 0) or None,
    )


def _own(number: Callable[[str], float | None]) -> Limits:
    """Return a user's own limits."""

    def whole(name: str) -> int | None:
        value = number(name)
        return None if value is None else int(value)

    return Limits(
        weight=number("own_weight"),
        cap=whole("own_cap"),
        rate=number("own_rate"),
        burst=whole("own_burst"),
        backlog=whole("own_backlog"),
        paused=True if number("own_paused") else None,
    )
