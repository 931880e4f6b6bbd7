"""Reads the source of modules as syntax trees, for what is not visible at run time. No code is run."""

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
    """Return the source of a file; empty if it is not available.

    Args:
        file: Its path, or the file name in its code objects.
        names: The namespace of the module, whose loader may have the source.
    """
    return "".join(linecache.getlines(file, dict(names)))


def annotations_in_source(func: Any) -> dict[str, str]:
    """Return the annotations of a function's parameters as written in the source; empty if it cannot be read.

    At run time, `functools.wraps` replaces the annotations of a wrapper with those of the function it wraps.
    """
    code = getattr(func, "__code__", None)
    if code is None:
        return {}
    source = text_of(code.co_filename, func.__globals__)
    for node in ast.walk(ast.Module(list(_parsed(source)), [])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            if first == code.co_firstlineno:
                parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                return {each.arg: ast.unparse(each.annotation) for each in parameters if each.annotation is not None}
    return {}


def source_of(module: str) -> str | None:
    """Return the source of a module that is not loaded, without running its parents; None if it is not found."""
    path: Any = None
    spec: importlib.machinery.ModuleSpec | None = None
    names = module.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
        except Exception:  # noqa: BLE001 - finders may be code of the user
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
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            module = absolute(statement, package)
            yield module
            # A name imported from a package may be a module.
            yield from (f"{module}.{alias.name}" for alias in statement.names)


def package_of(names: Mapping[str, Any]) -> str:
    """Return the package of a module, given its namespace; empty if it has none."""
    spec = names.get("__spec__")
    package = names.get("__package__") or getattr(spec, "parent", None)
    return package if isinstance(package, str) else ""


def bodies(source: str, around: Sequence[str]) -> list[Sequence[ast.stmt]]:
    """Return the bodies of the enclosing classes and functions, innermost first, and last that of the module."""
    module = _parsed(source)
    enclosing: list[Sequence[ast.stmt]] = [module]
    for name in around:
        inner = [
            statement
            for statement in statements(enclosing[0])
            if getattr(statement, "name", None) == name and hasattr(statement, "body")
        ]
        if not inner:
            break
        enclosing.insert(0, inner[0].body)
    return enclosing


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those inside `if`, `try` and `with`, last one first, since the last binding counts."""
    for statement in reversed(body):
        yield statement
        for block in _blocks(statement):
            yield from statements(block)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    if isinstance(statement, ast.If):
        test = ast.unparse(statement.test)
        if test.endswith("TYPE_CHECKING"):
            return [statement.orelse if test.startswith("not ") else statement.body]
    handlers = [handler.body for handler in getattr(statement, "handlers", ())]
    return [*handlers, *(getattr(statement, name, []) for name in ("orelse", "finalbody", "body"))]


@lru_cache(maxsize=8)
def _parsed(source: str) -> tuple[ast.stmt, ...]:
    try:
        return tuple(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError):
        return ()
