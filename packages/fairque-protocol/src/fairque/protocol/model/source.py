"""The source of modules, read as syntax trees: what it says that cannot be seen at run time. Nothing is run for it."""

import ast
import importlib.machinery
import linecache
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = [
    "absolute",
    "annotations_in_source",
    "bodies",
    "imported",
    "package_of",
    "source_of",
    "statements",
    "text_of",
]


def text_of(file: str, names: Mapping[str, Any]) -> str:
    """Return the source of a file; empty when it cannot be had.

    Args:
        file: Its path, or how the code objects made of it call it.
        names: The names of the module, whose loader may know.
    """
    return "".join(linecache.getlines(file, dict(names)))


def annotations_in_source(func: Any) -> dict[str, str]:
    """Return the annotations of a function's parameters as they are written; none if its source cannot be read.

    `functools.wraps` replaces those of a wrapper by those of the function that it wraps.
    """
    code = getattr(func, "__code__", None)
    if code is None:
        return {}
    source = text_of(code.co_filename, func.__globals__)
    for node in ast.walk(ast.Module(list(_parsed(source)), [])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            if first == code.co_firstlineno:
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                return {one.arg: ast.unparse(one.annotation) for one in every if one.annotation is not None}
    return {}


def source_of(module: str) -> str | None:
    """Return the source of a module that is not loaded, without a run of its parents; None when it is not found."""
    path: Any = None
    spec: importlib.machinery.ModuleSpec | None = None
    names = module.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
        except Exception:  # noqa: BLE001 - a finder of the user's
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return None if spec is None or spec.origin is None else text_of(spec.origin, {}) or None


def absolute(statement: ast.ImportFrom, package: str) -> str:
    """Return the full name of the module from which something is imported."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - statement.level + 1]
    return ".".join([*above, *([statement.module] if statement.module else [])])


def imported(body: Sequence[ast.stmt], package: str) -> Iterator[str]:
    """Yield the full names of the modules that some statements import, or import from."""
    for statement in statements(body):
        if isinstance(statement, ast.Import):
            yield from (one.name for one in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            module = absolute(statement, package)
            yield module
            # What is imported from a package may be a module of it.
            yield from (f"{module}.{one.name}" for one in statement.names)


def package_of(names: Mapping[str, Any]) -> str:
    """Return the package of a module, empty for none, given the names of the module."""
    spec = names.get("__spec__")
    found = names.get("__package__") or getattr(spec, "parent", None)
    return found if isinstance(found, str) else ""


def bodies(source: str, around: Sequence[str]) -> list[Sequence[ast.stmt]]:
    """Return the statements of a module, and before them those of the classes and functions on the way inwards."""
    module = _parsed(source)
    found: list[Sequence[ast.stmt]] = [module]
    for name in around:
        inner = [one for one in statements(found[0]) if getattr(one, "name", None) == name and hasattr(one, "body")]
        if not inner:
            break
        found.insert(0, inner[0].body)
    return found


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those inside of `if`, `try` and `with`, the last one first: it counts."""
    for one in reversed(body):
        yield one
        for block in _blocks(one):
            yield from statements(block)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    if isinstance(statement, ast.If):
        test = ast.unparse(statement.test)
        if test.endswith("TYPE_CHECKING"):
            return [statement.orelse if test.startswith("not ") else statement.body]
    handlers = [one.body for one in getattr(statement, "handlers", ())]
    return [*handlers, *(getattr(statement, name, []) for name in ("orelse", "finalbody", "body"))]


@lru_cache(maxsize=8)
def _parsed(source: str) -> tuple[ast.stmt, ...]:
    try:
        return tuple(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError):
        return ()
