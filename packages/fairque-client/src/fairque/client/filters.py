"""Filters of lists and bulk operations; a filter that cannot match anything is refused."""

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from attrs import frozen

from fairque.client.functions import TaskMaker
from fairque.protocol.durations import to_epoch_ms
from fairque.protocol.errors import InvalidArgument, InvalidTask
from fairque.protocol.limits import id_problem
from fairque.protocol.model.dead_letters import DeadLetter
from fairque.protocol.model.registry import name_of
from fairque.protocol.reasons import DeadReason
from fairque.protocol.safe_repr import safe_repr

__all__ = ["DeadLetterFilter", "Selection", "TaskFilter", "select", "user_of"]


class TaskFilter(TypedDict, total=False):
    """Filters for tasks; a task must match all of them.

    Attributes:
        user_id: Tasks of this user.
    """

    user_id: str


class DeadLetterFilter(TypedDict, total=False):
    """Filters for dead letters; a dead letter must match all of them.

    Attributes:
        user_id: Dead letters of this user.
        func: Dead letters of this function, or of the function with this name.
        reason: Dead letters with this reason.
        error_type: Dead letters whose last error has this class name.
        ended_after: Dead letters that ended at this time or later.
        ended_before: Dead letters that ended before this time.
    """

    user_id: str
    func: TaskMaker[Any, Any, Any] | str
    reason: DeadReason
    error_type: str
    ended_after: datetime
    ended_before: datetime


@frozen
class Selection:
    """The dead letters that match filters.

    Attributes:
        values: Required values of attributes, by filter name.
        start: Read after this cursor; None for the start of the list.
        ended_before: Only those that ended before this time; None for any time.
    """

    values: Mapping[str, Any]
    start: str | None
    ended_before: datetime | None

    def __call__(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter matches."""
        actual = {
            "user_id": letter.user_id,
            "func": letter.func,
            "reason": letter.reason,
            "error_type": letter.error.type,
        }
        return not self.ends_before(letter) and all(actual[name] == value for name, value in self.values.items())

    def ends_before(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter, and so all that follow it, ended too late to match."""
        return self.ended_before is not None and letter.ended_at >= self.ended_before


def select(filters: DeadLetterFilter, *, required: bool) -> Selection:
    """Check filters and return the selection they describe.

    Args:
        filters: The filters of the caller.
        required: Whether at least one filter is required.

    Raises:
        InvalidArgument: With a problem for each invalid filter, or if a required filter is missing.
        TypeError: A filter is unknown.
    """
    given: dict[str, Any] = dict(filters)
    problems = _problems(DeadLetterFilter, given)
    if required and not given:
        problems.append(
            f"without a filter this would affect all dead letters: give one of {', '.join(_DEAD)}. "
            "ended_before=datetime.now(UTC) means all until now"
        )
    if problems:
        raise InvalidArgument(problems)
    if callable(given.get("func")):
        given["func"] = name_of(given["func"])
    if "reason" in given:
        given["reason"] = DeadReason(given["reason"])
    after, before = given.pop("ended_after", None), given.pop("ended_before", None)
    return Selection(given, None if after is None else f"{to_epoch_ms(after, 'ended_after')}:", before)


def user_of(filters: TaskFilter) -> str:
    """Check filters and return the user whose tasks match.

    Raises:
        InvalidArgument: The user is missing or invalid.
        TypeError: A filter is unknown.
    """
    if problems := _problems(TaskFilter, filters):
        raise InvalidArgument(problems)
    if "user_id" not in filters:
        raise InvalidArgument("without a filter this would affect all tasks of the queue: give a user_id")
    return filters["user_id"]


def _problems(kind: type, given: Mapping[str, Any]) -> list[str]:
    """Return the problems of filters.

    Raises:
        TypeError: A filter is unknown.
    """
    problems = []
    for name, value in given.items():
        if name not in kind.__annotations__:
            close = difflib.get_close_matches(name, kind.__annotations__, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(kind.__annotations__)}"
            raise TypeError(f"there is no filter {name!r}: {hint}")
        if value is None:
            problems.append(f"{name} is None: omit a filter that you do not need")
        elif problem := _CHECKS[name](name, value):
            problems.append(problem)
    return problems


def _id(name: str, value: object) -> str | None:
    return id_problem(value, name)


def _func(name: str, value: object) -> str | None:
    return None if callable(value) else id_problem(value, name)


def _reason(name: str, value: object) -> str | None:
    reasons = [reason for reason in DeadReason if reason is not DeadReason.UNKNOWN]
    return None if value in reasons else f"{name} must be one of {', '.join(reasons)}, not {safe_repr(value)}"


def _time(name: str, value: Any) -> str | None:
    try:
        to_epoch_ms(value, name)
    except InvalidTask:
        return f"{name} must be a datetime with a time zone, not {safe_repr(value)}"
    return None


#: For each filter, a function that returns what is wrong with a value, or None.
_CHECKS: Mapping[str, Callable[[str, Any], str | None]] = {
    "user_id": _id,
    "func": _func,
    "reason": _reason,
    "error_type": _id,
    "ended_after": _time,
    "ended_before": _time,
}
_DEAD = tuple(DeadLetterFilter.__annotations__)
