"""The calls behind `Users` and ``queue.configure``, and what they refuse; the same with and without asyncio."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, TypeAlias

from fairque.protocol.calls import ALL_USERS, SETTING_NAMES, CostMode, Purged, Setting, SettingName, configure, purge
from fairque.protocol.calls.limits import MAX_PURGE_TASKS
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.limits import id_problem
from fairque.protocol.model.shares import UserRow, UsersSnapshot
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = [
    "MAX_PAGE",
    "UNCHANGED",
    "MaybeFloat",
    "MaybeInt",
    "Purging",
    "Unchanged",
    "changed",
    "configuration",
    "named",
    "nothing",
    "page_size",
    "page_start",
    "snapshot_of",
]

#: Users of the largest page.
MAX_PAGE = 1_000


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return self.name


#: Stands for a setting that stays what it is.
UNCHANGED: Final = Unchanged.UNCHANGED

MaybeFloat: TypeAlias = float | Unchanged | None
MaybeInt: TypeAlias = int | Unchanged | None


class Purging:
    """Which call of a purge comes next. It ends with as many tasks as waited at first, however many are pushed."""

    def __init__(self, keys: QueueKeys, user_id: str, reason: str, result_ttl_ms: int) -> None:
        self._keys, self._user_id, self._reason, self._ttl_ms = keys, user_id, reason, result_ttl_ms
        self._left: int | None = None
        self.canceled = 0

    @property
    def goes_on(self) -> bool:
        """Whether a further call is needed."""
        return self._left is None or self._left > 0

    def call(self) -> Call[Purged]:
        """Build the next call."""
        most = MAX_PURGE_TASKS if self._left is None else min(MAX_PURGE_TASKS, self._left)
        return purge(self._keys, self._user_id, reason=self._reason, result_ttl_ms=self._ttl_ms, most=most)

    def add(self, purged: Purged) -> None:
        """Take the answer in."""
        self.canceled += purged.canceled
        expected = purged.left if self._left is None else self._left - purged.canceled
        # Workers take some meanwhile.
        self._left = min(expected, purged.left)


def configuration(keys: QueueKeys, cost_mode: CostMode | Unchanged, backlog: MaybeInt) -> Call[bool]:
    """Build the call behind ``queue.configure``.

    Raises:
        ConfigurationError: With every value that cannot be used.
    """
    if backlog == 0:
        raise ConfigurationError([f"queue {keys.name!r}: backlog must be 1 or more, or None for no limit, not 0"])
    return configure(
        keys,
        cost_mode=None if cost_mode is UNCHANGED else cost_mode,
        backlog=None if backlog is UNCHANGED else 0 if backlog is None else backlog,
    )


def named(user_id: str) -> str:
    """Refuse the empty name, which further down would stand for all users."""
    if user_id == ALL_USERS:
        raise ConfigurationError(["user_id is empty: name one user, or call set_defaults for all of them"])
    return user_id


def changed(user_id: str, changes: Mapping[SettingName, MaybeFloat]) -> list[Setting]:
    """Return the settings that are given, at least one."""
    given = [Setting(user_id, name, value) for name, value in changes.items() if not isinstance(value, Unchanged)]
    if not given:
        raise ConfigurationError([f"nothing to set is given: name one of {', '.join(changes)}"])
    return given


def nothing(user_id: str) -> list[Setting]:
    """Return the settings that take all back."""
    return [Setting(user_id, name, None) for name in SETTING_NAMES]


def page_start(after: str | None) -> str | None:
    """Return ``after`` if a page can begin there."""
    # The empty name stands for the defaults of all, which come first among what is configured.
    if after is not None and after != ALL_USERS and (problem := id_problem(after, "after")):
        raise ConfigurationError([problem])
    return after


def page_size(most: int) -> int:
    """Return ``most`` if a page can be so large."""
    if type(most) is not int or not 1 <= most <= MAX_PAGE:
        raise ConfigurationError([f"most must be a whole number from 1 to {MAX_PAGE:,}, not {shown(most)}"])
    return most


def snapshot_of(at_ms: int, rows: Iterable[UserRow]) -> UsersSnapshot:
    """Return the snapshot of all pages."""
    return UsersSnapshot(at_ms=at_ms, rows={row.user_id: row for row in rows})
