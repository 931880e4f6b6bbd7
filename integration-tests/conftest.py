"""A user's project in a folder of its own: a module with tasks, workers that run it, and a queue to push to."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairque.client import TaskQueue
from fairque.testing.internal import PATIENCE, eventually

#: What every module of tasks here begins with: a ledger in which a task notes that it ran.
PRELUDE = """
import asyncio, os, signal, sys, time
from pathlib import Path
from fairque.client import Backoff, task
from fairque.worker import current_context

HERE = Path(__file__).parent

def note(word=""):
    line = f"{current_context().task_id} {current_context().attempt} {os.getpid()} {word}\\n"
    ledger = os.open(HERE / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)

def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.005)
"""


class Process:
    """One worker process.

    Attributes:
        popen: To signal it and to wait for it.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.popen = popen
        self._log = log

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {within:g} s; it said:\n{self.stderr}") from None

    def kill(self) -> None:
        """End it without any warning."""
        self.popen.kill()
        self.popen.wait(PATIENCE)


class Project:
    """A folder with ``tasks.py``, and the processes that were started in it.

    Attributes:
        folder: Where the processes run.
        environ: What they get, on top of the environment of the tests.
    """

    def __init__(self, folder: Path, url: str, queue: str) -> None:
        self.folder = folder
        self.environ = {
            "FAIRQUE__REDIS__URL": url,
            "FAIRQUE__QUEUE__NAME": queue,
            "FAIRQUE__WORKER__LEASE_SECONDS": "2",
            "FAIRQUE__WORKER__HEARTBEAT_SECONDS": "0.5",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "",  # as in most places, so that a buffer that nobody flushes shows
        }
        self._processes: list[Process] = []

    def write(self, text: str, name: str = "tasks", *, prelude: str = PRELUDE) -> None:
        """Write a module."""
        (self.folder / f"{name}.py").write_text(prelude + text)

    def touch(self, name: str) -> None:
        """Let the tasks continue that wait for this file."""
        (self.folder / name).touch()

    def begin(self, *args: str, environ: dict[str, str] | None = None) -> Process:
        """Start a worker, by default of the module ``tasks``."""
        log = self.folder / f"stderr-{len(self._processes)}"
        with log.open("wb") as stderr:
            popen = subprocess.Popen(
                [sys.executable, "-m", "fairque.worker", *(args or ("tasks",))],
                cwd=self.folder,
                env={**os.environ, **self.environ, **(environ or {})},
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self._processes.append(Process(popen, log))
        return self._processes[-1]

    def start(self, *args: str, environ: dict[str, str] | None = None) -> Process:
        """The same, and wait until it takes tasks."""
        process = self.begin(*args, environ=environ)

        def started() -> bool:
            assert process.popen.poll() is None, process.stderr
            return "worker started" in process.stderr

        eventually(started, what="a worker that takes tasks")
        return process

    def run(self, *args: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Run a worker to its end and return exit code, output and errors."""
        process = self.begin(*args, environ=environ)
        output, _ = process.popen.communicate(timeout=PATIENCE)
        return process.popen.returncode, output.decode(), process.stderr

    def ledger(self) -> list[list[str]]:
        """Id, attempt, process and word of all that ran, in the order in which they noted it."""
        path = self.folder / "ledger"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, task_id: str, times: int = 1) -> None:
        """Wait until a task has noted that it runs."""
        eventually(lambda: sum(line[0] == task_id for line in self.ledger()) >= times, what=f"a run of {task_id}")

    def close(self) -> None:
        for process in self._processes:
            if process.popen.poll() is None:
                process.signal(signal.SIGKILL)
            process.popen.wait(PATIENCE)
            if process.popen.stdout is not None:
                process.popen.stdout.close()


@pytest.fixture
def project(tmp_path: Path, fairque_server_url: str, fairque_queue_name: str) -> Iterator[Project]:
    """A folder whose workers share a queue of its own; all processes have ended after the test."""
    project = Project(tmp_path, fairque_server_url, fairque_queue_name)
    yield project
    project.close()


@pytest.fixture
def queue(fairque_server_url: str, fairque_queue_name: str) -> Iterator[Any]:
    """The producer's side of the same queue."""
    with TaskQueue.from_url(fairque_server_url, name=fairque_queue_name, default_user_id="ann") as queue:
        yield queue
