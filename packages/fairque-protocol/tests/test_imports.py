"""Which modules may import what: only one communicates with Redis, one reads clocks, one imports json."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairque.protocol
import fairque.protocol.clock

PACKAGE = Path(fairque.protocol.clock.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


def importers(module: str) -> set[str]:
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name == module or name.startswith(f"{module}.") for name in imported(path))
    }


def test_only_the_runners_import_redis() -> None:
    assert {path.split("/")[0] for path in importers("redis")} == {"runners"}


def test_only_one_module_imports_json() -> None:
    assert importers("json") == {"jsonvalue.py"}


def test_only_the_clock_reads_the_time() -> None:
    """Other modules may sleep, but not measure time."""
    for path in MODULES:
        if path == PACKAGE / "clock.py":
            continue
        tree = ast.parse(path.read_text())
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and _is_name(n.value, "time")}
        assert used <= {"sleep"}, path
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "time"], path
        asked = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {"now", "utcnow", "today"}
        assert not asked, path


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_no_other_package_of_the_project_is_imported() -> None:
    assert not [n for path in MODULES for n in imported(path) if n.startswith("fairque.") and "protocol" not in n]


def test_modules_are_short_and_have_a_docstring() -> None:
    for path in MODULES:
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, path
        assert lines[lines[0].startswith("# Generated")].startswith('"""'), path


@pytest.mark.parametrize("name", fairque.protocol.__all__)
def test_each_exported_name_can_be_the_first_to_be_accessed(name: str) -> None:
    program = f"import fairque.protocol; fairque.protocol.{name}"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own words


def test_importing_the_package_does_not_import_redis() -> None:
    program = "import sys, fairque.protocol; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own words


def test_the_namespace_package_has_no_init_module() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()
