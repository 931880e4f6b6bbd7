"""sweep: what time has made due; any worker calls it every few seconds."""

from typing import Any

from attrs import frozen

from fairque.protocol.wire.call import Call, opened
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Swept", "sweep"]


@frozen
class Swept:
    """How many of each kind one sweep moved: at most 100, so a full hundred asks for another sweep."""

    promoted: int
    reclaimed: int
    forgotten: int
    users: int


def sweep(
    keys: QueueKeys, *, guard_ms: int, max_deliveries: int, result_ttl_ms: int, dead_ttl_ms: int
) -> Call[Swept | None]:
    """Build the call that sweeps the queue; it answers None when another worker did so less than ``guard_ms`` ago."""

    def decode(reply: list[Any]) -> Swept | None:
        answers = opened(keys, reply)
        return None if answers[0] == Status.ALREADY else Swept(*(int(number) for number in answers[1:]))

    return Call("sweep", keys, (guard_ms, max_deliveries, result_ttl_ms, dead_ttl_ms), decode)
