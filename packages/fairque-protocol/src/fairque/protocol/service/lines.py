"""Turns a log record, whatever it contains, into bounded values without control characters."""

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
#: Most values of one record, and of one of its values; and the deepest nesting.
_MOST: Final = 100
_DEEPEST: Final = 5

#: Parts of a line that may themselves have several lines.
_TRACEBACKS: Final = frozenset({"exception", "stack"})
#: Names that the line itself uses.
_OWN: Final = frozenset({"event", "level", "ts"}) | _TRACEBACKS
#: Characters that could end a line, move the cursor, change the direction of text, or that cannot be written.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class Event(str):
    """The message of a record: equal to the name of the event, by which handlers may compare and group.

    Its text, which any handler and formatter shows, contains the values, too: a program that runs a worker and
    configures its own log sees more than "task failed".
    """

    __slots__ = ("values",)

    values: Mapping[str, Any]

    def __new__(cls, name: str, values: Mapping[str, Any] | None = None) -> Self:
        """Keep the values unchanged: their text is only created when it is shown."""
        event = super().__new__(cls, name)
        event.values = values or {}
        return event

    def __str__(self) -> str:
        values = {key: value for key, value in self.values.items() if key not in _TRACEBACKS}
        pairs = [escaped(f"{_name(key)}={_shown(value)!r}") for key, value in values.items()]
        text = f"{str.__str__(self)}: {', '.join(pairs)}" if pairs else str.__str__(self)
        tracebacks = [_several(self.values[key]) for key in sorted(_TRACEBACKS & self.values.keys())]
        return "\n".join([text, *(escaped(lines, lines=True) for lines in tracebacks)])


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record's line: ``event``, ``level``, ``ts``, its extras, ``exception`` and ``stack``."""
    event: dict[str, Any] = {"event": message_of(record), "level": _shown(record.levelname.lower())}
    event["ts"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
    extras = [(name, value) for name, value in record.__dict__.items() if name not in RESERVED]
    values = record.msg.values if type(record.msg) is Event else {}
    for name, value in extras[:_MOST]:
        # The traceback of a task is a text that was created where it ran.
        own = name in _TRACEBACKS and name in values
        event[name if own else _name(name)] = _several(value) if own else _shown(value)
    if len(extras) > _MOST:
        event["left_out"] = len(extras) - _MOST
    if record.exc_info and record.exc_info[1] is not None:
        event["exception"] = _traceback(record.exc_info[1])
    if record.stack_info:
        event["stack"] = _cut(record.stack_info, _LONGEST_TRACEBACK)
    return event


def escaped(text: str, *, lines: bool = False) -> str:
    """Return a text with escaped control characters; with ``lines`` it may have several lines, which are indented."""
    if lines:
        return "\n".join(f"  {escaped(line)}" for line in text.replace("\t", "    ").split("\n"))
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def message_of(record: logging.LogRecord) -> str:
    """Return the text of a record, with its arguments filled in if possible; for an event, its name."""
    # Not `isinstance`, here and below: a proxy may raise when its class is read.
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
            return {_name(key): _shown(item, depth + 1) for key, item in _first(value.items())}
        if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [_shown(item, depth + 1) for item in _first(value)]
    except Exception:  # noqa: BLE001 - a user's class that resembles one of these
        return _described(value)
    return _described(value)


def _several(text: object) -> str:
    return _cut(str(text).rstrip("\n"), _LONGEST_TRACEBACK)


def _first(values: Iterable[Any]) -> Iterable[Any]:
    return [value for value, _ in zip(values, range(_MOST), strict=False)]


def _number(value: float) -> Any:
    # A number may have more digits than the interpreter converts to text.
    return value if -(2**63) <= value < 2**64 else _described(value)


def _described(value: object) -> str:
    try:
        return _cut(str.__str__(value) if issubclass(type(value), str) else repr(value), _LONGEST)
    except Exception:  # noqa: BLE001 - of whatever object a user logs
        return f"<{type(value).__name__} that cannot be shown>"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    # The end of a traceback is the error itself.
    half = most // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters left out] {text[-half:]}"


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error, limit=-100)
    except Exception:  # noqa: BLE001 - such as too deep a chain
        return f"{type(error).__name__}: its traceback cannot be shown"
    return _cut("".join(lines).rstrip("\n"), _LONGEST_TRACEBACK)
