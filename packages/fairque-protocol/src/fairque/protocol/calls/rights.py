"""rights: which commands the user of this connection may send."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.wire.call import Call, opened
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["rights"]


def rights(keys: QueueKeys, commands: Sequence[str]) -> Call[list[bool]]:
    """Build the call that asks whether commands are allowed, with ``*`` for a key and ``&`` for a channel."""

    def decode(reply: list[Any]) -> list[bool]:
        return [bool(allowed) for allowed in opened(keys, reply)[1:]]

    return Call("rights", keys, tuple(commands), decode)
