"""rights: which commands the user of this connection may send."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.wire.call import Call, checked
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["rights"]

#: The answer for a command that the server does not have.
_UNKNOWN = 2


def rights(keys: QueueKeys, commands: Sequence[str]) -> Call[list[bool | None]]:
    """Build the call that reads whether commands are allowed, with ``*`` for a key and ``&`` for a channel.

    The answer has a value for each; None if the server does not have the command.
    """

    def decode(reply: list[Any]) -> list[bool | None]:
        return [None if allowed == _UNKNOWN else bool(allowed) for allowed in checked(keys, reply)[1:]]

    return Call("rights", keys, tuple(commands), decode)
