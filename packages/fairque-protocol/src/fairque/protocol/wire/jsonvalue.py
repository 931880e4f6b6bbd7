"""JSON values: strict checking with a path in the error, and the one encoder and decoder of the project."""

import json
import math
from typing import Any

from fairque.protocol.errors import InvalidTask

__all__ = ["MAX_DEPTH", "check_json", "dumps", "loads"]

#: Deepest nesting of lists and objects that is accepted.
MAX_DEPTH = 32

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_PLAIN = frozenset({str, int, bool, type(None)})


def dumps(value: Any) -> bytes:
    """Return compact UTF-8 JSON. Check the value before: this only encodes.

    Raises:
        ValueError: NaN, an endless structure, or a lone surrogate.
        TypeError: No JSON value.
    """
    return _encode(value).encode()


def loads(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is no JSON.
    """
    return json.loads(data)


def check_json(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what JSON cannot say without loss. A tuple is accepted and arrives as a list.

    Args:
        value: The candidate.
        where: How the error names it; the path into it is appended.
        depth: Nesting so far.

    Raises:
        InvalidTask: No JSON value: the message names the place and the type found there.
    """
    kind = type(value)
    if kind in _PLAIN:
        if kind is str and not value.isascii():
            _check_text(value, where)
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidTask(f"{where} is {value!r}: JSON has no such number, pass None or a text")
        return
    if depth >= MAX_DEPTH:
        raise InvalidTask(f"{where} is nested deeper than {MAX_DEPTH} levels: pass a flatter value")
    if isinstance(value, str | int):
        _check_text(str(value), where)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_json(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, where)
            check_json(item, f"{where}[{key!r:.60}]", depth + 1)
    else:
        raise InvalidTask(
            f"{where} is no JSON value but {kind.__module__}.{kind.__qualname__}: "
            "pass numbers, strings, booleans, None, lists and dictionaries of them"
        )


def _check_key(key: object, where: str) -> None:
    if not isinstance(key, str):
        raise InvalidTask(f"{where} has the key {key!r:.40} of type {type(key).__name__}: JSON keys are strings")
    _check_text(key, f"a key of {where}")


def _check_text(value: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidTask(f"{where} is no valid Unicode text (a lone surrogate)") from None
