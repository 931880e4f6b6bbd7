"""Importing the client is cheap: it loads its libraries, and of the protocol what a producer uses."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

_CPU = "import resource; used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
#: What only workers, schedulers and operators need.
_OTHERS = ["beat", "endings", "fire", "pop", "sweep", "verify"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which modules are compiled once, as those of an installed package are."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(tmp_path)}


def output(program: str, environ: dict[str, str]) -> str:
    return subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    ).stdout


def test_the_client_costs_at_most_half_as_much_again_as_its_libraries(environ: dict[str, str]) -> None:
    libraries, client = f"import redis, attrs, cattrs\n{_CPU}", f"import fairque.client\n{_CPU}"
    output(libraries, environ), output(client, environ)
    pairs = [(float(output(client, environ)), float(output(libraries, environ))) for _ in range(9)]
    assert median(ours / theirs for ours, theirs in pairs) <= 1.5, pairs


@pytest.mark.parametrize(
    "name",
    [*(f"fairque.protocol.calls.{name}" for name in _OTHERS), "fairque.testing", "fairque.console", "yaml", "croniter"],
)
def test_the_client_does_not_import_what_others_need(name: str, environ: dict[str, str]) -> None:
    assert output(f"import fairque.client, sys; print({name!r} in sys.modules)", environ) == "False\n"
