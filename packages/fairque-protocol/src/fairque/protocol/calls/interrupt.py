"""interrupt: end the wait of a worker."""

from typing import Any

from fairque.protocol.wire.call import Call, checked
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["interrupt"]


def interrupt(keys: QueueKeys, worker: str) -> Call[None]:
    """Build the call that ends the wait of the worker with this name, as if there were a task."""

    def decode(reply: list[Any]) -> None:
        checked(keys, reply)

    return Call("interrupt", keys, (worker,), decode)
