"""What the annotation of a parameter says of the context of a task, however it is written.

An annotation is a type, or text that names one: in quotes, under ``from __future__ import annotations``, or in Python
3.14 wherever a name has no value yet. Text is read as a syntax tree and never evaluated, one name after the other, so
that a name that exists for type checkers only does not hide the others. Such a name is looked up in the source.
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

#: By its name, since the registry, which it needs in turn, looks here.
_CONTEXT = ("fairque.protocol.model.context", "TaskContext")
_NAME = _CONTEXT[1]

#: How far names are followed from module to module: further than anybody goes, and no circle.
_FURTHEST = 10


class Meaning(Enum):
    """What an annotation says. Of the members of a union the first in this order counts."""

    CONTEXT = "context"
    #: A subclass, which the worker does not make.
    SUBCLASS = "subclass"
    #: A list of contexts, a function that takes one, and such.
    INSIDE = "inside"
    #: It is named so, but where it comes from cannot be read.
    UNSURE = "unsure"
    #: It names what nobody defines.
    UNKNOWN = "unknown"
    OTHER = "other"


_ORDER = tuple(Meaning)


@frozen(eq=False)
class Scope:
    """Where the names of an annotation have their values.

    Attributes:
        values: Those that there are at run time.
        bodies: The source around it, the innermost first; read only when a name has no value.
        package: For relative imports.
        depth: How many modules were gone through to come here.
        nested: Whether there are classes and functions around it.
        module: The module that was gone to; empty for that of the function.
        read: What was read on the way, and what it means as far as that is known: an alias may name itself, as that of
            all JSON values does. Shared by the scopes of one annotation.
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
        """Return the scope of a function's annotations; of what has no code, an empty one."""
        while isinstance(func, partial):
            func = func.func
        names: dict[str, Any] = getattr(func, "__globals__", {})
        code = getattr(func, "__code__", None)
        file = "" if code is None else code.co_filename
        closure = zip(getattr(code, "co_freevars", ()), getattr(func, "__closure__", None) or (), strict=False)
        inner = {name: cell.cell_contents for name, cell in closure if _filled(cell)}
        inner |= {one.__name__: one for one in getattr(func, "__type_params__", ())}
        around = [part for part in getattr(code, "co_qualname", "").split(".")[:-1] if part != "<locals>"]
        return cls(
            {**names, **inner} if inner else names,
            lambda: bodies(text_of(file, names), around),
            package_of(names),
            nested=bool(around),
        )


def meaning_of(annotation: Any, scope: Scope) -> Meaning:
    """Return what an annotation says of the context of a task."""
    return _meaning(annotation, evolve(scope, read={}))


def _meaning(annotation: Any, scope: Scope) -> Meaning:
    key = annotation if isinstance(annotation, str) else id(annotation)
    return _once(key, annotation, scope, lambda: _read(annotation, scope))


