"""limit, configure and purge: set limits of users and of the queue, and cancel the waiting tasks of a user."""

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from fairque.protocol.errors import Conflict, InvalidArgument
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.limits import LIMITS, CostMode, LimitName, id_problem, limit_problem
from fairque.protocol.model.limits import NOT_OF_ALL
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Argument, Call, checked
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = [
    "ALL_USERS",
    "MAX_PURGE_TASKS",
    "MAX_SETTINGS",
    "Purged",
    "Setting",
    "configure",
    "limit",
    "purge",
]

#: The user id of the defaults of all users.
ALL_USERS = ""
MAX_PURGE_TASKS = 1_000
#: Most settings per call.
MAX_SETTINGS = 1_000


@frozen
class Setting:
    """A limit of a user or of `ALL_USERS`; None removes it."""

    user_id: str
    name: LimitName
    value: float | None


@frozen
class Purged:
    """How many tasks a purge canceled, and how many tasks of the user still wait."""

    canceled: int
    left: int


def limit(keys: QueueKeys, settings: Iterable[Setting]) -> Call[int]:
    """Build the call that makes up to 1,000 settings, all or none; its answer is how many changed.

    Raises:
        InvalidArgument: With a problem for each invalid setting; nothing was sent.
    """
    settings = tuple(settings)
    if problems := [problem for setting in settings for problem in _problems(setting)]:
        raise InvalidArgument(problems)
    args: list[Argument] = []
    for setting in settings:
        args += (setting.user_id, setting.name, "" if setting.value is None else _plain(setting.value))
    return Call("limit", keys, tuple(args), lambda reply: int(checked(keys, reply)[1]))


def configure(keys: QueueKeys, *, cost_mode: str | None = None, backlog: int | None = None) -> Call[bool]:
    """Build the call that changes settings of the queue; its answer is whether anything changed.

    Args:
        keys: The queue.
        cost_mode: What a task costs, a `CostMode`. None leaves it unchanged.
        backlog: Most waiting tasks of the queue, 0 for no limit. None leaves it unchanged.

    Raises:
        InvalidArgument: With a problem for each invalid value; nothing was sent.
        Conflict: While reading the answer, if the cost mode would change while users have tasks or debts.
    """
    problems = []
    if cost_mode not in (None, *CostMode):
        problems.append(f"queue {keys.name!r}: cost_mode must be 'time' or 'count', not {safe_repr(cost_mode)}")
    unlimited = type(backlog) is int and backlog == 0
    if backlog is not None and not unlimited and (problem := limit_problem("backlog", backlog)):
        problems.append(f"queue {keys.name!r}: backlog {problem}")
    if problems:
        raise InvalidArgument(problems)

    def decode(reply: list[Any]) -> bool:
        if reply[0] == Status.BUSY:
            problem = f"queue {keys.name!r}: users have tasks or debts, counted in the other cost mode"
            raise Conflict(f"{problem}: change it to {str(cost_mode)!r} when the queue is empty")
        return bool(checked(keys, reply)[0] == Status.OK)

    return Call("configure", keys, (cost_mode or "", "" if backlog is None else backlog), decode)


def purge(
    keys: QueueKeys, user_id: str, *, reason: str, result_ttl_ms: int, most: int = MAX_PURGE_TASKS
) -> Call[Purged]:
    """Build the call that cancels up to ``most`` waiting tasks of a user; running ones continue.

    Raises:
        InvalidArgument: `user_id` is not a valid user id; nothing was sent.
    """
    if problem := id_problem(user_id, "user_id"):
        raise InvalidArgument(problem)

    def decode(reply: list[Any]) -> Purged:
        _, canceled, left = checked(keys, reply)
        return Purged(int(canceled), int(left))

    return Call("purge", keys, (result_ttl_ms, user_id, dumps(reason), most), decode)


def _problems(setting: Setting) -> list[str]:
    problems = []
    whose = f"user {safe_repr(setting.user_id)}" if setting.user_id else "all users"
    if setting.user_id != ALL_USERS and (problem := id_problem(setting.user_id, "user_id")):
        problems.append(problem)
    if setting.name not in LIMITS:
        return [*problems, f"{whose}: unknown setting {safe_repr(setting.name)}: choose one of {', '.join(LIMITS)}"]
    if setting.user_id == ALL_USERS and setting.name in NOT_OF_ALL:
        problems.append(f"{setting.name} is set for one user, not for all")
    if setting.value is not None and (problem := limit_problem(setting.name, setting.value)):
        problems.append(f"{whose}: {setting.name} {problem}")
    return problems


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
