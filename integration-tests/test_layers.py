"""The import graph of all packages: no cycles, and no import from a lower package or folder of a higher one."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
    for source in ROOT.glob("packages/*/src")
    for path in source.rglob("*.py")
}
#: Each package may import those before it. Producers, workers and schedulers do not import each other's
#: packages, and none of them imports what only tests need.
ABOVE = {
    "protocol": set[str](),
    "client": {"protocol"},
    "worker": {"protocol"},
    # Its schedules are those of a queue object.
    "scheduler": {"protocol", "client"},
    # It shows the settings of workers and schedulers if these are installed.
    "console": {"protocol", "client", "worker", "scheduler"},
    "testing": {"protocol", "client", "worker"},
}


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports of a module, also inside functions, except those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            yield from statements(node)


def imported(path: Path) -> Iterator[str]:
    """The modules of the project imported by a module."""
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif node.module in MODULES:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            yield from deeper or {node.module}


GRAPH = {name: set(imported(path)) - {name} for name, path in MODULES.items()}


def folder_of(name: str, package: str) -> str | None:
    """The folder of a package that contains a module, or the module itself if it is in none."""
    parts = name.split(".")
    return parts[2] if parts[1] == package and len(parts) > 2 else None


def test_no_module_is_in_an_import_cycle() -> None:
    list(TopologicalSorter(GRAPH).static_order())


@pytest.mark.parametrize("package", ABOVE)
def test_no_folder_is_in_an_import_cycle(package: str) -> None:
    folders: dict[str, set[str]] = defaultdict(set)
    for name, others in GRAPH.items():
        if (folder := folder_of(name, package)) is not None:
            folders[folder] |= {other for name in others if (other := folder_of(name, package))} - {folder}
    list(TopologicalSorter(folders).static_order())


def test_a_package_imports_only_those_below_it() -> None:
    for name, others in GRAPH.items():
        package = name.split(".")[1]
        assert {other.split(".")[1] for other in others} <= ABOVE[package] | {package}, name


def test_code_that_runs_tasks_imports_nothing_that_takes_or_keeps_them() -> None:
    for name, others in GRAPH.items():
        if folder_of(name, "worker") in ("handling", "processes", "running"):
            assert not {folder_of(other, "worker") for other in others} & {"taking", "keeping", "serving"}, name
