"""What is stored of a task when it is pushed: a packed head, the digest, the user and the message."""

import struct
from typing import NamedTuple

__all__ = ["Body", "content", "content_head", "digest_in", "message_in", "read_body"]

#: Kind, pushed_at (µs), priority, timeout, cost, and the lengths of digest and user; task_format.lua has the same.
_HEAD = struct.Struct("<BdBddBB")
#: What the producer packs: the head from the priority on, without the length of the user.
_CONTENT = struct.Struct("<BddB")
_BODY = 1
_DIGEST_SIZE = 8
_NO_COST = -1


def content_head(priority: int, timeout_ms: int, cost_us: int | None) -> bytes:
    """Return the beginning of the contents of all tasks with these options; priority 0 for that of a parent."""
    return _CONTENT.pack(priority, timeout_ms, _NO_COST if cost_us is None else cost_us, _DIGEST_SIZE)


def content(head: bytes, digest: bytes, user_id: str, *message: bytes) -> bytes:
    """Return what a producer packs of a task: its body from the priority on.

    Args:
        head: See `content_head`.
        digest: Eight bytes that identify what is pushed.
        user_id: The user; empty for that of the first parent.
        message: The encoded task, in any number of parts.
    """
    user = user_id.encode()
    return b"".join((head, bytes((len(user),)), digest, user, *message))


def digest_in(packed: bytes) -> bytes:
    """Return the digest in what `content` has returned."""
    return packed[_CONTENT.size + 1 :][:_DIGEST_SIZE]


def message_in(body: bytes) -> bytes | None:
    """Return the message in the body of a task; None if it is not one, such as the record of a task that has ended."""
    if len(body) < _HEAD.size or body[0] != _BODY:
        return None
    *_, digest, user = _HEAD.unpack_from(body)
    return body[_HEAD.size + digest + user :]


class Body(NamedTuple):
    """The body of a task.

    Attributes:
        pushed_at: When it was pushed, in milliseconds since the epoch.
        priority: Its priority, also if it was inherited; 0 if the body cannot be read.
        user_id: Its user, also if it was inherited.
        message: The encoded task; empty if it is lost.
    """

    pushed_at: int
    priority: int
    user_id: str
    message: bytes


def read_body(data: bytes) -> Body:
    """Return what is in a body, as far as it can be read."""
    if len(data) < _HEAD.size or data[0] != _BODY:
        return _UNREADABLE
    _, pushed_us, priority, _, _, digest, user = _HEAD.unpack_from(data)
    start = _HEAD.size + digest
    end = start + user
    return Body(int(pushed_us // 1_000), priority, data[start:end].decode(errors="backslashreplace"), data[end:])


_UNREADABLE = Body(0, 0, "", b"")
