"""beat: renew the leases of a worker, all in one call."""

from collections.abc import Sequence
from typing import Any

from fairque.protocol.wire.call import Argument, Call, checked
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["beat"]


def beat(keys: QueueKeys, held: Sequence[tuple[str, str]], *, lease_ms: int) -> Call[list[Status]]:
    """Build the call that renews leases; it answers OK, REQUESTED, OVERDUE or LOST for each task in order.

    Args:
        keys: The queue.
        held: Task id and token of each task.
        lease_ms: Milliseconds from now until the leases end.
    """
    args: list[Argument] = [lease_ms]
    for task_id, token in held:
        args += (task_id, token)

    def decode(reply: list[Any]) -> list[Status]:
        return [Status(code) for code in checked(keys, reply)[1:]]

    return Call("beat", keys, tuple(args), decode)
