"""Turns nodes into attrs settings, strictly, and collects every problem instead of stopping at the first.

This is a walk of its own over ``attrs.fields`` rather than a cattrs converter. cattrs sees plain values, and
a good message here needs the node: its line, its quotes, whether a variable gave it. Strict hooks for every
primitive plus a parser of ``ClassValidationError`` would be longer than the walk, and cattrs, too, reports
only the first of the failing validators of a class.
"""

import difflib
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import evolve, field, frozen

from fairque.protocol.config.masking import is_secret
from fairque.protocol.config.nodes import Broken, Items, Node, Place, Problem, Scalar, Table, join
from fairque.protocol.config.scalars import Trap, Value, describe, read_plain, substitute

__all__ = ["FAILED", "Walk", "suggestion"]

_SEQUENCES: Mapping[Any, Callable[[Iterable[Any]], Any]] = {list: list, tuple: tuple, Sequence: tuple}
_WANTED = {str: "a string", int: "an integer", float: "a number", bool: "a boolean (true or false)"}
_HIDDEN_LENGTH_MIN = 4


class _Failed(Enum):
    FAILED = "failed"


FAILED: Final = _Failed.FAILED
"""Stands for a value whose problem is reported."""


def suggestion(key: str, known: Iterable[str]) -> str:
    """Return "(did you mean …?)", or the known names if none is close."""
    names = sorted(known)
    # Keys with a unit are written without it, such as every for every_seconds, and are not a close match then.
    longer = [name for name in names if key and name.startswith(f"{key}_")]
    close = longer if len(longer) == 1 else difflib.get_close_matches(key, names, n=1)
    return f"(did you mean {close[0]!r}?)" if close else f"(known: {', '.join(names) or 'none'})"


@frozen
class Walk:
    """One pass over a document.

    Attributes:
        environ: The variables that ``${NAME}`` refers to.
        problems: What was found wrong so far.
        hidden: Texts that no message may show.
    """

    environ: Mapping[str, str]
    problems: list[Problem]
    hidden: set[str] = field(factory=set, init=False)

    def structure(self, node: Node, wanted: Any, path: str) -> Any:
        """Return the node as a value of the type ``wanted``, or `FAILED` after its problems were reported.

        Raises:
            TypeError: The settings class has a field of a type that settings cannot have.
        """
        if isinstance(node, Scalar) and node.style != "variable" and "${" in node.text:
            try:
                node = self._substituted(node)
            except ValueError as error:
                return self.fail(node.place, path, str(error))
        if isinstance(node, Broken):
            return FAILED
        return _reader(wanted, path)(self, node, wanted, path)

    def _substituted(self, node: Scalar) -> Scalar:
        if node.is_substituted:
            return node
        text, whole = substitute(node.text, self.environ)
        # Partly replaced text was a string before and stays one; only a whole ${NAME} is read as YAML again.
        return Scalar(node.place, text, node.style if whole else "joined", is_substituted=True)

    def unexpected(self, node: Node, wanted: str, path: str) -> _Failed:
        """Report a node of another kind than wanted."""
        if not isinstance(node, Scalar):
            found, hint = ("a list" if isinstance(node, Items) else "a mapping"), ""
        else:
            value = _read(node)
            hidden = is_secret(path) or node.is_substituted
            found, hint = describe(value, node.text, hidden=hidden), _hint(node, value, wanted)
        return self.fail(node.place, path, f"expected {wanted}, found {found}{hint}")

    def fail(self, place: Place, path: str, text: str) -> _Failed:
        """Report a problem."""
        self.problems.append(Problem(place, path, text))
        return FAILED

    def redacted(self, message: str) -> str:
        """Return the message without the hidden texts; very short ones stay, they are not secrets."""
        for secret in sorted(self.hidden, key=len, reverse=True):
            if len(secret) >= _HIDDEN_LENGTH_MIN:
                message = message.replace(repr(secret)[1:-1], "***").replace(secret, "***")
        return message


