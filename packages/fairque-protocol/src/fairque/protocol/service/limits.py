"""The limits that a file declares: the changes that a queue needs, and their restoration after a loss of data."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from attrs import asdict, evolve, frozen

from fairque.protocol.calls.edition import NO_EDITION
from fairque.protocol.calls.limits import ALL_USERS, MAX_SETTINGS, Setting, configure, limit
from fairque.protocol.calls.users import Configured, read_configured
from fairque.protocol.config import FairnessSection
from fairque.protocol.errors import Conflict
from fairque.protocol.model.limits import Limits
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

if TYPE_CHECKING:
    from fairque.protocol.limits import LimitName

__all__ = ["LimitsKeeper", "Plan", "all_configured", "apply", "plan", "shown"]

T = TypeVar("T")
_PAGE = 1_000


@frozen(kw_only=True)
class Plan:
    """The changes that make a queue match its declaration.

    Attributes:
        fairness: The declaration.
        settings: The settings of users that have to change.
        changes: All changes, as one sentence each.
        unchanged: How many declared settings need no change.
        undeclared: Users that have settings but are not declared; they keep them.
    """

    fairness: FairnessSection
    settings: tuple[Setting, ...]
    changes: tuple[str, ...]
    unchanged: int
    undeclared: tuple[str, ...]


class Runs(Protocol):
    """Sends calls, as `Runner` does."""

    def run(self, call: Call[T]) -> T:
        """Send a call and return its answer."""


def plan(fairness: FairnessSection, found: Configured, *, prune: bool = False) -> Plan:
    """Compare a declaration with the current settings. Declared users, and the defaults, get exactly what is declared.

    Args:
        fairness: The declaration. Whether a user is paused changes only if that is declared.
        found: The current settings.
        prune: Remove the settings of users that are not declared.
    """
    changes, settings, unchanged = [], [], 0
    for name in ("cost_mode", "backlog"):
        wanted, now = getattr(fairness, name), getattr(found, name)
        if wanted == now:
            unchanged += 1
        else:
            changes.append(f"queue: {name} {shown(now)} -> {shown(wanted)}")
    undeclared = sorted(found.users.keys() - fairness.users.keys() - {ALL_USERS})
    pruned = {user_id: Limits() for user_id in undeclared if prune}
    for user_id, limits in [(ALL_USERS, fairness.user_defaults), *fairness.users.items(), *pruned.items()]:
        own = found.users.get(user_id, {})
        whose = f"user {user_id!r}" if user_id else "all users"
        for setting in _declared(user_id, limits):
            before = own.get(setting.name)
            if setting.value != before:
                settings.append(setting)
                changes.append(f"{whose}: {setting.name} {shown(before)} -> {shown(setting.value)}")
            elif before is not None:
                unchanged += 1
    return Plan(
        fairness=fairness,
        settings=tuple(settings),
        changes=tuple(changes),
        unchanged=unchanged,
        undeclared=() if prune else tuple(undeclared),
    )


def apply(runner: Runs, keys: QueueKeys, planned: Plan) -> None:
    """Apply a plan: the queue first, then 1,000 settings in one atomic step. It is idempotent.

    Raises:
        Conflict: The cost mode would change while users have tasks or debts. Nothing was changed.
    """
    fairness, settings = planned.fairness, planned.settings
    chunks = [settings[first : first + MAX_SETTINGS] for first in range(0, len(settings), MAX_SETTINGS)]
    # Built before the first is sent, so that a value that is refused changes nothing.
    limits = [limit(keys, chunk) for chunk in chunks]
    runner.run(configure(keys, cost_mode=fairness.cost_mode, backlog=fairness.backlog or 0))
    for call in limits:
        runner.run(call)


def all_configured(runner: Runs, keys: QueueKeys) -> Configured:
    """Read all settings, page by page."""
    page = runner.run(read_configured(keys, most=_PAGE))
    found = dict(page.users)
    while page.next is not None:
        page = runner.run(read_configured(keys, after=page.next, most=_PAGE))
        found.update(page.users)
    return evolve(page, users=found)


def _declared(user_id: str, limits: Limits) -> list[Setting]:
    values = cast("dict[LimitName, Any]", asdict(limits))
    if values.get("paused") is None:
        values.pop("paused", None)
    else:
        values["paused"] = 1 if values["paused"] else None
    return [Setting(user_id, name, value) for name, value in values.items()]


def shown(value: float | str | None) -> str:
    """Return the value of a setting as readable text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "none" if value is None else str(value)


class LimitsKeeper:
    """Restores the limits of a file in a queue that has none, or whose data the server has in an older state.

    It leaves other limits alone: ``fairque apply`` replaces them with those of the file.

    Args:
        runner: The server.
        keys: The queue.
        fairness: The declaration; without any limit there is nothing to restore.
        log: Called with a sentence that says what was changed and why, and a line for each change.
    """

    def __init__(
        self, runner: Runs, keys: QueueKeys, fairness: FairnessSection, log: Callable[[str, list[str]], None]
    ) -> None:
        self._runner, self._keys, self._fairness, self._log = runner, keys, fairness, log
        self._seen = NO_EDITION
        self._refused = False

    @property
    def keeps(self) -> bool:
        """Whether there is anything to restore."""
        return self._fairness != FairnessSection()

    def look(self) -> None:
        """Restore the limits if the server has lost them.

        Raises:
            FairqueError: The server does not answer or cannot be used; call this again later.
        """
        if not self.keeps:
            return
        found = self._runner.run(read_configured(self._keys, most=1))
        older = self._seen != NO_EDITION and found.edition.lost(self._seen)
        if older or self._refused or (not found.users and (found.cost_mode, found.backlog) == ("time", None)):
            self._bring_back(older=older)
            found = self._runner.run(read_configured(self._keys, most=1))
        self._seen = found.edition

    def _bring_back(self, *, older: bool) -> None:
        fairness, refused_before = self._fairness, self._refused
        found = all_configured(self._runner, self._keys)
        planned, self._refused = plan(fairness, found), False
        try:
            if planned.changes:
                apply(self._runner, self._keys, planned)
        except Conflict as error:
            # The cost mode must not change while users have work. The limits do not depend on it.
            planned, self._refused = plan(evolve(fairness, cost_mode=cast("Any", found.cost_mode)), found), True
            apply(self._runner, self._keys, planned)
            if not refused_before:
                self._log(f"the cost mode is changed as soon as that can be: {error}", [])
        if planned.changes:
            why = "the server has lost data" if older else "the queue did not have them"
            self._log(f"{why}: the limits of the file were applied", list(planned.changes))
