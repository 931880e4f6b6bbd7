"""How the process of a command ends."""

import subprocess
import sys

import pytest

#: A service that is over, and signals that come on the way to the end of its process.
PROGRAM = """
import atexit, os, signal, sys
from fairque.protocol.service.ending import run_command
from fairque.protocol.service.signals import STOPPING, Control, Order

number, when = signal.Signals[sys.argv[1]], sys.argv[2]

def come():
    signal.raise_signal(number)

def command():
    with Control({**STOPPING, signal.SIGTSTP: Order.PAUSE, signal.SIGUSR1: Order.DUMP}).hearing():
        pass
    if when == "behind the service":
        come()
    elif when == "in a forked child":
        child = os.fork()
        if child == 0:
            come()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WIFEXITED(status))
    else:
        atexit.register(come)

run_command(command)
"""

SIGNALS = ["SIGTERM", "SIGINT", "SIGUSR1", "SIGTSTP"]


def ended(name: str, when: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, name, when]
    # A process that is suspended would never end.
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours


@pytest.mark.parametrize("when", ["behind the service", "at the exit"])
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_after_the_end_of_the_service_changes_nothing(name: str, when: str) -> None:
    assert ended(name, when).returncode == 0


# Not SIGTSTP: the system drops it where the group of the process is orphaned, as below many supervisors.
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_process_forked_then_ends_at_a_signal_as_usual(name: str) -> None:
    assert ended(name, "in a forked child").stdout == "False\n"