def _optional(walk: Walk, node: Node, wanted: Any, path: str) -> Any:
    others = [one for one in get_args(wanted) if one is not types.NoneType]
    if len(others) != 1:
        raise TypeError(f"{path}: of unions, settings can have X | None only, not {wanted!r}")
    if isinstance(node, Scalar) and _is_null(node):
        return None
    return walk.structure(node, others[0], path)


def _primitive(walk: Walk, node: Node, wanted: type, path: str) -> Any:
    if not isinstance(node, Scalar):
        return walk.unexpected(node, _WANTED[wanted], path)
    if wanted is str and node.style == "variable":
        value: Value = node.text
    else:
        value = _read(node)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        return walk.unexpected(node, _WANTED[wanted], path)
    if isinstance(value, float) and not math.isfinite(value):
        return walk.unexpected(node, "a finite number", path)
    _hide(walk, node, value, path)
    return value


def _literal(walk: Walk, node: Node, wanted: Any, path: str) -> Any:
    choices = get_args(wanted)
    if isinstance(node, Scalar):
        readings = (_read(node), node.text) if node.style == "variable" else (_read(node),)
        for choice in choices:
            if any(type(value) is type(choice) and value == choice for value in readings):
                return choice
    return walk.unexpected(node, f"one of {', '.join(map(repr, choices))}", path)


def _member(walk: Walk, node: Node, wanted: type[Enum], path: str) -> Any:
    if isinstance(node, Scalar):
        value = node.text if node.style == "variable" else _read(node)
        if isinstance(value, str) and value in wanted.__members__:
            return wanted[value]
    return walk.unexpected(node, f"one of {', '.join(wanted.__members__)}", path)


def _sequence(walk: Walk, node: Node, wanted: Any, path: str) -> Any:
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is tuple and args[1:] != (...,):
        raise TypeError(f"{path}: of tuples, settings can have tuple[X, ...] only")
    if isinstance(node, Scalar) and node.style == "variable":
        node = Items(node.place, tuple(evolve(node, text=part) for part in _parts(node.text)))
    if not isinstance(node, Items):
        return walk.unexpected(node, "a list", path)
    values = [walk.structure(item, args[0], f"{path}[{i}]") for i, item in enumerate(node.items)]
    return FAILED if FAILED in values else _SEQUENCES[origin](values)


def _parts(text: str) -> list[str]:
    """Return the parts of a list in a variable: ``a, b``, or as YAML and JSON have it, ``[a, "b"]``."""
    text = text.strip()
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1].strip()
    parts = [part.strip() for part in text.split(",")] if text else []
    return [part[1:-1] if part[:1] in ("'", '"') and part[-1:] == part[0] and len(part) > 1 else part for part in parts]


def _mapping(walk: Walk, node: Node, wanted: Any, path: str) -> Any:
    of_key, of_value = get_args(wanted)
    if of_key is not str:
        raise TypeError(f"{path}: of mappings, settings can have those of string keys only")
    table = _table(walk, node, path)
    if table is None:
        return FAILED
    values = {k: walk.structure(entry.node, of_value, join(path, k)) for k, entry in table.entries.items()}
    return FAILED if FAILED in values.values() else values


def _class(walk: Walk, node: Node, cls: type[Any], path: str) -> Any:
    table = _table(walk, node, path)
    if table is None:
        return FAILED
    hints = get_type_hints(cls)
    fields = {one.name: one for one in attrs.fields(cls) if one.init}
    for key, entry in table.entries.items():
        if key not in fields:
            kind = "key" if path else "section"
            walk.fail(entry.place, join(path, key), f"unknown {kind} {suggestion(key, fields)}")
    values: dict[str, Any] = {}
    for name, one in fields.items():
        if name in table.entries:
            values[name] = walk.structure(table.entries[name].node, hints[name], join(path, name))
        elif one.default is attrs.NOTHING:
            values[name] = _absent(walk, table.place, hints[name], join(path, name))
    return _construct(walk, cls, values, table, path)


def _absent(walk: Walk, place: Place, wanted: Any, path: str) -> Any:
    if attrs.has(wanted):
        # Naming each missing key helps more than naming the section.
        return walk.structure(Table(place), wanted, path)
    return walk.fail(place, path, "required key is missing")


