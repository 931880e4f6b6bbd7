"""RESP, the protocol of Redis, as far as a proxy must understand it: the end and the content of a value."""

from collections.abc import Iterator
from typing import Any

from attrs import frozen

__all__ = ["Push", "RespError", "Values"]


@frozen
class RespError:
    """An error returned by the server; ``kind`` is its first word, such as NOSCRIPT or OOM."""

    text: str

    @property
    def kind(self) -> str:
        return self.text.split(" ", 1)[0]


@frozen
class Push:
    """A push message of the server: not an answer to a command."""

    value: list[Any]


class _Incomplete(Exception):
    """The value continues in bytes that have not arrived yet."""


class Values:
    """Splits a stream of bytes into values, for commands (arrays of texts) and answers."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Add bytes and yield each value that is now complete."""
        self._data += data
        at = 0
        try:
            while at < len(self._data):
                value, at = self._value(at)
                yield value
        except _Incomplete:
            pass
        finally:
            self._data = self._data[at:]

    def _line(self, at: int) -> tuple[bytes, int]:
        end = self._data.find(b"\r\n", at)
        if end < 0:
            raise _Incomplete
        return self._data[at:end], end + 2

    def _value(self, at: int) -> tuple[Any, int]:
        line, at = self._line(at)
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return self._text(int(rest), at)
        if kind == b":":
            return int(rest), at
        if kind in b"*>~%":
            size = int(rest) * (2 if kind == b"%" else 1)
            if size < 0:
                return None, at
            items = []
            for _ in range(size):
                item, at = self._value(at)
                items.append(item)
            return (Push(items) if kind == b">" else items), at
        if kind == b"-":
            return RespError(rest.decode(errors="replace")), at
        if kind == b"_":
            return None, at
        if kind in b"=!":
            text, at = self._text(int(rest), at)
            return (RespError((text or b"").decode(errors="replace")) if kind == b"!" else text), at
        return rest, at  # simple texts, doubles, booleans

    def _text(self, size: int, at: int) -> tuple[bytes | None, int]:
        if size < 0:
            return None, at
        if len(self._data) < at + size + 2:
            raise _Incomplete
        return self._data[at : at + size], at + size + 2
