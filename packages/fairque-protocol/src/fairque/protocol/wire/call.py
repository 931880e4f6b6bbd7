"""A call as a value: its script, its arguments, and the decoder of its answer. Building one does no I/O."""

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define

from fairque.protocol.errors import ProtocolError, SchemaMismatch
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["SCHEMA", "Argument", "Call", "checked", "text"]

T_co = TypeVar("T_co", covariant=True)

#: Number of the layout of keys and records. The include begin.lua holds the same one.
SCHEMA = 1

Argument: TypeAlias = str | bytes | int | float


@define
class Call(Generic[T_co]):
    """One run of one script.

    Attributes:
        script: Name of the file in lua/, without its ending.
        keys: The meta key of the queue.
        args: Arguments in the order of the script's header.
        decode: Turns the answer into a value, or raises the error that it reports.
    """

    script: str
    keys: QueueKeys
    args: tuple[Argument, ...]
    decode: Callable[[Any], T_co]


def text(value: bytes | None) -> str:
    """Return a bulk string of an answer as text; None as the empty text."""
    # A name that is not UTF-8, which fairque never writes, must not break its readers.
    return "" if value is None else value.decode(errors="backslashreplace")


def checked(keys: QueueKeys, reply: list[Any]) -> list[Any]:
    """Check the status in the first place of an answer, and return the answer.

    Raises:
        SchemaMismatch: The queue belongs to another version of fairque.
        ProtocolError: The script refused its arguments.
    """
    code = reply[0]
    if code == Status.SCHEMA:
        raise SchemaMismatch(keys.name, text(reply[1]), SCHEMA, *map(text, reply[2:3]))
    if code == Status.BAD_ARGS:
        raise ProtocolError(f"queue {keys.name!r}: {text(reply[1])}")
    return reply
