"""The task functions of the benchmarks, for the worker processes that they start."""

import atexit
import os
import time
from pathlib import Path

from fairque.client import task

__all__ = ["begun", "nothing", "seen"]

_SEEN: list[str] = []


@task
def nothing(padding: str) -> None:
    """Do nothing."""


@task
def begun() -> int:
    """Return when it began, in nanoseconds on the clock shared by all processes of the machine."""
    return time.monotonic_ns()


@task
def seen(user: str) -> None:
    """Record the user that was served."""
    _SEEN.append(user)


def _write() -> None:
    if _SEEN:
        Path(os.environ["BENCHMARK_SEEN"]).write_text("\n".join(_SEEN), encoding="utf-8")


atexit.register(_write)
