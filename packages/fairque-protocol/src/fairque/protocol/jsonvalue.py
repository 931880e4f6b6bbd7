"""JSON values: strict checking with a path in the error, and the one encoder and decoder of the project."""

import json
import math
import operator
import sys
from collections.abc import Callable, Iterable
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]  # typeshed lacks the first
from typing import Any, TypeAlias

from fairque.protocol.errors import InvalidTask
from fairque.protocol.safe_repr import safe_repr

__all__ = ["MAX_DEPTH", "canonical", "check_json", "dumps", "encoded", "fits_json", "is_plain", "loads", "quoted"]

#: Deepest nesting of lists and objects that is accepted.
MAX_DEPTH = 32

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_encode = _encoder.encode
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # as above
#: Python writes numbers up to this size whatever its settings are: their least limit is 640 digits.
_ALWAYS_WRITTEN_BITS = 2_000
_PLAIN = frozenset({str, int, bool, type(None)})
_LEAVES = _PLAIN | {float}
_TEXT = frozenset({str})


def _one_encoder() -> Callable[[Any], str]:
    """Return a function that encodes each value with the same encoder: `json.JSONEncoder` makes one for each value."""
    if c_make_encoder is None:
        return _encode
    sort_keys = skip_keys = allow_nan = False
    # Without the first argument it does not search for endless structures.
    encode = c_make_encoder(None, _encoder.default, encode_basestring, None, ":", ",", sort_keys, skip_keys, allow_nan)
    return lambda value: "".join(encode(value, 0))


#: Returns the compact JSON text of a value for which `fits_json` is true. Raises ValueError as `dumps` does.
encoded = _one_encoder()
#: Returns a string as JSON.
quoted: Callable[[str], str] = encode_basestring


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
        ValueError: It is not JSON.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value, end = _scan(text, 0)
    except (StopIteration, UnicodeDecodeError):
        return json.loads(data)
    # Spaces around the value, or an error.
    return value if end == len(text) else json.loads(data)


def is_plain(values: Iterable[Any]) -> bool:
    """Whether all values are texts, whole numbers, booleans or None, and so have their canonical form."""
    return _PLAIN.issuperset(map(type, values))


def fits_json(value: Any, depth: int = 0) -> bool:
    """Whether the types of a value and of all in it are those of JSON: much faster than `check_json`.

    It may still contain a number that is NaN or infinite or too long, or a lone surrogate; encoding it then raises
    ValueError. A value for which this is false may fit nevertheless: `check_json` decides.
    """
    kind = type(value)
    if kind in _LEAVES:
        return True
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        if not _TEXT.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return False
    if _LEAVES.issuperset(map(type, value)):
        return True
    for item in value:  # noqa: SIM110 - all() with a generator takes longer
        if type(item) not in _LEAVES and not fits_json(item, depth + 1):
            return False
    return True


def canonical(value: Any) -> Any:
    """Return the canonical form of a JSON value, for comparisons; the value itself if it already has that form.

    Keys are sorted, since objects have no order, and whole numbers have no fraction: 1.0 is 1. Texts stay as they are,
    and true is not 1. Check the value before.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        fields = {key: canonical(value[key]) for key in sorted(value)}
        same = all(map(operator.is_, fields, value)) and all(map(operator.is_, fields.values(), value.values()))
        return value if same else fields
    if isinstance(value, list | tuple):
        items = [canonical(item) for item in value]
        return value if all(map(operator.is_, items, value)) else items
    return value


def check_json(value: Any, where: str) -> None:
    """Refuse what JSON cannot say without loss. A tuple is accepted and arrives as a list.

    Args:
        value: The candidate.
        where: How the error names it; the path into it is appended.

    Raises:
        InvalidTask: No JSON value: the message names the place and the type found there.
    """
    problem = _problem(value, 0)
    if problem is not None:
        path, text = problem
        raise InvalidTask(f"{where}{path} {text}")


#: The path to a value, and what is wrong with it. Paths are made on the way out only, so good values cost no text.
_Problem: TypeAlias = tuple[str, str] | None


def _problem(value: Any, depth: int) -> _Problem:
    kind = type(value)
    if kind in _PLAIN:
        if kind is int:
            return _number_problem(value)
        return _text_problem(value) if kind is str and not value.isascii() else None
    if isinstance(value, float):
        known = math.isfinite(value)
        return None if known else ("", f"is {value!r}: JSON has no such number, pass None or a text")
    if isinstance(value, str | int):
        return _number_problem(value) if isinstance(value, int) else _text_problem(str(value))
    if depth >= MAX_DEPTH:
        return "", f"is nested deeper than {MAX_DEPTH} levels: pass a flatter value"
    if isinstance(value, list | tuple):
        return _inside(enumerate(value), depth)
    if isinstance(value, dict):
        return _key_problem(value) or _inside(value.items(), depth)
    # Our own classes know what was meant.
    hint = getattr(kind, "json_hint", "pass numbers, strings, booleans, None, lists and dictionaries of them")
    return "", f"is not a JSON value but {kind.__module__}.{kind.__qualname__}: {hint}"


def _inside(items: Iterable[tuple[Any, Any]], depth: int) -> _Problem:
    for key, item in items:
        problem = _problem(item, depth + 1)
        if problem is not None:
            return f"[{safe_repr(key, 60)}]{problem[0]}", problem[1]
    return None


def _key_problem(value: dict[Any, Any]) -> _Problem:
    for key in value:
        if not isinstance(key, str):
            return "", f"has the key {safe_repr(key, 40)} of type {type(key).__name__}: JSON keys are strings"
        problem = None if key.isascii() else _text_problem(key)
        if problem is not None:
            return "", f"has a key that {problem[1]}"
    return None


def _number_problem(value: int) -> _Problem:
    if value.bit_length() <= _ALWAYS_WRITTEN_BITS:
        return None
    try:
        int.__repr__(value)
    except ValueError:
        most = sys.get_int_max_str_digits()
        return "", f"is a number with more than {most:,} digits, which Python does not write: pass hex(number)"
    return None


def _text_problem(value: str) -> _Problem:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "", "is not valid Unicode text (a lone surrogate)"
    return None
