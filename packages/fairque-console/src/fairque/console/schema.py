"""Builds a JSON Schema of the settings, with which editors complete and check a configuration file.

It accepts more than the loader does: any value may be a ``${NAME}``, and it has no rules between settings.
"""

import re
from collections.abc import Mapping
from enum import Enum
from inspect import getdoc
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, Attribute, asdict, fields, has

from fairque.protocol.config import SECTIONS, Seconds
from fairque.protocol.config.nodes import Without
from fairque.protocol.config.seconds import SECONDS_PATTERN
from fairque.protocol.limits import LIMITS

__all__ = ["schema_of"]

_REFERENCE: Final = {"type": "string", "pattern": r"\$\{"}
_SCALARS: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ENTRY: Final = re.compile(r"    (\w+): (.*(?:\n {8,}.*)*)")


def schema_of(cls: type[Any]) -> dict[str, Any]:
    """Return the schema of a file with the sections of a class of settings; other known sections are allowed."""
    sections = {
        name: _or_empty(_type(kind, f"FAIRQUE_{name}_".upper()))
        for name, kind in get_type_hints(cls, include_extras=True).items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fairque settings",
        "type": "object",
        "properties": {**{name: {} for name in SECTIONS}, **sections},
        "additionalProperties": False,
    }


def _class(cls: type[Any], variable: str = "", without: tuple[str, ...] = ()) -> dict[str, Any]:
    texts = dict(_ENTRY.findall(_documentation(cls)))
    hints = get_type_hints(cls, include_extras=True)
    properties = {}
    for attribute in fields(cls):
        name = attribute.name
        if name not in without:
            text = " ".join(texts.get(name, "").split())
            description = f"{text} ({variable}{name.upper()})" if variable else text
            properties[name] = {
                **_type(hints[name]),
                "description": description,
                **_default(attribute),
                **_range(cls, attribute),
            }
    required = [attribute.name for attribute in fields(cls) if attribute.default is NOTHING]
    return {
        "type": "object",
        "description": _documentation(cls).partition("\n")[0],
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _documentation(cls: type[Any]) -> str:
    return "\n".join(getdoc(kind) or "" for kind in cls.__mro__ if has(kind))


def _type(hint: Any, variable: str = "") -> dict[str, Any]:
    kind, args = get_origin(hint) or hint, get_args(hint)
    if hint == Seconds:
        return _either({"type": "number"}, {"type": "string", "pattern": f"^{SECONDS_PATTERN}$"}, _REFERENCE)
    if kind is Annotated:
        (without,) = (extra.names for extra in args[1:] if isinstance(extra, Without))
        return _class(args[0], variable, without)
    if kind in (Union, UnionType):
        (inner,) = (arg for arg in args if arg is not NoneType)
        return _either(_type(inner, variable), {"type": "null"})
    if kind in (dict, Mapping):
        return {"type": "object", "additionalProperties": _or_empty(_type(args[1]))}
    if has(kind):
        return _class(kind, variable)
    return {} if kind is Any else _either(_plain(kind, args), _REFERENCE)


def _plain(kind: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the schema of a scalar or a list, which may be replaced with a reference."""
    if kind is Literal:
        return {"enum": list(args)}
    if kind in (list, tuple):
        return {"type": "array", "items": _type(args[0])}
    return {"enum": list(kind.__members__)} if issubclass(kind, Enum) else {"type": _SCALARS[kind]}


def _either(*schemas: dict[str, Any]) -> dict[str, Any]:
    flat = [part for schema in schemas for part in (schema["anyOf"] if schema.keys() == {"anyOf"} else [schema])]
    return {"anyOf": flat}


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """Also allow null, the value of a section whose keys are all commented out."""
    return _either(schema, {"type": "null"}) if schema else schema


def _default(attribute: "Attribute[Any]") -> dict[str, Any]:
    factory = getattr(attribute.default, "factory", None)
    if factory is not None:
        # Other computed defaults, such as the name of a worker, differ from process to process.
        default = factory()
        if has(type(default)):
            return {"default": {name: value for name, value in asdict(default).items() if value is not None}}
        return {"default": default} if default in ({}, []) else {}
    if attribute.default is NOTHING:
        return {}
    value = attribute.default.name if isinstance(attribute.default, Enum) else attribute.default
    return {"default": list(value) if isinstance(value, tuple) else value}


def _range(cls: type[Any], attribute: "Attribute[Any]") -> dict[str, Any]:
    if not (cls.__name__ == "Limits" and attribute.name in LIMITS) or attribute.name == "paused":
        return {}
    limit = LIMITS[attribute.name]  # type: ignore[index]  # checked above
    return {"minimum": limit.least, "maximum": limit.most}
