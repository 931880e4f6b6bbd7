"""sweep: bounded clean-up, and tasks that have become due; workers call it every few seconds."""

from typing import Any

from attrs import frozen

from fairque.protocol.calls.reclaimed import Reclaimed, reclaimed_in
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.wire.call import Call, checked
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Swept", "sweep"]


@frozen
class Swept:
    """The result of a sweep.

    Attributes:
        promoted: Delayed tasks that became runnable.
        reclaimed: Tasks of lost workers that were reclaimed.
        forgotten: Ended tasks whose retention had ended.
        users: Users that were checked because they had paid their debts.
        more: Whether there is more to do than a sweep does, so that the next one should follow at once.
        tasks: The reclaimed tasks.
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
        sweeper: Identifies the sweeper, which may sweep again at once, such as the name of a worker; random by default.
        guard_ms: How long other sweepers do nothing; 0 to ignore the guard and not set it.
        max_lost_workers: Number of lost workers after which a task becomes a dead letter.
        result_ttl_ms: How long to keep a task that is canceled here.
        dead_ttl_ms: How long to keep a dead letter.
    """

    def decode(reply: list[Any]) -> Swept | None:
        answers = checked(keys, reply)
        if answers[0] == Status.ALREADY:
            return None
        promoted, reclaimed, forgotten, users, more = (int(number) for number in answers[1:6])
        return Swept(promoted, reclaimed, forgotten, users, bool(more), reclaimed_in(answers[6:]))

    return Call("sweep", keys, (sweeper or new_nonce(), guard_ms, max_lost_workers, result_ttl_ms, dead_ttl_ms), decode)
