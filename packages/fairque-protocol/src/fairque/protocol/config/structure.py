"""Structures what was written into attrs settings by cattrs, strictly, and finds all problems at once.

The converter takes nodes rather than plain values, so that each hook knows the line, the quotes, and whether a
variable gave the value. Nothing is converted silently: a quoted "1" is not an integer, and neither is a boolean.
"""

import math
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from attrs import evolve
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

from fairque.protocol.config.nodes import Node, Problem, Without
from fairque.protocol.config.scalars import Trap, describe, read_plain
from fairque.protocol.config.seconds import Seconds, seconds_of_text
from fairque.protocol.suggestion import suggestion

__all__ = ["converter"]

_Hook = Callable[[Any, Any], Any]

_SCALARS: Mapping[Any, str] = {str: "a string", int: "an integer", float: "a number", bool: "a boolean (true or false)"}
_DURATION = "a duration: seconds, or with a unit as in 500ms, 30s, 10m, 2h or 1d"
_HIDDEN_LENGTH_MIN = 4

converter = Converter(forbid_extra_keys=True, detailed_validation=True)
"""Structures a `Node`. It raises groups of exceptions, in which each `Problem` is one thing that is wrong."""


@converter.register_structure_hook_factory(lambda _: True)
def _hook(wanted: Any) -> _Hook:
    kind, args = get_origin(wanted) or wanted, get_args(wanted)
    if wanted == Seconds:
        return _seconds
    if kind in (Any, object):
        return _anything
    if kind is Literal:
        return partial(_choice, {choice: choice for choice in args}, ", ".join(map(repr, args)))
    if kind is Annotated:
        return partial(_without, args[1], converter.get_structure_hook(args[0]))
    inner = [arg for arg in args if arg not in (types.NoneType, ...)]
    if kind in (Union, types.UnionType) and len(inner) == 1:
        return partial(_optional, inner[0], converter.get_structure_hook(inner[0]))
    if inner and (kind in (list, Sequence) or (kind is tuple and args[1:] == (...,))):
        return partial(_list, _each(inner[0]), list if kind is list else tuple)
    if inner[:1] == [str] and kind in (dict, Mapping):
        return partial(_mapping, _each(inner[1]))
    raise TypeError(
        f"settings cannot have the type {wanted!r}, but str, int, float, bool, Seconds, Any, a Literal, an enum or an "
        "attrs class, and of these X | None, list[X], Sequence[X], tuple[X, ...], dict[str, X] and Mapping[str, X]"
    )


def _each(wanted: Any) -> _Hook:
    # cattrs would leave items of the type Any as they are.
    items = types.GenericAlias(list, (object if wanted is Any else wanted,))
    return list_structure_factory(items, converter)  # type: ignore[arg-type]  # an alias is not a class


def _scalar(node: Node, wanted: type, words: str = "") -> Any:
    if issubclass(wanted, Enum):
        return _choice(wanted.__members__, ", ".join(wanted.__members__), node, wanted)
    for value in node.readings:
        found = float(value) if wanted is float and type(value) is int else value
        if type(found) is wanted:
            if isinstance(found, float) and not math.isfinite(found):
                raise _unexpected(node, "a finite number")
            return found
    raise _unexpected(node, words or _SCALARS[wanted])


# cattrs has hooks of its own for these classes, which win over those for everything.
for _kind in (*_SCALARS, Enum):
    converter.register_structure_hook(_kind, _scalar)


def _seconds(node: Node, _: Any) -> Any:
    found = seconds_of_text(node.value) if isinstance(node.value, str) else None
    return _scalar(node, float, _DURATION) if found is None else found


def _choice(choices: Mapping[Any, Any], names: str, node: Node, _: Any) -> Any:
    for name, choice in choices.items():
        if any(type(value) is type(name) and value == name for value in node.readings):
            return choice
    raise _unexpected(node, f"one of {names}")


def _optional(inner: Any, hook: _Hook, node: Node, _: Any) -> Any:
    # An environment variable has no null: an empty one is the way to unset a key.
    is_null = node.value == "" if node.style == "given" else node.readings[0] is None
    return None if is_null else hook(node, inner)


def _without(without: Without, hook: _Hook, node: Node, wanted: Any) -> Any:
    given = [name for name in without.names if name in node.entries]
    refused = {name: evolve(node.child(name), value=without.why, style="unusable") for name in given}
    return hook(evolve(node, value=node.entries | refused) if given else node, wanted)


def _list(each: _Hook, collect: Callable[[Any], Any], node: Node, _: Any) -> Any:
    if isinstance(node.value, list):
        return collect(each(node.value, list))
    if isinstance(node.value, str) and node.style == "given":
        return collect(each([evolve(node, value=part) for part in _parts(node.value)], list))
    raise _unexpected(node, "a list")


def _parts(text: str) -> list[str]:
    """Return the parts of a list in a variable: ``a, b``, or as YAML and JSON have it, ``[a, "b"]``."""
    text = text.strip()
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1].strip()
    parts = [part.strip() for part in text.split(",")] if text else []
    return [part[1:-1] if part[:1] in ("'", '"') and part[-1:] == part[0] and len(part) > 1 else part for part in parts]


