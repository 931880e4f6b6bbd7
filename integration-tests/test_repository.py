"""The files around the code: continuous integration and hooks run the same checks as developers do."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
VERSION = "Programming Language :: Python :: 3."


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def versions_tested() -> list[str]:
    return list(read(".github/workflows/ci.yml")["jobs"]["run"]["strategy"]["matrix"]["python"])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_promises_the_versions_of_python_on_which_the_tests_run(package: str) -> None:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    promised = [name.removeprefix(VERSION) for name in project["classifiers"] if name.startswith(VERSION)]
    assert [f"3.{minor}" for minor in promised] == versions_tested()
    assert project["requires-python"] == f">={versions_tested()[0]}"


def test_the_workflow_runs_the_one_script_and_nothing_else() -> None:
    steps = read(".github/workflows/ci.yml")["jobs"]["run"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


def test_the_hook_before_a_commit_is_the_lint_step_of_the_script() -> None:
    ((hook,),) = [repo["hooks"] for repo in read(".pre-commit-config.yaml")["repos"]]
    assert hook["entry"] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_script_runs_the_tests_as_the_readme_does_on_every_server() -> None:
    readme = (ROOT / "README.md").read_text()
    command = "hatch run test"
    assert f"&& {command} --thorough\n" in readme
    assert f"`{command}`" in readme
    assert f"{command} --thorough" in (ROOT / ".ci" / "run").read_text().splitlines()


def named_in(page: str) -> list[str]:
    """The files that a page of the repository names, if they can be recognized as such."""
    return re.findall(r"`((?:packages|lua|integration-tests|scripts)/[\w./-]+\.\w+)`", (ROOT / page).read_text())


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_a_page_for_contributors_names_files_that_exist(page: str) -> None:
    assert [name for name in named_in(page) if not (ROOT / name).exists()] == []
    assert named_in(page)


def test_the_map_is_short() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 120
