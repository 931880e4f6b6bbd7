"""limit, configure and purge: what users and the whole queue may use, and how waiting tasks of a user are dropped."""

import math
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from attrs import frozen

from fairque.protocol.errors import Conflict, InvalidArgument
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.limits import COUNT, RATE, WEIGHT, CostMode, id_problem
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Argument, Call, opened
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = [
    "ALL_USERS",
    "MAX_PURGE_TASKS",
    "MAX_SETTINGS",
    "SETTING_NAMES",
    "Purged",
    "Setting",
    "SettingName",
    "configure",
    "limit",
    "purge",
]

#: Stands for the defaults of all users.
ALL_USERS = ""
MAX_PURGE_TASKS = 1_000
#: Of one call.
MAX_SETTINGS = 1_000

SettingName: TypeAlias = Literal["weight", "cap", "rate", "burst", "backlog", "paused"]
SETTING_NAMES: tuple[SettingName, ...] = get_args(SettingName)

_RANGES: dict[SettingName, tuple[float, float]] = {
    "weight": WEIGHT,
    "cap": COUNT,
    "rate": RATE,
    "burst": COUNT,
    "backlog": COUNT,
    "paused": (1, 1),
}


@frozen
class Setting:
    """One setting of one user, or of `ALL_USERS`; a value of None takes it back."""

    user_id: str
    name: SettingName
    value: float | None


@frozen
class Purged:
    """How many tasks a purge canceled, and how many of the user still wait."""

    canceled: int
    left: int


def limit(keys: QueueKeys, settings: Iterable[Setting]) -> Call[int]:
    """Build the call that makes up to 1,000 settings, all or none; its answer is how many were not so before.

    Raises:
        InvalidArgument: With every setting that cannot be made; nothing was sent.
    """
    settings = tuple(settings)
    if problems := [problem for setting in settings for problem in _problems(setting)]:
        raise InvalidArgument(problems)
    args: list[Argument] = []
    for setting in settings:
        args += (setting.user_id, setting.name, "" if setting.value is None else _plain(setting.value))
    return Call("limit", keys, tuple(args), lambda reply: int(opened(keys, reply)[1]))


def configure(keys: QueueKeys, *, cost_mode: str | None = None, backlog: int | None = None) -> Call[bool]:
    """Build the call that sets how the queue behaves; its answer is whether anything was not so before.

    Args:
        keys: The queue.
        cost_mode: What tasks cost, a `CostMode`. None leaves it as it is.
        backlog: Most waiting tasks of the queue, 0 for no limit. None leaves it as it is.

    Raises:
        InvalidArgument: With every value that cannot be used; nothing was sent.
        Conflict: When the answer is read: users have tasks or debts, and the cost mode would change.
    """
    problems = []
    if cost_mode not in (None, *CostMode):
        problems.append(f"queue {keys.name!r}: cost_mode must be 'time' or 'count', not {shown(cost_mode)}")
    if backlog is not None and (type(backlog) is not int or backlog != 0):
        problems += _out_of_range(f"queue {keys.name!r}", "backlog", backlog)
    if problems:
        raise InvalidArgument(problems)

    def decode(reply: list[Any]) -> bool:
        if reply[0] == Status.BUSY:
            problem = f"queue {keys.name!r}: users have tasks or debts, counted in the other cost mode"
            raise Conflict(f"{problem}: change it to {str(cost_mode)!r} when the queue is empty")
        return bool(opened(keys, reply)[0] == Status.OK)

    return Call("configure", keys, (cost_mode or "", "" if backlog is None else backlog), decode)


def purge(
    keys: QueueKeys, user_id: str, *, reason: str, result_ttl_ms: int, most: int = MAX_PURGE_TASKS
) -> Call[Purged]:
    """Build the call that cancels up to ``most`` waiting tasks of a user; running ones continue.

    Raises:
        InvalidArgument: It cannot be the id of a user; nothing was sent.
    """
    if problem := id_problem(user_id, "user_id"):
        raise InvalidArgument(problem)

    def decode(reply: list[Any]) -> Purged:
        _, canceled, left = opened(keys, reply)
        return Purged(int(canceled), int(left))

    return Call("purge", keys, (result_ttl_ms, user_id, dumps(reason), most), decode)


def _problems(setting: Setting) -> list[str]:
    problems = []
    whose = f"user {shown(setting.user_id)}" if setting.user_id else "all users"
    if setting.user_id != ALL_USERS and (problem := id_problem(setting.user_id, "user_id")):
        problems.append(problem)
    if setting.name not in SETTING_NAMES:
        return [*problems, f"{whose}: unknown setting {shown(setting.name)}: choose one of {', '.join(SETTING_NAMES)}"]
    if setting.user_id == ALL_USERS and setting.name in ("weight", "paused"):
        problems.append(f"{setting.name} is set for one user, not for all")
    if setting.value is not None:
        problems += _out_of_range(whose, setting.name, setting.value)
    return problems


def _out_of_range(whose: str, name: SettingName, value: object) -> list[str]:
    least, most = _RANGES[name]
    whole = isinstance(least, int)
    # A bool is an int too, and a text has an order of its own: only plain numbers are looked at.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        fits = least <= value <= most and not (whole and value % 1)
    else:
        fits = False
    if fits:
        return []
    kind = "a whole number" if whole else "a number"
    return [f"{whose}: {name} must be {kind} from {least:,} to {most:,}, not {shown(value)}"]


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