def _construct(walk: Walk, cls: type[Any], values: Mapping[str, Any], table: Table, path: str) -> Any:
    """Run every validator, not only up to the first that fails, and then the real constructor."""
    usable = FAILED not in values.values()
    draft = _draft(cls, values)
    for one in attrs.fields(cls):
        if one.validator is None or not hasattr(draft, one.name):
            continue
        place = table.entries[one.name].place if one.name in table.entries else table.place
        try:
            one.validator(draft, one, getattr(draft, one.name))
        except AttributeError:
            # It compares with a field that failed itself, or else it is a mistake in the validator.
            if usable:
                raise
        except (ValueError, TypeError) as error:
            usable = False
            message = _message(error).removeprefix(f"{one.name}: ")
            walk.fail(place, join(path, one.name), walk.redacted(message))
    if not usable or FAILED in values.values():
        return FAILED
    try:
        return cls(**{one.alias: values[one.name] for one in attrs.fields(cls) if one.name in values})
    except ValueError as error:
        return walk.fail(table.place, path, walk.redacted(_message(error)))


def _anything(walk: Walk, node: Node, _wanted: Any, path: str) -> Any:
    match node:
        case Items():
            return _sequence(walk, node, list[Any], path)
        case Table():
            return _mapping(walk, node, dict[str, Any], path)
        case Scalar():
            value = _read(node)
            if isinstance(value, Trap) or (isinstance(value, float) and not math.isfinite(value)):
                return walk.unexpected(node, "a string or a finite number", path)
            _hide(walk, node, value, path)
            return value
    return FAILED


def _hide(walk: Walk, node: Scalar, value: Value, path: str) -> None:
    if isinstance(value, str) and (node.is_substituted or is_secret(path)):
        walk.hidden.add(value)


def _table(walk: Walk, node: Node, path: str) -> Table | None:
    if isinstance(node, Scalar) and node.is_blank:
        # A section whose keys are all commented out.
        return Table(node.place)
    if isinstance(node, Table):
        return node
    walk.unexpected(node, "a mapping", path)
    return None


_Reader = Callable[[Walk, Any, Any, str], Any]
_READERS: Mapping[Any, _Reader] = {
    Any: _anything,
    Literal: _literal,
    Union: _optional,
    types.UnionType: _optional,
    **dict.fromkeys(_SEQUENCES, _sequence),
    **dict.fromkeys((dict, Mapping), _mapping),
    **dict.fromkeys(_WANTED, _primitive),
}


def _reader(wanted: Any, path: str) -> _Reader:
    kind = get_origin(wanted) or wanted
    if kind in _READERS:
        return _READERS[kind]
    if attrs.has(kind):
        return _class
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member
    raise TypeError(f"{path}: settings cannot have the type {wanted!r}")


def _read(node: Scalar) -> Value:
    return read_plain(node.text) if node.style in ("plain", "variable") else node.text


def _is_null(node: Scalar) -> bool:
    # An environment variable has no null: an empty one is the way to unset a key.
    return not node.text if node.style == "variable" else _read(node) is None


def _hint(node: Scalar, value: Value, wanted: str) -> str:
    if node.style == "plain" and wanted == _WANTED[str] and value is not None:
        return " (quote it)"
    if node.style == "quoted" and not isinstance(read_plain(node.text), str) and wanted != _WANTED[str]:
        return " (remove the quotes)"
    if isinstance(value, Trap) and "number" in value.reading:
        return " (write it as a plain decimal number)"
    return ""


def _draft(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """Return an instance without its constructor: what failed is absent, what was not given is default."""
    draft: Any = object.__new__(cls)
    for one in attrs.fields(cls):
        value = values.get(one.name, one.default)
        if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class; the stubs call it a function
            value = value.factory(draft) if value.takes_self else value.factory()
        if value is not FAILED and value is not attrs.NOTHING:
            object.__setattr__(draft, one.name, value)
    return draft


def _message(error: Exception) -> str:
    # The validators of attrs itself append the attribute and the value to the message.
    return str(error.args[0]) if error.args else type(error).__name__
