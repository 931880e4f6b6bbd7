"""The model imports little, and no production package imports test helpers."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2]
MODEL = PACKAGES / "fairque-testing" / "src" / "fairque" / "testing" / "fairness"
PRODUCTION = sorted(path for path in PACKAGES.glob("*/src/**/*.py") if "fairque-testing" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """The modules imported by a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_scheduling_model_needs_no_more_than_priorities_and_states() -> None:
    allowed = {f"fairque.protocol.{name}" for name in ("errors", "limits", "model.score", "model.states", "safe_repr")}
    for path in MODEL.rglob("*.py"):
        names = {name for name in imported(path) if name.startswith("fairque.")}
        assert {name for name in names if not name.startswith("fairque.testing.fairness.")} <= allowed, path


def test_no_production_module_imports_test_helpers() -> None:
    assert PRODUCTION
    for path in PRODUCTION:
        tools = [name for name in imported(path) if name.split(".")[0] in ("pytest", "hypothesis", "pytest_docker")]
        assert not tools, path
        assert not [name for name in imported(path) if name.startswith("fairque.testing")], path


@pytest.mark.parametrize("place", ["integration-tests", "docker-compose"])
def test_no_module_of_any_wheel_names_files_of_the_repository(place: str) -> None:
    for path in PACKAGES.glob("*/src/**/*.py"):
        assert place not in path.read_text(), path


@pytest.mark.parametrize("package", ["protocol", "client", "worker", "scheduler", "console"])
def test_importing_a_production_package_imports_no_test_tools(package: str) -> None:
    program = f"import sys, fairque.{package}; sys.exit(bool({{'pytest', 'fairque.testing'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own words
