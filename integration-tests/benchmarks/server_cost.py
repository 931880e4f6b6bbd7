"""Workloads of the scripts alone: instructions, memory, and the cost at a million users or tasks."""

from collections.abc import Callable
from pathlib import Path

from figures import Figures, Workload
from servers import has_valgrind, server
from sides import Side, stage

__all__ = ["WITHOUT_VALGRIND", "WORKLOADS"]

PROGRAM = str(Path(__file__).resolve().with_name("server_calls.py"))
WITHOUT_VALGRIND = (
    "instructions: not counted, since valgrind is not installed (it has the commands valgrind and vgdb; "
    "on Debian: apt-get install valgrind)"
)


def _run(verb: str, *, counted: bool = False) -> Callable[[Side, float], Figures]:
    def run(side: Side, scale: float) -> Figures:
        with server(counted=counted) as one, stage(side, one.url) as place:
            return place.run([PROGRAM, verb, str(scale), str(one.pid), str(one.folder)])

    return run


def _is_fairque(side: Side) -> bool:
    return side.peer == "fairque"


WORKLOADS = (
    Workload(
        "instructions",
        "thousands of instructions of the server, a task, by callgrind",
        _run("instructions", counted=True),
        lambda side: _is_fairque(side) and has_valgrind(),
        repeats=True,
    ),
    Workload(
        "memory",
        "bytes of the server a task, messages of 200 bytes, 10 users",
        _run("memory"),
        _is_fairque,
        repeats=True,
    ),
    Workload(
        "scale",
        "server µs of push, pop and finish of a task, with many users or tasks",
        _run("scale"),
        _is_fairque,
        repeats=True,
    ),
)
