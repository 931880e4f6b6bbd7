"""A user's project in its own folder: a module with tasks, workers that run it, and a queue to push to."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fairque.client import TaskQueue
from fairque.testing.internal import PATIENCE, eventually

#: The beginning of every module of tasks here: a ledger in which a task records that it ran.
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
        popen: The process, to signal it and to wait for it.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.popen = popen
        self._log = log

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def stderr(self) -> str:
        """Its output so far."""
        return self._log.read_text()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait until it ends and return its exit code."""
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {within:g} s; it said:\n{self.stderr}") from None

    def kill(self) -> None:
        """Kill it without warning."""
        self.popen.kill()
        self.popen.wait(PATIENCE)


class Project:
    """A folder with ``tasks.py``, and the processes started in it.

    Attributes:
        folder: Working directory of the processes.
        environ: Their environment variables, added to those of the tests.
    """

    def __init__(self, folder: Path, url: str, queue: str) -> None:
        self.folder = folder
        self.environ = {
            "FAIRQUE_REDIS_URL": url,
            "FAIRQUE_QUEUE_NAME": queue,
            "FAIRQUE_WORKER_LEASE": "2",
            "FAIRQUE_WORKER_HEARTBEAT": "0.5",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "",  # as in most deployments, so that an unflushed buffer is detected
        }
        self._processes: list[Process] = []

    def write(self, text: str, name: str = "tasks", *, prelude: str = PRELUDE) -> None:
        """Write a module."""
        (self.folder / f"{name}.py").write_text(prelude + text)

    def touch(self, name: str) -> None:
        """Release the tasks that wait for this file."""
        (self.folder / name).touch()

    def begin(self, *args: str, environ: dict[str, str] | None = None, python: Sequence[str] = ()) -> Process:
        """Start a worker, by default for the module ``tasks``, with some options of the interpreter."""
        log = self.folder / f"stderr-{len(self._processes)}"
        with log.open("wb") as stderr:
            popen = subprocess.Popen(
                [sys.executable, *python, "-m", "fairque.worker", *(args or ("tasks",))],
                cwd=self.folder,
                env={**os.environ, **self.environ, **(environ or {})},
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self._processes.append(Process(popen, log))
        return self._processes[-1]

    def start(self, *args: str, environ: dict[str, str] | None = None) -> Process:
        """Start a worker as `begin` does, and wait until it takes tasks."""
        process = self.begin(*args, environ=environ)

        def started() -> bool:
            assert process.popen.poll() is None, process.stderr
            return "worker started" in process.stderr

        eventually(started, what="a worker that takes tasks")
        return process

    def run(self, *args: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Run a worker until it ends, and return exit code, output and errors."""
        process = self.begin(*args, environ=environ)
        output, _ = process.popen.communicate(timeout=PATIENCE)
        return process.popen.returncode, output.decode(), process.stderr

    def ledger(self) -> list[list[str]]:
        """Id, attempt, process and note of all tasks that ran, in the order of their entries."""
        path = self.folder / "ledger"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, task_id: str, times: int = 1) -> None:
        """Wait until a task has recorded that it runs."""
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
    """A folder whose workers share its own queue; all processes are ended after the test."""
    project = Project(tmp_path, fairque_server_url, fairque_queue_name)
    yield project
    project.close()


@pytest.fixture
def queue(fairque_server_url: str, fairque_queue_name: str) -> Iterator[Any]:
    """The same queue, for the producer."""
    with TaskQueue.from_url(fairque_server_url, queue=fairque_queue_name, default_user_id="ann") as queue:
        yield queue
