"""Decides whether the annotation of a parameter, in any form, refers to the context of a task.

An annotation is a type, or a string that names one: in quotes, under ``from __future__ import annotations``, or in
Python 3.14 wherever a name has no value. A string is parsed as a syntax tree and resolved name by name, never
evaluated, so that a name that exists only for type checkers does not affect others. Such a name is resolved from the
source.
"""

import ast
import builtins
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from types import ModuleType, UnionType
from typing import Any

from attrs import evolve, field, frozen

from fairque.protocol.model.source import absolute, bodies, imported, package_of, source_of, statements, text_of

__all__ = ["Meaning", "Scope", "meaning_of"]

#: By name, since importing the class would be circular.
_CONTEXT = ("fairque.protocol.model.context", "TaskContext")
_NAME = _CONTEXT[1]

#: Most modules through which a name is followed: more than in practice, and a bound for cycles.
_FURTHEST = 10


class Meaning(Enum):
    """The meaning of an annotation. For a union, the first one in this order counts."""

    CONTEXT = "context"
    #: A subclass of the context, which workers do not create.
    SUBCLASS = "subclass"
    #: A type that contains the context, such as a list of contexts or a function that takes one.
    INSIDE = "inside"
    #: A name like that of the context, but its origin cannot be determined.
    UNSURE = "unsure"
    #: An undefined name.
    UNKNOWN = "unknown"
    OTHER = "other"


_ORDER = tuple(Meaning)


@frozen(eq=False)
class Scope:
    """The scope in which the names of an annotation are resolved.

    Attributes:
        values: The names with a value at run time.
        bodies: The source around the annotation, innermost first; read only if a name has no value.
        package: The package, for relative imports.
        depth: How many modules were followed to get here.
        nested: Whether the annotation is inside classes or functions.
        module: The module that was followed; empty for that of the function.
        read: The annotations that were read so far, with their meanings, for recursive aliases such as that of all JSON
            values. Shared by all scopes of an annotation.
    """

    values: Mapping[str, Any]
    bodies: Callable[[], Sequence[Sequence[ast.stmt]]]
    package: str
    depth: int = 0
    nested: bool = False
    module: str = ""
    read: dict[tuple[object, str], tuple[Meaning, object]] = field(factory=dict)

    @classmethod
    def of(cls, func: Any) -> "Scope":
        """Return the scope of a function's annotations; an empty one for an object without code."""
        while isinstance(func, partial):
            func = func.func
        names: dict[str, Any] = getattr(func, "__globals__", {})
        code = getattr(func, "__code__", None)
        file = "" if code is None else code.co_filename
        closure = zip(getattr(code, "co_freevars", ()), getattr(func, "__closure__", None) or (), strict=False)
        inner = {name: cell.cell_contents for name, cell in closure if _filled(cell)}
        inner |= {parameter.__name__: parameter for parameter in getattr(func, "__type_params__", ())}
        around = [part for part in getattr(code, "co_qualname", "").split(".")[:-1] if part != "<locals>"]
        return cls(
            {**names, **inner} if inner else names,
            lambda: bodies(text_of(file, names), around),
            package_of(names),
            nested=bool(around),
        )


def meaning_of(annotation: Any, scope: Scope) -> Meaning:
    """Return the meaning of an annotation."""
    return _meaning(annotation, evolve(scope, read={}))


def _meaning(annotation: Any, scope: Scope) -> Meaning:
    key = annotation if isinstance(annotation, str) else id(annotation)
    return _once(key, annotation, scope, lambda: _read(annotation, scope))


def _once(key: object, kept: object, scope: Scope, read: Callable[[], Meaning]) -> Meaning:
    """Return a meaning, reading it only once; within its own definition, a recursive alias means nothing.

    Args:
        key: The key of the annotation.
        kept: An object to keep alive, so that its id, which is the key, is not reused.
        scope: The scope in which it is read.
        read: Returns the meaning.
    """
    place = (key, scope.module)
    if place not in scope.read:
        scope.read[place] = (Meaning.OTHER, kept)
        scope.read[place] = (read(), kept)
    return scope.read[place][0]


def _read(annotation: Any, scope: Scope) -> Meaning:
    if isinstance(annotation, str):
        return _of_text(annotation, scope)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return _of_class(annotation)
    if isinstance(annotation, ModuleType):
        return Meaning.OTHER
    if isinstance(text := getattr(annotation, "__forward_arg__", None), str):
        return _of_text(text, scope)
    for inner in ("__supertype__", "__value__"):  # of NewType, of `type X = ...`
        if typing.get_origin(annotation) is None and inner in dir(annotation):
            return _of_attribute(annotation, inner, scope)
    if isinstance(annotation, typing.TypeVar):
        return _of_variable(annotation, scope)
    if isinstance(annotation, list | tuple):  # the arguments of a Callable
        return _first(_meaning(argument, scope) for argument in annotation)
    return _of_generic(typing.get_origin(annotation), typing.get_args(annotation), lambda part: _meaning(part, scope))


