"""What is stored of a task when it is pushed: a packed head, the digest, the user and the message."""

import struct

__all__ = ["message_in"]

#: Kind, pushed_at (µs), priority, timeout, cost, and the lengths of digest and user; task_format.lua has the same.
_HEAD = struct.Struct("<BdBddBB")
_BODY = 1


def message_in(body: bytes) -> bytes | None:
    """Return the message in the body of a task; None if it is not one, such as the record of a task that has ended."""
    if len(body) < _HEAD.size or body[0] != _BODY:
        return None
    *_, digest, user = _HEAD.unpack_from(body)
    return body[_HEAD.size + digest + user :]
