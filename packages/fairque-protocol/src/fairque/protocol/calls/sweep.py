"""sweep: what time has made due; any worker calls it every few seconds."""

from typing import Any

from attrs import frozen

from fairque.protocol.calls.reclaimed import Reclaimed, reclaimed_in
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.wire.call import Call, opened
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Swept", "sweep"]


@frozen
class Swept:
    """What one sweep did.

    Attributes:
        promoted: Delayed tasks that became runnable.
        reclaimed: Tasks of lost workers that were taken back.
        forgotten: Ended tasks whose retention time was over.
        users: Users that were looked at since they had paid their debts.
        more: Whether there was more to do than one sweep does: sweep again at once.
        tasks: The tasks that were taken back.
    """

    promoted: int
    reclaimed: int
    forgotten: int
    users: int
    more: bool = False
    tasks: tuple[Reclaimed, ...] = ()


def sweep(
    keys: QueueKeys,
    sweeper: str = "",
    /,
    *,
    guard_ms: int,
    max_lost_workers: int,
    result_ttl_ms: int,
    dead_ttl_ms: int,
) -> Call[Swept | None]:
    """Build the call that sweeps the queue.

    It answers None when another sweeper did so less than ``guard_ms`` ago.

    Args:
        keys: The queue.
        sweeper: Who sweeps, such as the name of a worker: the same one may continue at once. By default somebody new.
        guard_ms: For how long the sweeps of others do nothing; 0 for a sweep that regards and stops no other.
        max_lost_workers: How many lost leases make a dead letter.
        result_ttl_ms: How long a task that ends canceled here is remembered.
        dead_ttl_ms: How long a dead letter is kept.
    """

    def decode(reply: list[Any]) -> Swept | None:
        answers = opened(keys, reply)
        if answers[0] == Status.ALREADY:
            return None
        promoted, reclaimed, forgotten, users, more = (int(number) for number in answers[1:6])
        return Swept(promoted, reclaimed, forgotten, users, bool(more), reclaimed_in(answers[6:]))

    return Call("sweep", keys, (sweeper or new_nonce(), guard_ms, max_lost_workers, result_ttl_ms, dead_ttl_ms), decode)