def _of_class(annotation: type) -> Meaning:
    names = [(base.__module__, base.__qualname__) for base in type.__dict__["__mro__"].__get__(annotation)]
    if names[0] == _CONTEXT:
        return Meaning.CONTEXT
    return Meaning.SUBCLASS if _CONTEXT in names else Meaning.OTHER


def _of_attribute(annotation: Any, name: str, scope: Scope) -> Meaning:
    try:
        return _meaning(getattr(annotation, name), scope)
    except NameError:  # a lazily evaluated alias of a name that exists only for type checkers
        module = sys.modules.get(annotation.__module__)
        names = {} if module is None else vars(module)
        return _of_unknown(_Unknown(annotation.__name__), _scope_of_module(annotation.__module__, names, scope))


def _of_variable(annotation: typing.TypeVar, scope: Scope) -> Meaning:
    try:
        return _first(_meaning(bound, scope) for bound in annotation.__constraints__ or (annotation.__bound__,))
    except NameError:
        return Meaning.UNSURE


def _of_generic(origin: Any, parts: Sequence[Any], meaning: Callable[[Any], Meaning]) -> Meaning:
    if not parts or origin is typing.Literal:
        return Meaning.OTHER
    if origin is typing.Annotated:
        return meaning(parts[0])
    if origin in (typing.Union, typing.Optional, UnionType):
        return _first(map(meaning, parts))
    if "__value__" in dir(origin):  # an alias with type parameters
        return _first([meaning(origin), *map(meaning, parts)])
    inside = _first(map(meaning, parts))
    return Meaning.INSIDE if inside in (Meaning.CONTEXT, Meaning.SUBCLASS, Meaning.INSIDE) else Meaning.OTHER


def _first(meanings: Iterable[Meaning]) -> Meaning:
    return min(meanings, key=_ORDER.index, default=Meaning.OTHER)


# Strings


def _of_text(text: str, scope: Scope) -> Meaning:
    try:
        return _of_node(ast.parse(text.strip(), mode="eval").body, scope)
    except (SyntaxError, ValueError, RecursionError):
        return Meaning.OTHER


def _of_node(node: ast.expr, scope: Scope) -> Meaning:
    if isinstance(node, ast.Constant):
        return _of_text(node.value, scope) if isinstance(node.value, str) else Meaning.OTHER
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _first([_of_node(node.left, scope), _of_node(node.right, scope)])
    if isinstance(node, ast.List | ast.Tuple):
        return _first(_of_node(element, scope) for element in node.elts)
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        origin = _value_of(node.value, scope)
        if isinstance(origin, _Unknown):
            last = origin.name.rpartition(".")[2]
            origin = getattr(typing, last, None) if last in ("Optional", "Union", "Annotated", "Literal") else None
        return _of_generic(origin, parts, lambda part: _of_part(part, scope))
    if isinstance(node, ast.Call):
        return _of_call(node, scope)
    value = _value_of(node, scope)
    return _of_unknown(value, scope) if isinstance(value, _Unknown) else _meaning(value, scope)


def _of_part(part: Any, scope: Scope) -> Meaning:
    return _of_node(part, scope) if isinstance(part, ast.expr) else _meaning(part, scope)


