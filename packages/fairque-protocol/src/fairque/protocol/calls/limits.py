"""limit, configure and purge: what users and the whole queue may use, and how waiting tasks of a user are dropped."""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from attrs import frozen

from fairque.protocol.errors import ConfigurationError
from fairque.protocol.wire.call import Argument, Call, opened
from fairque.protocol.wire.jsonvalue import dumps
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = [
    "ALL_USERS",
    "MAX_PURGE_TASKS",
    "CostMode",
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

CostMode: TypeAlias = Literal["time", "count"]
SettingName: TypeAlias = Literal["weight", "cap", "rate", "burst", "backlog", "paused"]


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
    """Build the call that makes settings, all or none; its answer is how many of them were not so before."""
    args: list[Argument] = []
    for setting in settings:
        args += (setting.user_id, setting.name, "" if setting.value is None else _plain(setting.value))
    return Call("limit", keys, tuple(args), lambda reply: int(opened(keys, reply)[1]))


def configure(keys: QueueKeys, *, cost_mode: CostMode | None = None, backlog: int | None = None) -> Call[bool]:
    """Build the call that sets how the queue behaves; its answer is whether anything was not so before.

    Args:
        keys: The queue.
        cost_mode: What tasks cost: their ``time`` or one each, ``count``. None leaves it as it is.
        backlog: Most waiting tasks of the queue, 0 for no limit. None leaves it as it is.

    Reading the answer raises `ConfigurationError` when users have tasks or debts and the cost mode would change.
    """

    def decode(reply: list[Any]) -> bool:
        if reply[0] == Status.BUSY:
            problem = f"queue {keys.name!r}: users have tasks or debts, counted in the other cost mode"
            raise ConfigurationError([f"{problem}: change it to {cost_mode!r} when the queue is empty"])
        return bool(opened(keys, reply)[0] == Status.OK)

    return Call("configure", keys, (cost_mode or "", "" if backlog is None else backlog), decode)


def purge(
    keys: QueueKeys, user_id: str, *, reason: str, result_ttl_ms: int, most: int = MAX_PURGE_TASKS
) -> Call[Purged]:
    """Build the call that cancels up to ``most`` waiting tasks of a user, the last ones first; running ones go on."""

    def decode(reply: list[Any]) -> Purged:
        _, canceled, left = opened(keys, reply)
        return Purged(int(canceled), int(left))

    return Call("purge", keys, (result_ttl_ms, user_id, dumps(reason), most), decode)


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
