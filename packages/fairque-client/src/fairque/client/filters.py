"""What lists and verbs on many are narrowed down to; a filter that can fit nothing is refused."""

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
from fairque.protocol.showing import shown

__all__ = ["Chosen", "DeadLetterFilter", "TaskFilter", "chosen", "user_of"]


class TaskFilter(TypedDict, total=False):
    """Which tasks are meant: those that all filters fit.

    Attributes:
        user_id: Those of this user.
    """

    user_id: str


class DeadLetterFilter(TypedDict, total=False):
    """Which dead letters are meant: those that all filters fit.

    Attributes:
        user_id: Those of this user.
        func: Those of this function, or of the function of that name.
        reason: Those with this reason.
        error_type: Those whose last error has this class name.
        ended_after: Those that ended then or later.
        ended_before: Those that ended earlier.
    """

    user_id: str
    func: TaskMaker[Any, Any, Any] | str
    reason: DeadReason
    error_type: str
    ended_after: datetime
    ended_before: datetime


@frozen
class Chosen:
    """Which dead letters are meant.

    Attributes:
        given: What has to be the same, by the name of the attribute.
        start: After which letter reading begins; None for the first.
        ended_before: When those that are meant have ended; None for any time.
    """

    given: Mapping[str, Any]
    start: str | None
    ended_before: datetime | None

    def __call__(self, letter: DeadLetter) -> bool:
        """Whether it is one of them."""
        found = {
            "user_id": letter.user_id,
            "func": letter.func,
            "reason": letter.reason,
            "error_type": letter.error.type,
        }
        return not self.over(letter) and all(found[name] == value for name, value in self.given.items())

    def over(self, letter: DeadLetter) -> bool:
        """Whether it, and with it each that follows, has ended too late."""
        return self.ended_before is not None and letter.ended_at >= self.ended_before


def chosen(filters: DeadLetterFilter, *, needed: bool) -> Chosen:
    """Return which dead letters are meant.

    Args:
        filters: As they were given.
        needed: Whether one has to be there.

    Raises:
        InvalidArgument: With every filter that cannot be used, or there is none.
        TypeError: There is no such filter.
    """
    given: dict[str, Any] = dict(filters)
    problems = _problems(DeadLetterFilter, given)
    if needed and not given:
        problems.append(
            f"no filter is given, so all dead letters would be meant: name one of {', '.join(_DEAD)}. "
            "ended_before=datetime.now(UTC) means all until now"
        )
    if problems:
        raise InvalidArgument(problems)
    if callable(given.get("func")):
        given["func"] = name_of(given["func"])
    if "reason" in given:
        given["reason"] = DeadReason(given["reason"])
    after, before = given.pop("ended_after", None), given.pop("ended_before", None)
    return Chosen(given, None if after is None else f"{to_epoch_ms(after, 'ended_after')}:", before)


def user_of(filters: TaskFilter) -> str:
    """Return the user whose tasks are meant.

    Raises:
        InvalidArgument: None is named, or it cannot be a user.
        TypeError: There is no such filter.
    """
    if problems := _problems(TaskFilter, filters):
        raise InvalidArgument(problems)
    if "user_id" not in filters:
        raise InvalidArgument("no filter is given, so all tasks of the queue would be meant: name a user with user_id")
    return filters["user_id"]


def _problems(kind: type, given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with filters.

    Raises:
        TypeError: One is not a filter of this kind.
    """
    problems = []
    for name, value in given.items():
        if name not in kind.__annotations__:
            close = difflib.get_close_matches(name, kind.__annotations__, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"choose of {', '.join(kind.__annotations__)}"
            raise TypeError(f"there is no filter {name!r}: {meant}")
        if value is None:
            problems.append(f"{name} is None: leave out a filter that is not meant")
        elif problem := _CHECKS[name](name, value):
            problems.append(problem)
    return problems


def _id(name: str, value: object) -> str | None:
    return id_problem(value, name)


def _func(name: str, value: object) -> str | None:
    return None if callable(value) else id_problem(value, name)


def _reason(name: str, value: object) -> str | None:
    reasons = [reason for reason in DeadReason if reason is not DeadReason.UNKNOWN]
    return None if value in reasons else f"{name} must be one of {', '.join(reasons)}, not {shown(value)}"


def _moment(name: str, value: Any) -> str | None:
    try:
        to_epoch_ms(value, name)
    except InvalidTask:
        return f"{name} must be a datetime with a time zone, not {shown(value)}"
    return None


#: What each filter says of a value that it cannot have.
_CHECKS: Mapping[str, Callable[[str, Any], str | None]] = {
    "user_id": _id,
    "func": _func,
    "reason": _reason,
    "error_type": _id,
    "ended_after": _moment,
    "ended_before": _moment,
}
_DEAD = tuple(DeadLetterFilter.__annotations__)
