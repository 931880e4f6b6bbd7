"""Every Redis key that Python names. The scripts derive the others from the meta key; lua/README.md lists them all."""

import re

from attrs import field, frozen

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import QUEUE_NAME
from fairque.protocol.safe_repr import safe_repr

__all__ = ["QueueKeys", "check_queue_name"]


def check_queue_name(name: object) -> str:
    """Return ``name`` if it may name a queue.

    Raises:
        InvalidArgument: It has other characters than ``A-Z a-z 0-9 _ . @ -``, or not 1 to 64 of them.
    """
    if not isinstance(name, str) or re.fullmatch(QUEUE_NAME, name) is None:
        raise InvalidArgument(
            [f"queue name {safe_repr(name)} is not valid: 1 to 64 of the characters A-Z a-z 0-9 _ . @ -"]
        )
    return name


@frozen
class QueueKeys:
    """The keys of one queue. All of them carry the hash tag ``{name}``, so each script stays in one Cluster slot.

    A sharded queue will use ``{name:1}``, ``{name:2}`` … for its further shards; no queue name has a colon.
    """

    name: str = field(converter=check_queue_name)

    @property
    def prefix(self) -> str:
        """The common prefix of all keys of the queue."""
        return f"fairque:{{{self.name}}}:"

    @property
    def meta(self) -> str:
        """HASH: schema and settings of the queue. The only key that scripts get; they derive the others from it."""
        return f"{self.prefix}meta"

    @property
    def wake(self) -> str:
        """LIST of at most one element, on which idle workers block."""
        return f"{self.prefix}wake"

    def interrupt(self, worker: str) -> str:
        """LIST of at most one element, on which one worker blocks in addition to `wake`."""
        return f"{self.prefix}interrupt:{worker}"

    def done(self, listener: str) -> str:
        """Channel that notifies one process of the tasks that it waits for."""
        return f"{self.prefix}done:{listener}"

    @property
    def changed(self) -> str:
        """Channel that notifies schedulers of changed schedules, and of the resignation of the leader."""
        return f"{self.prefix}changed"
