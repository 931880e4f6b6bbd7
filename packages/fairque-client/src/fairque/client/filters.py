"""What lists and verbs on many are narrowed down to; a filter that can fit nothing is refused."""

import difflib
from collections.abc import Mapping
from typing import Any, TypedDict

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import id_problem

__all__ = ["TaskFilter", "check_filters", "user_of"]


class TaskFilter(TypedDict, total=False):
    """Which tasks are meant: those that all filters fit.

    Attributes:
        user_id: Those of this user.
    """

    user_id: str


def check_filters(kind: type, given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with filters, of whatever kind.

    Raises:
        TypeError: One is not a filter of this kind.
    """
    known = kind.__annotations__
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f": did you mean {close[0]!r}?" if close else f": choose of {', '.join(known)}"
            raise TypeError(f"there is no filter {name!r}{meant}")
    problems = [f"{name} is None: leave out a filter that is not meant" for name in given if given[name] is None]
    if given.get("user_id") is not None and (problem := id_problem(given["user_id"], "user_id")):
        problems.append(problem)
    return problems


def user_of(filters: TaskFilter) -> str:
    """Return the user whose tasks are meant.

    Raises:
        InvalidArgument: None is named, or it cannot be a user.
        TypeError: There is no such filter.
    """
    if problems := check_filters(TaskFilter, filters):
        raise InvalidArgument(problems)
    if "user_id" not in filters:
        raise InvalidArgument("no filter is given, so all tasks of the queue would be meant: name a user with user_id")
    return filters["user_id"]
