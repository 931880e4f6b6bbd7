"""Importing the client loads only the modules of the protocol that a producer needs."""

import subprocess
import sys

import pytest

#: Modules that only workers, schedulers and operators need.
OTHERS = ["beat", "endings", "fire", "pop", "sweep", "verify"]


@pytest.mark.parametrize(
    "name",
    [*(f"fairque.protocol.calls.{name}" for name in OTHERS), "fairque.testing", "fairque.console", "yaml", "croniter"],
)
def test_the_client_does_not_import_modules_that_only_others_need(name: str) -> None:
    program = f"import fairque.client, sys; print({name!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert done.stdout == "False\n"
