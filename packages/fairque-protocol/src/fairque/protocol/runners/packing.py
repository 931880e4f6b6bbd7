"""Calls as the bytes that are sent: packed once, also if they are sent several times. No I/O."""

from collections.abc import Container, Sequence
from functools import cache
from typing import Any

from attrs import define

from fairque.protocol.errors import ProtocolError
from fairque.protocol.wire.call import Argument, Call
from fairque.protocol.wire.scripts import script

__all__ = ["Packet", "pack", "pack_again", "pack_command"]


@define
class Packet:
    """Calls that are sent in one write.

    Attributes:
        calls: The calls.
        commands: The bytes of all commands: first those that load scripts, then one for each call.
        loads: The names of the scripts that are loaded.
    """

    calls: Sequence[Call[Any]]
    commands: bytes
    loads: tuple[str, ...]

    @property
    def number(self) -> int:
        """The number of commands."""
        return len(self.loads) + len(self.calls)


def pack(calls: Sequence[Call[Any]], loaded: Container[str] | None = None) -> Packet:
    """Return calls as bytes.

    Args:
        calls: The calls.
        loaded: The scripts that the server is assumed to have, None for all; the others are loaded first.

    Raises:
        ProtocolError: An argument cannot be sent.
    """
    if loaded is None:
        return Packet(calls, b"".join(map(_command, calls)), ())
    unknown = tuple(dict.fromkeys(call.script for call in calls if call.script not in loaded))
    return Packet(calls, b"".join([*map(_load, unknown), *map(_command, calls)]), unknown)


def pack_again(call: Call[Any]) -> tuple[bytes, int]:
    """Return the commands that load the script of a call and run it, and their number."""
    return _load(call.script) + _command(call), 2


def pack_command(*words: Argument) -> bytes:
    """Return any command as bytes."""
    return b"*%d\r\n%b" % (len(words), _packed(words))


def _command(call: Call[Any]) -> bytes:
    meta = call.keys.meta.encode()
    try:
        arguments = _packed(call.args)
    except TypeError as error:
        raise ProtocolError(f"queue {call.keys.name!r}: an argument of {call.script} cannot be sent: {error}") from None
    return b"*%d\r\n%b$%d\r\n%b\r\n%b" % (len(call.args) + 4, _head(call.script), len(meta), meta, arguments)


def _load(name: str) -> bytes:
    return pack_command("SCRIPT", "LOAD", script(name).text)


@cache
def _head(name: str) -> bytes:
    return _packed(("EVALSHA", script(name).sha, 1))


def _packed(words: Sequence[Argument]) -> bytes:
    packed: list[Any] = [None] * (2 * len(words))
    packed[1::2] = data = [
        word if type(word) is bytes else word.encode() if type(word) is str else _bytes_of(word) for word in words
    ]
    packed[::2] = map(len, data)
    return b"$%d\r\n%b\r\n" * len(data) % tuple(packed)


def _bytes_of(word: object) -> bytes:
    """Return what is neither plain bytes nor plain text as bytes."""
    if type(word) is int:
        return b"%d" % word
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, bytes):
        return word
    if isinstance(word, int | float) and not isinstance(word, bool):
        return repr(word).encode()
    raise TypeError(f"it is of type {type(word).__name__}, not text, bytes or a number")
