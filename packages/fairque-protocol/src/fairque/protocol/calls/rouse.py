"""rouse: wake one idle worker, for a worker that took the wake-up and cannot use it."""

from typing import Any

from fairque.protocol.wire.call import Call, opened
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["rouse"]


def rouse(keys: QueueKeys) -> Call[None]:
    """Build the call that wakes one idle worker when a task is runnable."""

    def decode(reply: list[Any]) -> None:
        opened(keys, reply)

    return Call("rouse", keys, (), decode)
