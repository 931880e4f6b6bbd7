"""Turns a record of the log, whatever it contains, into bounded values that can be shown, without control signs."""

import logging
import math
import re
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from fairque.protocol.model.logger import RESERVED

__all__ = ["Event", "escaped", "event_of", "message_of"]

#: Characters of one value, of a traceback, and of the name of a value.
_LONGEST: Final = 8_192
_LONGEST_TRACEBACK: Final = 65_536
_LONGEST_NAME: Final = 128
#: Values of one record, and in one of its values; and how deep they may lie in each other.
_MOST: Final = 100
_DEEPEST: Final = 5

#: Parts of a line that may themselves have several lines.
_TRACEBACKS: Final = frozenset({"exception", "stack"})
#: Names that the line itself uses.
_OWN: Final = frozenset({"event", "level", "ts"}) | _TRACEBACKS
#: All that could end a line, move the cursor, turn the direction of a text, or cannot be written.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class Event(str):
    """What happened, as the message of a record: the name of the event alone, which a handler may compare and group by.

    Its text, which any handler and formatter shows, tells the values, too: a program that runs a worker and sets up
    a log of its own sees more than "task failed".
    """

    __slots__ = ("values",)

    values: Mapping[str, Any]

    def __new__(cls, name: str, values: Mapping[str, Any] | None = None) -> Self:
        """Keep the values as they are: their text is made for those who show it."""
        event = super().__new__(cls, name)
        event.values = values or {}
        return event

    def __str__(self) -> str:
        told = [escaped(f"{_name(key)}={_shown(one)!r}") for key, one in self.values.items() if key not in _TRACEBACKS]
        text = f"{str.__str__(self)}: {', '.join(told)}" if told else str.__str__(self)
        tracebacks = [_several(self.values[key]) for key in sorted(_TRACEBACKS & self.values.keys())]
        return "\n".join([text, *(escaped(one, lines=True) for one in tracebacks)])


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line shows of a record: ``event``, ``level``, ``ts``, its extras, ``exception`` and ``stack``."""
    event: dict[str, Any] = {"event": message_of(record), "level": _shown(record.levelname.lower())}
    event["ts"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
    extras = [(name, value) for name, value in record.__dict__.items() if name not in RESERVED]
    told = record.msg.values if type(record.msg) is Event else {}
    for name, value in extras[:_MOST]:
        # The traceback of a task comes as a text, from where it ran.
        own = name in _TRACEBACKS and name in told
        event[name if own else _name(name)] = _several(value) if own else _shown(value)
    if len(extras) > _MOST:
        event["left_out"] = len(extras) - _MOST
    if record.exc_info and record.exc_info[1] is not None:
        event["exception"] = _traceback(record.exc_info[1])
    if record.stack_info:
        event["stack"] = _cut(record.stack_info, _LONGEST_TRACEBACK)
    return event


def escaped(text: str, *, lines: bool = False) -> str:
    """Return a text in which no sign does anything but being seen; with ``lines`` it may have several, indented."""
    if lines:
        return "\n".join(f"  {escaped(line)}" for line in text.replace("\t", "    ").split("\n"))
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def message_of(record: logging.LogRecord) -> str:
    """Return the text of a record, with its arguments filled in where they can be; of an event its name."""
    # Not `isinstance`, here and below: a proxy may raise when it is asked for its class.
    if type(record.msg) is Event:
        return _described(record.msg)
    try:
        return _cut(record.getMessage(), _LONGEST)
    except Exception as error:  # noqa: BLE001 - of whatever object a user logs
        return f"{_described(record.msg)} (its arguments cannot be filled in: {type(error).__name__})"


def _name(name: object) -> str:
    text = _cut(name if isinstance(name, str) else _described(name), _LONGEST_NAME)
    return f"{text}_" if text in _OWN else text


def _shown(value: object, depth: int = 0) -> Any:
    if value is None or type(value) is bool:
        return value
    if type(value) is str:
        return _cut(value, _LONGEST)
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return _number(value)
    try:
        if depth < _DEEPEST and isinstance(value, Mapping):
            return {_name(key): _shown(one, depth + 1) for key, one in _first(value.items())}
        if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [_shown(one, depth + 1) for one in _first(value)]
    except Exception:  # noqa: BLE001 - a class of a user that looks like one of these
        return _described(value)
    return _described(value)


def _several(text: object) -> str:
    return _cut(str(text).rstrip("\n"), _LONGEST_TRACEBACK)


def _first(values: Iterable[Any]) -> Iterable[Any]:
    return [one for one, _ in zip(values, range(_MOST), strict=False)]


def _number(value: float) -> Any:
    # A number may have more digits than the interpreter writes.
    return value if -(2**63) <= value < 2**64 else _described(value)


def _described(value: object) -> str:
    try:
        return _cut(str.__str__(value) if issubclass(type(value), str) else repr(value), _LONGEST)
    except Exception:  # noqa: BLE001 - of whatever object a user logs
        return f"<{type(value).__name__} that cannot be shown>"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    # The end of a traceback says what happened.
    half = most // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters left out] {text[-half:]}"


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error, limit=-100)
    except Exception:  # noqa: BLE001 - such as too deep a chain
        return f"{type(error).__name__}: its traceback cannot be shown"
    return _cut("".join(lines).rstrip("\n"), _LONGEST_TRACEBACK)
