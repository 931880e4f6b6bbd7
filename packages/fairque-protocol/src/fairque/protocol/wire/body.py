"""What is stored of a task when it is pushed: a packed head, the digest, the user and the message."""

import struct

__all__ = ["content", "content_head", "digest_in", "message_in", "read_body"]

#: Kind, pushed_at (µs), priority, timeout, cost, and the lengths of digest and user; formats.lua has the same.
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


def read_body(data: bytes) -> tuple[int, int, str, bytes]:
    """Return what workers need of a body.

    Returns:
        When the task was pushed, in milliseconds since the epoch; its priority and its user, also if it has inherited
        them; and its message. What cannot be read is 0 or empty.
    """
    if len(data) < _HEAD.size or data[0] != _BODY:
        return 0, 0, "", b""
    _, pushed_us, priority, _, _, digest, user = _HEAD.unpack_from(data)
    start = _HEAD.size + digest
    end = start + user
    return int(pushed_us // 1_000), priority, data[start:end].decode(errors="backslashreplace"), data[end:]
