"""Identifiers: UUIDv7 task ids that sort by time, nonces, and the rules for ids that users choose."""

import os
import re

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask

__all__ = ["MAX_ID_BYTES", "check_id", "new_nonce", "new_task_id"]

#: Bytes of the longest user, task or deduplication id; they stand last in a key.
MAX_ID_BYTES = 128

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def new_task_id() -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    random = os.urandom(10)
    text = f"{clock.now_ms():012x}{random.hex()}"
    variant = "89ab"[random[2] >> 6]
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def new_nonce() -> str:
    """Return 16 hexadecimal digits of randomness that no other call will get."""
    return os.urandom(8).hex()


def check_id(value: object, what: str) -> str:
    """Return ``value`` if it may stand as an id in a key.

    Args:
        value: The candidate.
        what: What it is, for the message: ``user_id``, ``task_id`` …

    Raises:
        InvalidTask: It is no text, is empty, has control characters, or more than 128 bytes of UTF-8.
    """
    if not isinstance(value, str):
        raise InvalidTask(f"{what} must be a string, not {type(value).__name__}: {value!r:.80}")
    if not value:
        raise InvalidTask(f"{what} is empty: give 1 to {MAX_ID_BYTES} bytes of text")
    if _CONTROL.search(value):
        raise InvalidTask(f"{what} {value!r:.80} has control characters: use printable text")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise InvalidTask(f"{what} {value!r:.80} is no valid Unicode text (a lone surrogate)") from None
    if size > MAX_ID_BYTES:
        raise InvalidTask(f"{what} {value!r:.80} has {size} bytes of UTF-8: at most {MAX_ID_BYTES}")
    return value
