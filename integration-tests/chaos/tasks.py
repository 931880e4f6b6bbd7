"""The tasks of a run: they end in every possible way, and record in a ledger outside Redis that they ran."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from chaos.history import Journal
from fairque.client import Backoff, Cancel, OutputMissing, Retry, Snooze
from fairque.client import task as task_function
from fairque.worker import current_context

__all__ = ["FOLDER", "MODES", "functions"]

#: The folder in which a worker process writes its ledger.
FOLDER = "CHAOS_HISTORY"

#: The key of the values that tasks store.
KEY = "mark"

_SOON = Backoff(base=0.02, longest=0.1)
_journal: Journal | None = None
_journal_of = 0


def _ledger() -> Journal:
    # A child process that runs a task is an actor of its own.
    global _journal, _journal_of
    if _journal is None or _journal_of != os.getpid():
        _journal, _journal_of = Journal(Path(os.environ[FOLDER]), f"ledger-{os.getpid()}-{time.time_ns()}"), os.getpid()
    return _journal


def _note(op: str, outcome: str = "") -> dict[str, Any]:
    context = current_context()
    about = {"id": context.task_id, "fence": context.fence, "attempt": context.attempt}
    _ledger().note(op, **about, **({"outcome": outcome} if outcome else {}))
    return about


def _ending(kind: str, attempt: int) -> None:
    """Raise the exception of an attempt of this kind, if any."""
    if kind == "poison":
        _note("end", "poison")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "broken" or (kind == "shaky" and attempt < 3):
        _note("end", "error")
        raise ValueError(kind)
    if kind == "again" and attempt < 2:
        _note("end", "retry")
        raise Retry(after=0.05)
    if kind == "sleepy" and attempt < 2:
        _note("end", "snooze")
        raise Snooze(0.05)
    if kind == "quitter":
        _note("end", "cancel")
        raise Cancel


def _begin() -> dict[str, Any]:
    return _note("start")


def _end(about: dict[str, Any]) -> dict[str, Any]:
    _note("end", "ok")
    return {"fence": about["fence"], "attempt": about["attempt"]}


def _leave(about: dict[str, Any]) -> None:
    """Store a value for the dependents of the task."""
    value = f"{about['id']} {about['fence']}"
    _ledger().note("xcom_push", task=about["id"], fence=about["fence"], key=KEY, value=value)
    current_context().xcom.push(KEY, value)


def _pull(about: dict[str, Any], sources: list[str]) -> None:
    """Read the values of the parents."""
    for source in sources:
        try:
            value = current_context().xcom.pull(KEY, task=source)
        except OutputMissing:
            value = None
        _ledger().note("xcom_pull", id=about["id"], task=source, key=KEY, value=value)


def _run(kind: str, seconds: float, *, leaves: bool, pulls: list[str]) -> dict[str, Any]:
    about = _begin()
    _pull(about, pulls)
    if leaves:
        _leave(about)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 or kind == "overdue":
        if kind == "overdue":
            current_context().wait_stop(1)
            if current_context().should_stop:
                _note("end", "error")
                raise TimeoutError
        else:
            time.sleep(left)
    _ending(kind, about["attempt"])
    return _end(about)


@task_function(backoff=_SOON)
def in_a_thread(kind: str, seconds: float, *, leaves: bool, pulls: list[str]) -> dict[str, Any]:
    """Run in a thread of the worker."""
    return _run(kind, seconds, leaves=leaves, pulls=pulls)


@task_function(backoff=_SOON)
async def on_the_loop(kind: str, seconds: float, *, leaves: bool, pulls: list[str]) -> dict[str, Any]:
    """Run on the worker's event loop."""
    about = _begin()
    await asyncio.to_thread(_pull, about, pulls)
    if leaves:
        _leave(about)
    try:
        await asyncio.sleep(seconds if kind != "overdue" else 3600)
    except asyncio.CancelledError:
        _note("end", "error")
        raise
    _ending(kind, about["attempt"])
    return _end(about)


@task_function(backoff=_SOON, isolation="process")
def in_a_child(kind: str, seconds: float, *, leaves: bool, pulls: list[str]) -> dict[str, Any]:
    """Run in a child process of the worker."""
    return _run(kind, seconds, leaves=leaves, pulls=pulls)


functions = {"thread": in_a_thread, "async": on_the_loop, "process": in_a_child}

#: The ways to run a task.
MODES = tuple(functions)
