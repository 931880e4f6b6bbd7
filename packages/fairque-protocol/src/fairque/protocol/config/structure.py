"""Structures what was written into attrs settings by cattrs, strictly, and finds all problems at once.

The converter takes nodes rather than plain values, so that each hook knows the line, the quotes, and whether a
variable gave the value. Nothing is converted silently: a quoted "1" is not an integer, and neither is a boolean.
"""

import math
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import evolve
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

from fairque.protocol.config.nodes import Node, Problem, Without, join, suggestion
from fairque.protocol.config.scalars import Trap, Value, describe, read_plain
from fairque.protocol.config.seconds import Seconds, seconds_of_text

__all__ = ["Refused", "structure"]

T = TypeVar("T")
_Hook = Callable[[Node, Any], Any]
_Inner = Callable[[Node], Any]

_LISTS: Mapping[Any, Callable[[Iterable[Any]], Any]] = {list: list, tuple: tuple, Sequence: tuple}
_WANTED = {str: "a string", int: "an integer", float: "a number", bool: "a boolean (true or false)"}
_DURATION = "a duration: seconds, or with a unit as in 500ms, 30s, 10m, 2h or 1d"
_HIDDEN_LENGTH_MIN = 4


class Refused(Exception):
    """A value cannot be used; with its problems, none of them if they are reported already."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = list(problems)


def structure(node: Node, cls: type[T]) -> T:
    """Return the settings that a mapping describes.

    Raises:
        Refused: With every problem.
        TypeError: The class has a field of a type that settings cannot have.
    """
    return _converter.structure(node, cls)


_converter = Converter(forbid_extra_keys=True, detailed_validation=True)


@_converter.register_structure_hook_factory(lambda _: True)
def _hook(wanted: Any) -> _Hook:
    kind, args = get_origin(wanted) or wanted, get_args(wanted)
    if kind is Annotated:
        return _seconds if wanted == Seconds else partial(_without, args[1], _inner(args[0]))
    if kind is Any:
        return _anything
    if kind is Literal:
        return partial(_choice, {choice: choice for choice in args}, ", ".join(map(repr, args)))
    inner = [arg for arg in args if arg not in (types.NoneType, ...)]
    if kind in (Union, types.UnionType):
        if len(inner) != 1:
            raise TypeError(f"of unions, settings can have X | None only, not {wanted!r}")
        return partial(_optional, _inner(inner[0]))
    if kind in _LISTS:
        if len(inner) != 1 or (kind is tuple and args[1:] != (...,)):
            raise TypeError(f"of tuples, settings can have tuple[X, ...] only, not {wanted!r}")
        return partial(_list, _inner(inner[0]), _LISTS[kind])
    if kind in (dict, Mapping):
        if args[:1] != (str,):
            raise TypeError(f"of mappings, settings can have those of string keys only, not {wanted!r}")
        return partial(_mapping, _inner(args[1]))
    raise TypeError(f"settings cannot have the type {wanted!r}")


def _inner(wanted: Any) -> _Inner:
    hook = _converter.get_structure_hook(wanted)
    return lambda node: hook(node, wanted)


def _scalar(node: Node, wanted: type) -> Any:
    if issubclass(wanted, Enum):
        return _member(node, wanted)  # an IntEnum, say
    value: Any = node.value if wanted is str and node.style == "variable" else _read(node)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise _unexpected(node, _WANTED[wanted])
    if isinstance(value, float) and not math.isfinite(value):
        raise _unexpected(node, "a finite number")
    return value


for _kind in _WANTED:
    _converter.register_structure_hook(_kind, _scalar)


def _seconds(node: Node, _: Any) -> float:
    value = _read(node)
    if isinstance(value, str) and (read := seconds_of_text(value)) is not None:
        return read
    if type(value) not in (int, float):
        raise _unexpected(node, _DURATION)
    found: float = _scalar(node, float)
    return found


def _choice(choices: Mapping[Any, Any], names: str, node: Node, _: Any) -> Any:
    readings = (_read(node), node.value) if node.style == "variable" else (_read(node),)
    for name, choice in choices.items():
        if any(type(value) is type(name) and value == name for value in readings):
            return choice
    raise _unexpected(node, f"one of {names}")


def _member(node: Node, wanted: type[Enum]) -> Any:
    return _choice(wanted.__members__, ", ".join(wanted.__members__), node, wanted)


# Before version 25 cattrs would prefer a hook of its own for the class Enum to one for everything.
_converter.register_structure_hook(Enum, _member)


def _optional(inner: _Inner, node: Node, _: Any) -> Any:
    # An environment variable has no null: an empty one is the way to unset a key.
    is_null = node.value == "" if node.style == "variable" else isinstance(node.value, str) and _read(node) is None
    return None if is_null else inner(node)


def _without(without: Without, inner: _Inner, node: Node, _: Any) -> Any:
    table = _table(node)
    refused = [table[name] for name in without.names if name in table]
    problems = [Problem(found.key or found.place, found.path, without.why) for found in refused]
    try:
        value = inner(evolve(node, value={name: part for name, part in table.items() if part not in refused}))
    except Refused as error:
        problems += error.problems
    if problems:
        raise Refused(problems)
    return value


def _list(inner: _Inner, collect: Callable[[Iterable[Any]], Any], node: Node, _: Any) -> Any:
    items = node.value
    if isinstance(items, str) and node.style == "variable":
        items = tuple(evolve(node, value=part) for part in _parts(items))
    if not isinstance(items, tuple):
        raise _unexpected(node, "a list")
    return collect(_each(inner, dict(enumerate(items))).values())


def _mapping(inner: _Inner, node: Node, _: Any) -> dict[str, Any]:
    return _each(inner, _table(node))


def _anything(node: Node, _: Any) -> Any:
    if isinstance(node.value, tuple):
        return _list(_inner(Any), list, node, None)
    if isinstance(node.value, dict):
        return _mapping(_inner(Any), node, None)
    value = _read(node)
    if isinstance(value, Trap) or (isinstance(value, float) and not math.isfinite(value)):
        raise _unexpected(node, "a string or a finite number")
    return value


_Key = TypeVar("_Key")


def _each(inner: _Inner, nodes: Mapping[_Key, Node]) -> dict[_Key, Any]:
    values, refused = {}, []
    for key, node in nodes.items():
        try:
            values[key] = inner(node)
        except Refused as error:
            refused.append(error)
    if refused:
        raise Refused(problem for error in refused for problem in error.problems)
    return values


@_converter.register_structure_hook_factory(attrs.has)
def _class_hook(cls: type[Any]) -> _Hook:
    hooks: dict[str, _Inner] = {}
    required = []
    for name, wanted in get_type_hints(cls, include_extras=True).items():
        one = attrs.fields_dict(cls).get(name)
        if one is None or not one.init:
            continue
        try:
            hooks[name] = _inner(wanted)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        if attrs.has(wanted) and one.default is attrs.NOTHING:
            required.append(name)
    make = make_dict_structure_fn(cls, _converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True)

    def hook_of_class(node: Node, _: Any) -> Any:
        # Naming each missing key of a section helps more than naming the section.
        sections = {name: Node(node.place, join(node.path, name), {}) for name in required}
        given = evolve(node, value=sections | _table(node))
        try:
            return make(given.value, cls)  # type: ignore[arg-type]  # a mapping of nodes
        except ClassValidationError as error:
            raise Refused(_problems(cls, hooks, given, error)) from None

    return hook_of_class


def _problems(
    cls: type[Any], hooks: Mapping[str, _Inner], node: Node, group: ClassValidationError
) -> Iterator[Problem]:
    """Yield what cattrs found, and what every validator says, not only the first that fails."""
    table = _table(node)
    of_fields, others = group.group_exceptions()
    unknown = {key for error in others if isinstance(error, ForbiddenExtraKeysError) for key in error.extra_fields}
    for key in table:
        if key in unknown:
            kind = "key" if node.path else "section"
            yield Problem(table[key].key or node.place, table[key].path, f"unknown {kind} {suggestion(key, hooks)}")
    for error, note in of_fields:
        if isinstance(error, Refused):
            yield from error.problems
        elif note.name not in table:
            yield Problem(node.place, join(node.path, note.name), "required key is missing")
        else:
            raise error
    failed = {note.name for _, note in of_fields}
    values = {name: hook(table[name]) for name, hook in hooks.items() if name in table and name not in failed}
    complaints = list(_complaints(cls, values, failed))
    for one, error in complaints:
        place = table[one.name].key if one.name in table else None
        message = _message(error, node).removeprefix(f"{one.name}: ")
        yield Problem(place or node.place, join(node.path, one.name), message)
    if not unknown and not failed and not complaints:
        # What is left comes from the constructor.
        (error,) = others
        if not isinstance(error, ValueError):
            raise error
        yield Problem(node.place, node.path, _message(error, node))


def _complaints(
    cls: type[Any], values: Mapping[str, Any], failed: set[str]
) -> Iterator[tuple["attrs.Attribute[Any]", Exception]]:
    """Run the validators on an instance made without its constructor, in which fields that failed are absent."""
    draft: Any = object.__new__(cls)
    for one in attrs.fields(cls):
        value = values.get(one.name, one.default)
        if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class; the stubs call it a function
            value = value.factory(draft) if value.takes_self else value.factory()
        if one.name not in failed:
            object.__setattr__(draft, one.name, value)
    for one in attrs.fields(cls):
        if one.validator is not None and one.name not in failed:
            try:
                one.validator(draft, one, getattr(draft, one.name))
            except AttributeError:
                # It compares with a field that failed itself, or else it is a mistake in the validator.
                if not failed:
                    raise
            except (ValueError, TypeError) as error:
                yield one, error


def _message(error: Exception, node: Node) -> str:
    """Return what a validator says without hidden texts; very short ones stay, they are not secrets."""
    # The validators of attrs itself append the attribute and the value to the message.
    message = str(error.args[0]) if error.args else type(error).__name__
    hidden = {str(one.value) for one in node.scalars() if one.is_hidden and isinstance(_read(one), str)}
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= _HIDDEN_LENGTH_MIN:
            message = message.replace(repr(secret)[1:-1], "***").replace(secret, "***")
    return message


def _table(node: Node) -> dict[str, Node]:
    if isinstance(node.value, dict):
        return node.value
    if node.is_blank:
        return {}  # a section whose keys are all commented out
    raise _unexpected(node, "a mapping")


def _parts(text: str) -> list[str]:
    """Return the parts of a list in a variable: ``a, b``, or as YAML and JSON have it, ``[a, "b"]``."""
    text = text.strip()
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1].strip()
    parts = [part.strip() for part in text.split(",")] if text else []
    return [part[1:-1] if part[:1] in ("'", '"') and part[-1:] == part[0] and len(part) > 1 else part for part in parts]


def _read(node: Node) -> Value:
    """Return what a scalar says; of everything else a value that nobody wants."""
    if node.problem or not isinstance(node.value, str):
        return Trap("")
    return read_plain(node.value) if node.style in ("plain", "variable") else node.value


def _unexpected(node: Node, wanted: str) -> Refused:
    if node.value is None:
        return Refused([])
    if node.problem:
        text = node.problem
    elif isinstance(node.value, str):
        value = _read(node)
        found = describe(value, node.value, hidden=node.is_hidden)
        text = f"expected {wanted}, found {found}{_hint(node, value, wanted)}"
    else:
        text = f"expected {wanted}, found {'a list' if isinstance(node.value, tuple) else 'a mapping'}"
    return Refused([Problem(node.place, node.path, text)])


def _hint(node: Node, value: Value, wanted: str) -> str:
    if node.style == "plain" and wanted == _WANTED[str] and value is not None:
        return " (quote it)"
    if node.style == "quoted" and not isinstance(read_plain(str(node.value)), str) and wanted != _WANTED[str]:
        return " (remove the quotes)"
    if isinstance(value, Trap) and "number" in value.reading:
        return " (write it as a plain decimal number)"
    return ""
