"""Whether the user of a connection may run a script: checked before the first call and after a refusal; no I/O.

Redis does not roll a script back. If the user may not run one of its commands, half of its writes would remain.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from fairque.protocol.calls.rights import rights
from fairque.protocol.config import RedisSection, mask_url
from fairque.protocol.errors import ServerUnsuitable
from fairque.protocol.runners.answers import UNKNOWN_COMMAND
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.rights import ROLES, Need, describe_needs, needs_of, needs_of_role, remedy
from fairque.protocol.wire.scripts import load_scripts, script_names

__all__ = ["Permits"]


class Permits:
    """The known rights of one user on one server.

    Args:
        settings: The address of the server, for errors.
    """

    def __init__(self, settings: RedisSection) -> None:
        self._settings = settings
        # By queue: the missing rights of each script that may not be run. Usually there are none.
        self._denied: dict[str, Mapping[str, tuple[Need, ...]]] = {}
        self._missing: dict[str, set[str]] = {}
        # Commands that the server does not know; the same for all queues.
        self._unknown: set[str] = set()

    def unknown(self, calls: Iterable[Call[Any]]) -> QueueKeys | None:
        """Return a queue of these calls whose rights are to be read by `question`; None if all are known.

        Raises:
            ServerUnsuitable: One of the calls may not be run; none was sent.
        """
        for call in calls:
            denied = self._denied.get(call.keys.name)
            if denied is None:
                return call.keys
            if denied and call.script in denied:
                # The right may be granted while this process runs: the next call checks again.
                self._denied.pop(call.keys.name, None)
                self._refuse(call.keys, denied[call.script], call.script)
        return None

    def require(self, keys: QueueKeys, role: str) -> None:
        """Check that a process has all rights that its role needs; after `note`.

        Raises:
            ServerUnsuitable: Rights are missing.
        """
        missing = self._missing.get(keys.name, ())
        if lacking := [need for need in needs_of_role(role) if need.probe in missing]:
            self._refuse(keys, lacking, f"a {role}")

    @staticmethod
    def question(keys: QueueKeys) -> Call[list[bool | None]]:
        """Return the call that reads all rights that any script or role needs."""
        return rights(keys, _all_probes())

    def note(self, keys: QueueKeys, allowed: Iterable[bool | None]) -> None:
        """Store the answer to `question`."""
        answers = dict(zip(_all_probes(), allowed, strict=True))
        missing = {probe for probe, may in answers.items() if not may}
        self._unknown = {probe for probe, may in answers.items() if may is None}
        self._missing[keys.name] = missing
        self._denied[keys.name] = {
            name: tuple(lacking)
            for name in (script_names() if missing else ())
            # The script that reads the rights must never be refused here.
            if name != "rights" and (lacking := [need for need in needs_of(name) if need.probe in missing])
        }

    def skip(self, keys: QueueKeys) -> None:
        """Skip the check of a queue that cannot answer: calls to it will fail with the cause."""
        self._denied[keys.name] = {}

    def forget(self) -> None:
        """Check again before the next call: the rights have changed."""
        self._denied.clear()
        self._missing.clear()

    def _refuse(self, keys: QueueKeys, lacking: Sequence[Need], what: str) -> None:
        if unknown := [need for need in lacking if need.probe in self._unknown]:
            raise ServerUnsuitable(
                f"Redis at {mask_url(self._settings.url)} {UNKNOWN_COMMAND.what}: {what} of queue {keys.name!r} is "
                f"refused before it changes anything, since no user may {describe_needs(unknown)}. "
                f"{UNKNOWN_COMMAND.fix}"
            )
        raise ServerUnsuitable(
            f"the user at Redis {mask_url(self._settings.url)} may not do this: {what} of queue {keys.name!r} is "
            f"refused before it changes anything, since the user may not {describe_needs(lacking)}. Grant it: "
            f"{remedy(lacking, keys.name)}"
        )


@cache
def _all_probes() -> tuple[str, ...]:
    load_scripts()
    needs = [need for name in script_names() for need in needs_of(name)]
    needs += [need for role in ROLES for need in needs_of_role(role)]
    return tuple(dict.fromkeys(need.probe for need in needs))
