"""Checks the arguments of a queue's methods and converts them for the calls."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from fairque.client.functions import TaskMaker
from fairque.protocol.calls.limits import ALL_USERS, Setting, configure
from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import LIMITS, CostMode, LimitName, id_problem
from fairque.protocol.model.ids import check_id
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = [
    "MAX_PAGE",
    "UNCHANGED",
    "Unchanged",
    "changed",
    "configuration",
    "named",
    "nothing",
    "page_prefix",
    "page_size",
    "page_start",
    "task_named",
]

#: Records of the largest page.
MAX_PAGE = 1_000


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return self.name


#: The value of a setting that stays unchanged.
UNCHANGED: Final = Unchanged.UNCHANGED


def configuration(keys: QueueKeys, cost_mode: CostMode | Unchanged, backlog: int | Unchanged | None) -> Call[bool]:
    """Build the call of ``queue.set``.

    Raises:
        InvalidArgument: With a problem for each invalid value.
    """
    if backlog == 0:
        raise InvalidArgument([f"queue {keys.name!r}: backlog must be 1 or more, or None for no limit, not 0"])
    return configure(
        keys,
        cost_mode=None if cost_mode is UNCHANGED else cost_mode,
        backlog=None if backlog is UNCHANGED else 0 if backlog is None else backlog,
    )


def named(user_id: str) -> str:
    """Refuse the empty user id, which the scripts take for the defaults of all users."""
    if user_id == ALL_USERS:
        raise InvalidArgument(["user_id is empty: give the id of a user, or use set_defaults for all users"])
    return user_id


def changed(user_id: str, changes: Mapping[LimitName, float | Unchanged | None]) -> list[Setting]:
    """Return the given settings, at least one."""
    given = [Setting(user_id, name, value) for name, value in changes.items() if not isinstance(value, Unchanged)]
    if not given:
        raise InvalidArgument([f"no setting is given: give at least one of {', '.join(changes)}"])
    return given


def nothing(user_id: str) -> list[Setting]:
    """Return the settings that remove all limits of a user."""
    return [Setting(user_id, name, None) for name in LIMITS]


def page_start(after: str | None) -> str | None:
    """Return ``after`` if it is a valid start of a page."""
    if after is not None and (problem := id_problem(after, "after")):
        raise InvalidArgument(problem)
    return after


def page_prefix(prefix: str) -> str:
    """Return ``prefix`` if ids can start with it."""
    if prefix != "" and (problem := id_problem(prefix, "prefix")):
        raise InvalidArgument(problem)
    return prefix


def page_size(limit: int) -> int:
    """Return ``limit`` if it is a valid size of a page."""
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit must be a whole number from 1 to {MAX_PAGE:,}, not {safe_repr(limit)}")
    return limit


def task_named(task_id: object, func: TaskMaker[Any, Any, Any] | None) -> str:
    """Return ``task_id`` if it is a valid task id.

    Raises:
        InvalidTask: It is not.
        TypeError: It is a function, or `func` is not a task function.
    """
    if callable(task_id):
        raise TypeError(
            "queue.task(task_id) returns the handle of a task that was pushed: to make a task function, decorate the "
            "function with fairque.client.task"
        )
    if func is not None and not isinstance(func, TaskMaker):
        raise TypeError(f"func must be a function decorated with fairque.client.task, not {safe_repr(func)}")
    return check_id(task_id, "task_id")
