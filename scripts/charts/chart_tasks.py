"""The task of the chart: work of a given size, recorded with its user when it ends."""

import atexit
import hashlib
import os
import time
from pathlib import Path

from fairque.client import task

__all__ = ["work"]

_DONE: list[str] = []


@task
def work(user: str, seconds: float) -> None:
    """Hash for the given time, then record the user, start and end of the work."""
    began = time.monotonic()
    data = b"x" * 65_536
    while time.monotonic() < began + seconds:
        hashlib.sha256(data).digest()
    _DONE.append(f"{user} {began} {time.monotonic()}")


def _write() -> None:
    if _DONE:
        Path(os.environ["CHART_LEDGER"]).write_text("\n".join(_DONE), encoding="utf-8")


atexit.register(_write)
