"""Packages whose names are imported at their first use, and what their processes therefore need not load."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = ["fairque.client", "fairque.protocol", "fairque.protocol.embedded", "fairque.worker"]


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_are_told_the_modules_from_which_names_come(package: str) -> None:
    module = import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    told = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]
    names = {alias.name: str(node.module) for node in imports for alias in node.names}
    homes = {name: package if home == f"{package}.{name}" else home for name, home in module._HOMES.items()}
    assert names == homes


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there(package: str) -> None:
    program = f"import {package} as p; print([name for name in p.__all__ if not hasattr(p, name)])"
    assert printed(program) == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_does_not_exist_is_refused_by_its_package(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        import_module(package).nothing  # noqa: B018 - it is looked up


@pytest.mark.parametrize("library", ["redis", "prometheus_client", "yaml", "click", "cattrs", "croniter"])
def test_a_child_process_does_not_load_what_only_its_worker_needs(library: str) -> None:
    assert printed(f"import sys, fairque.worker.child; print({library!r} in sys.modules)") == "False"


@pytest.mark.parametrize(("name", "loaded"), [("TaskHandler", False), ("Worker", True)])
def test_the_worker_is_loaded_by_those_who_use_it_only(name: str, loaded: bool) -> None:  # noqa: FBT001 - of pytest
    program = f"import sys; from fairque.worker import {name}; print('fairque.worker.worker' in sys.modules)"
    assert printed(program) == str(loaded)
