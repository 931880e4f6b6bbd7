"""Whether an idle connection can still be used."""

import select
import socket
from typing import Final

__all__ = ["is_stale"]

_CAN_POLL: Final = hasattr(select, "poll")


def is_stale(sock: socket.socket) -> bool:
    """Whether the socket of an idle connection was closed by the server, or has data that nobody asked for."""
    if not _CAN_POLL:
        return False
    number = sock.fileno()
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, select.POLLIN)
    try:
        return bool(poll.poll(0))
    except OSError:  # the limit of open files was lowered: a connection that is already open can still be used
        return False
