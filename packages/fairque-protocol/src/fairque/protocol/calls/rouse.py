"""rouse: wake an idle worker, called by a worker that consumed the wake-up but cannot take a task."""

from typing import Any

from fairque.protocol.wire.call import Call, checked
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["rouse"]


def rouse(keys: QueueKeys) -> Call[None]:
    """Build the call that wakes an idle worker if a task is runnable."""

    def decode(reply: list[Any]) -> None:
        checked(keys, reply)

    return Call("rouse", keys, (), decode)