def _mapping(each: _Hook, node: Node, _: Any) -> dict[str, Any]:
    if not node.is_mapping:
        raise _unexpected(node, "a mapping")
    return dict(zip(node.entries, each(node.entries.values(), list), strict=True))


def _anything(node: Node, _: Any) -> Any:
    if isinstance(node.value, list):
        return converter.structure(node, list[Any])
    if isinstance(node.value, dict):
        return converter.structure(node, dict[str, Any])
    value = node.readings[0]
    if isinstance(value, Trap) or (isinstance(value, float) and not math.isfinite(value)):
        raise _unexpected(node, "a string or a finite number")
    return value


@converter.register_structure_hook_factory(attrs.has)
def _class_hook(cls: type[Any]) -> _Hook:
    for attribute in attrs.fields(attrs.resolve_types(cls)):
        try:
            if attribute.init:
                converter.get_structure_hook(attribute.type)
        except TypeError as error:
            raise TypeError(f"{attribute.name}: {error}") from None
    make = make_dict_structure_fn(cls, converter)

    def hook(node: Node, _: Any) -> Any:
        if not node.is_mapping:
            raise _unexpected(node, "a mapping")
        try:
            return make(node.entries, cls)
        except ClassValidationError as group:
            raise ClassValidationError(group.message, _problems(cls, node, group), cls) from None

    return hook


def _problems(cls: type[Any], node: Node, group: ClassValidationError) -> list[Exception]:
    """Return what cattrs found, and what every validator says, not only the first that fails."""
    of_fields, others = group.group_exceptions()
    failed = {note.name: error for error, note in of_fields}
    extra = {key for error in others if isinstance(error, ForbiddenExtraKeysError) for key in error.extra_fields}
    known = [attribute.name for attribute in attrs.fields(cls) if attribute.init]
    problems: list[Exception] = [
        node.child(key).problem(f"unknown key {suggestion(key, known)}", at_key=True)
        for key in node.entries
        if key in extra
    ]
    for name, error in failed.items():
        missing = node.child(name).problem("required key is missing", at_key=True)
        problems.append(error if name in node.entries else missing)
    problems += _complaints(cls, node, failed)
    if not problems:
        # It comes from the constructor.
        (error,) = others
        problems.append(node.problem(_message(error, node)) if isinstance(error, ValueError) else error)
    return problems


def _complaints(cls: type[Any], node: Node, failed: Collection[str]) -> Iterator[Problem]:
    """Run the validators on an instance made without its constructor, in which fields that failed are absent."""
    draft: Any = object.__new__(cls)
    present = [attribute for attribute in attrs.fields(cls) if attribute.name not in failed]
    for attribute in present:
        value = attribute.default
        if attribute.init and attribute.name in node.entries:
            value = converter.structure(node.entries[attribute.name], attribute.type)
        elif isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class; the stubs call it a function
            value = value.factory(draft) if value.takes_self else value.factory()
        object.__setattr__(draft, attribute.name, value)
    for attribute in present:
        try:
            if attribute.validator is not None:
                attribute.validator(draft, attribute, getattr(draft, attribute.name))
        except AttributeError:
            # It compares with a field that failed itself, or else it is a mistake in the validator.
            if not failed:
                raise
        except (ValueError, TypeError) as error:
            message = _message(error, node).removeprefix(f"{attribute.name}: ")
            yield node.child(attribute.name).problem(message, at_key=True)


def _message(error: Exception, node: Node) -> str:
    """Return what a validator says without hidden texts; very short ones stay, they are not secrets."""
    # The validators of attrs itself append the attribute and the value to the message.
    message = str(error.args[0]) if error.args else type(error).__name__
    hidden = {str(scalar.value) for scalar in node.walk() if scalar.is_hidden and isinstance(scalar.readings[0], str)}
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= _HIDDEN_LENGTH_MIN:
            message = message.replace(repr(secret)[1:-1], "***").replace(secret, "***")
    return message


def _unexpected(node: Node, wanted: str) -> Problem:
    if not isinstance(node.value, str):
        return node.problem(f"expected {wanted}, found {'a list' if isinstance(node.value, list) else 'a mapping'}")
    if node.style == "unusable":
        return node.problem(node.value)
    found = describe(node.readings[0], node.value, hidden=node.is_hidden)
    return node.problem(f"expected {wanted}, found {found}{_hint(node, wanted)}")


def _hint(node: Node, wanted: str) -> str:
    value, is_string = node.readings[0], wanted == _SCALARS[str]
    if node.style == "plain" and is_string and value is not None:
        return " (quote it)"
    if node.style == "quoted" and not is_string and not isinstance(read_plain(str(node.value)), str):
        return " (remove the quotes)"
    if isinstance(value, Trap) and "number" in value.reading:
        return " (write it as a plain decimal number)"
    return ""
