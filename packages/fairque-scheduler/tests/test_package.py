"""The package: imported beside its siblings, it needs only the client of them, and knows its version."""

import re
import subprocess
import sys
from pathlib import Path

import fairque.protocol.errors
import fairque.scheduler
import fairque.scheduler.scheduler


def test_the_package_knows_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", fairque.scheduler.__version__)


def test_the_packages_share_one_namespace_that_none_of_them_owns() -> None:
    assert getattr(fairque, "__file__", None) is None
    assert issubclass(fairque.protocol.errors.FairqueError, Exception)


def test_it_imports_no_worker() -> None:
    code = "import sys, fairque.scheduler.cli; print(*(name for name in sys.modules if name.startswith('fairque.')))"
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words
    assert {name.split(".")[1] for name in output.split()} == {"protocol", "client", "scheduler"}


def test_modules_are_short_and_say_what_they_are_for() -> None:
    for path in Path(fairque.scheduler.scheduler.__file__).parent.glob("*.py"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, path
        assert lines[0].startswith('"""'), path