def _of_call(node: ast.Call, scope: Scope) -> Meaning:
    """Return the meaning of an alias that is created by a call: NewType, TypeVar or TypeAliasType."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called in ("NewType", "TypeAliasType"):
        return _first(_of_node(argument, scope) for argument in node.args[1:2])
    if called == "TypeVar":
        bounds = [keyword.value for keyword in node.keywords if keyword.arg == "bound"]
        return _first(_of_node(bound, scope) for bound in [*node.args[1:], *bounds])
    return Meaning.OTHER


@frozen
class _Unknown:
    """A name without a value at run time, including attributes; with its module, if that is known."""

    name: str
    module: str = ""


def _value_of(node: ast.expr, scope: Scope) -> Any:
    """Return the value of a name, or of a name with attributes."""
    if isinstance(node, ast.Attribute):
        holder = _value_of(node.value, scope)
        if isinstance(holder, _Unknown):
            return _Unknown(f"{holder.name}.{node.attr}", holder.module)
        try:
            return getattr(holder, node.attr)
        except Exception:  # noqa: BLE001 - may run code of the user, such as the __getattr__ of a module
            return _Unknown(node.attr, holder.__name__) if isinstance(holder, ModuleType) else None
    if not isinstance(node, ast.Name):
        return None
    if scope.nested and any(_binds(body, node.id, scope) for body in scope.bodies()[:-1]):
        return _Unknown(node.id)
    try:
        value = scope.values[node.id]
    except KeyError:
        value = vars(builtins).get(node.id, _Unknown(node.id))
    # `if TYPE_CHECKING: from ... import TaskContext`, and `else: TaskContext = Any`
    nothing = value is None or value is object or value is Any
    return _Unknown(node.id) if nothing and node.id not in ("Any", "object") else value


# Names without a value


def _of_unknown(name: _Unknown, scope: Scope) -> Meaning:
    """Return the meaning of a name that exists only for type checkers."""
    return _once(name, None, scope, lambda: _read_unknown(name, scope))


def _read_unknown(name: _Unknown, scope: Scope) -> Meaning:
    first, *rest = name.name.split(".")
    if name.module:
        *between, last = [first, *rest]
        return _of_member(".".join([name.module, *between]), last, scope)
    bodies = scope.bodies() if scope.depth < _FURTHEST else ()
    for body in bodies:
        for statement in statements(body):
            meaning = _in_statement(statement, first, rest, scope)
            if meaning is not None:
                return meaning
    if first in scope.values:
        return Meaning.OTHER
    # It is from a star import, or in a string in an alias of another module, which does not tell its module.
    for module in (name for body in bodies for name in imported(body, scope.package)):
        if _known(module, first, scope):
            *between, last = [first, *rest]
            return _of_member(".".join([module, *between]), last, scope)
    if (rest or [first])[-1] == _NAME:
        return Meaning.CONTEXT
    return Meaning.UNKNOWN if any(bodies) else Meaning.OTHER


def _in_statement(statement: ast.stmt, name: str, rest: Sequence[str], scope: Scope) -> Meaning | None:
    """Return the meaning that a statement gives to a name; None if it does not define the name."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if name == (alias.asname or alias.name.partition(".")[0]) and rest:
                module = alias.name if alias.asname else name
                return _of_member(".".join([module, *rest[:-1]]), rest[-1], scope)
    elif isinstance(statement, ast.ImportFrom):
        module = absolute(statement, scope.package)
        for alias in statement.names:
            if name == (alias.asname or alias.name):
                *between, last = [alias.name, *rest]
                return _of_member(".".join([module, *between]), last, scope)
    elif isinstance(statement, ast.ClassDef) and statement.name == name:
        return _of_class_body(statement, rest, scope)
    elif not rest and (value := _assigned(statement, name)) is not None:
        return _of_node(value, scope)
    return None


def _of_class_body(statement: ast.ClassDef, rest: Sequence[str], scope: Scope) -> Meaning:
    if rest:
        for inner in statements(statement.body):
            meaning = _in_statement(inner, rest[0], rest[1:], scope)
            if meaning is not None:
                return meaning
        return Meaning.OTHER
    bases = _first(_of_node(base, scope) for base in statement.bases)
    return Meaning.SUBCLASS if bases in (Meaning.CONTEXT, Meaning.SUBCLASS) else Meaning.OTHER


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    targets: Sequence[ast.expr] = ()
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif type(statement).__name__ == "TypeAlias":  # since Python 3.12
        targets = [statement.name]  # type: ignore[attr-defined]
    if not any(isinstance(target, ast.Name) and target.id == name for target in targets):
        return None
    value: ast.expr | None = statement.value  # type: ignore[attr-defined]
    return value


def _of_member(module: str, name: str, scope: Scope) -> Meaning:
    """Return the meaning of a name of another module, without importing it."""
    loaded = sys.modules.get(module)
    if loaded is not None and name in vars(loaded) and scope.depth < _FURTHEST:
        return _meaning(vars(loaded)[name], _scope_of_module(module, vars(loaded), scope))
    if (module.partition(".")[0], name) == ("fairque", _NAME):
        return Meaning.CONTEXT
    if scope.depth < _FURTHEST and (source := source_of(module)) is not None:
        below = _scope_of_module(module, {}, scope, source)
        if _defines(below, name):
            return _of_unknown(_Unknown(name), below)
    return Meaning.UNSURE if name == _NAME else Meaning.OTHER


def _known(module: str, name: str, scope: Scope) -> bool:
    """Return whether a module is known to define a name."""
    if module in sys.modules and name in vars(sys.modules[module]):
        return True
    source = source_of(module) if scope.depth < _FURTHEST else None
    return source is not None and _defines(_scope_of_module(module, {}, scope, source), name)


def _defines(scope: Scope, name: str) -> bool:
    return any(_binds(body, name, scope) for body in scope.bodies())


def _binds(body: Sequence[ast.stmt], name: str, scope: Scope) -> bool:
    """Return whether one of the statements defines a name."""
    empty = Scope({}, tuple, scope.package, _FURTHEST)
    return any(_in_statement(statement, name, (), empty) is not None for statement in statements(body))


def _scope_of_module(module: str, values: Mapping[str, Any], above: Scope, source: str | None = None) -> Scope:
    file = str(values.get("__file__", ""))
    package = package_of(values) if values else module.rpartition(".")[0]
    return Scope(
        values,
        lambda: bodies(text_of(file, values) if source is None else source, ()),
        package,
        above.depth + 1,
        module=module,
        read=above.read,
    )


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