def _once(key: object, kept: object, scope: Scope, read: Callable[[], Meaning]) -> Meaning:
    """Return what is read for the first time, and what is known of it otherwise: nothing yet, where it names itself.

    Args:
        key: What stands for it in the scope.
        kept: What must live on, so that nothing else gets its key.
        scope: Where it is read.
        read: Reads it.
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
        return _first(_meaning(one, scope) for one in annotation)
    return _of_generic(typing.get_origin(annotation), typing.get_args(annotation), lambda one: _meaning(one, scope))


def _of_class(annotation: type) -> Meaning:
    names = [(one.__module__, one.__qualname__) for one in type.__dict__["__mro__"].__get__(annotation)]
    if names[0] == _CONTEXT:
        return Meaning.CONTEXT
    return Meaning.SUBCLASS if _CONTEXT in names else Meaning.OTHER


def _of_attribute(annotation: Any, name: str, scope: Scope) -> Meaning:
    try:
        return _meaning(getattr(annotation, name), scope)
    except NameError:  # an alias of what exists for type checkers only, whose value is made when it is asked for
        module = sys.modules.get(annotation.__module__)
        names = {} if module is None else vars(module)
        return _of_unknown(_Unknown(annotation.__name__), _scope_of_module(annotation.__module__, names, scope))


def _of_variable(annotation: typing.TypeVar, scope: Scope) -> Meaning:
    try:
        return _first(_meaning(one, scope) for one in annotation.__constraints__ or (annotation.__bound__,))
    except NameError:
        return Meaning.UNSURE


def _of_generic(origin: Any, parts: Sequence[Any], meaning: Callable[[Any], Meaning]) -> Meaning:
    if not parts or origin is typing.Literal:
        return Meaning.OTHER
    if origin is typing.Annotated:
        return meaning(parts[0])
    if origin in (typing.Union, typing.Optional, UnionType):
        return _first(map(meaning, parts))
    if "__value__" in dir(origin):  # an alias with parameters of its own
        return _first([meaning(origin), *map(meaning, parts)])
    inside = _first(map(meaning, parts))
    return Meaning.INSIDE if inside in (Meaning.CONTEXT, Meaning.SUBCLASS, Meaning.INSIDE) else Meaning.OTHER


def _first(meanings: Iterable[Meaning]) -> Meaning:
    return min(meanings, key=_ORDER.index, default=Meaning.OTHER)


# Text


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
        return _first(_of_node(one, scope) for one in node.elts)
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        origin = _value_of(node.value, scope)
        if isinstance(origin, _Unknown):
            last = origin.name.rpartition(".")[2]
            origin = getattr(typing, last, None) if last in ("Optional", "Union", "Annotated", "Literal") else None
        return _of_generic(origin, parts, lambda one: _of_part(one, scope))
    if isinstance(node, ast.Call):
        return _of_call(node, scope)
    value = _value_of(node, scope)
    return _of_unknown(value, scope) if isinstance(value, _Unknown) else _meaning(value, scope)


def _of_part(part: Any, scope: Scope) -> Meaning:
    return _of_node(part, scope) if isinstance(part, ast.expr) else _meaning(part, scope)


def _of_call(node: ast.Call, scope: Scope) -> Meaning:
    """Return what an alias says that is made by a call: NewType, TypeVar or TypeAliasType."""
    made = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if made in ("NewType", "TypeAliasType"):
        return _first(_of_node(one, scope) for one in node.args[1:2])
    if made == "TypeVar":
        bounds = [one.value for one in node.keywords if one.arg == "bound"]
        return _first(_of_node(one, scope) for one in [*node.args[1:], *bounds])
    return Meaning.OTHER


@frozen
class _Unknown:
    """A name without a value at run time, with the dots and names behind it; in a module, if that is known."""

    name: str
    module: str = ""


def _value_of(node: ast.expr, scope: Scope) -> Any:
    """Return the value of a name, or of what stands behind one with dots."""
    if isinstance(node, ast.Attribute):
        holder = _value_of(node.value, scope)
        if isinstance(holder, _Unknown):
            return _Unknown(f"{holder.name}.{node.attr}", holder.module)
        try:
            return getattr(holder, node.attr)
        except Exception:  # noqa: BLE001 - code of the user's may answer for a missing name
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


# Names that have no value


def _of_unknown(name: _Unknown, scope: Scope) -> Meaning:
    """Return what a name means that exists for type checkers only."""
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
    # It comes from a star, or stands as text in an alias of another module, which does not say whose it is.
    for module in (one for body in bodies for one in imported(body, scope.package)):
        if _known(module, first, scope):
            *between, last = [first, *rest]
            return _of_member(".".join([module, *between]), last, scope)
    if (rest or [first])[-1] == _NAME:
        return Meaning.CONTEXT
    return Meaning.UNKNOWN if any(bodies) else Meaning.OTHER


def _in_statement(statement: ast.stmt, name: str, rest: Sequence[str], scope: Scope) -> Meaning | None:
    """Return what a statement makes of a name; None when it is about others."""
    if isinstance(statement, ast.Import):
        for one in statement.names:
            if name == (one.asname or one.name.partition(".")[0]) and rest:
                module = one.name if one.asname else name
                return _of_member(".".join([module, *rest[:-1]]), rest[-1], scope)
    elif isinstance(statement, ast.ImportFrom):
        module = absolute(statement, scope.package)
        for one in statement.names:
            if name == (one.asname or one.name):
                *between, last = [one.name, *rest]
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
    if not any(isinstance(one, ast.Name) and one.id == name for one in targets):
        return None
    value: ast.expr | None = statement.value  # type: ignore[attr-defined]
    return value


def _of_member(module: str, name: str, scope: Scope) -> Meaning:
    """Return what a name of another module means. No module is imported for it."""
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
    """Say whether a module has a name, as far as that can be seen."""
    if module in sys.modules and name in vars(sys.modules[module]):
        return True
    source = source_of(module) if scope.depth < _FURTHEST else None
    return source is not None and _defines(_scope_of_module(module, {}, scope, source), name)


def _defines(scope: Scope, name: str) -> bool:
    return any(_binds(body, name, scope) for body in scope.bodies())


def _binds(body: Sequence[ast.stmt], name: str, scope: Scope) -> bool:
    """Say whether one of some statements gives a name its meaning, whatever that is."""
    nothing = Scope({}, tuple, scope.package, _FURTHEST)
    return any(_in_statement(one, name, (), nothing) is not None for one in statements(body))


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
