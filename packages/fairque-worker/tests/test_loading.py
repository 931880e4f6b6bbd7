"""Which modules a worker imports, when, and the errors of those that cannot be imported."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.worker import Task, TaskContext, TaskHandler, Worker, WorkerSection, WorkerSettings

# Nothing listens here, so a test that gets as far as the server fails visibly.
NOWHERE = RedisSection(url="unix:///nowhere/server.sock", retries=0)

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported during the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def nowhere(*modules: str, handler: TaskHandler | None = None) -> Worker:
    return Worker(WorkerSettings(redis=NOWHERE, worker=WorkerSection(modules=modules)), handler)


class Own(TaskHandler):
    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        """Nothing."""


def test_the_functions_of_the_modules_in_the_settings_can_be_run(bench: Any, write: Write) -> None:
    module = write("tasks_of_settings", "def double(n):\n    return 2 * n\n")
    worker = Worker(bench.settings(modules=(module,)), burst=True)
    task_id = bench.push(f"{module}:double", 21)
    worker.run()
    assert bench.result(task_id) == 42


def test_creating_a_worker_imports_nothing(write: Write) -> None:
    nowhere(write("tasks_of_later", ""))
    assert "tasks_of_later" not in sys.modules


@pytest.mark.parametrize("begin", [Worker.start, Worker.run])
def test_a_module_that_cannot_be_imported_is_reported_before_the_server_is_contacted(
    begin: Callable[[Worker], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FairqueError, match="module 'tasks_of_nobody' cannot be imported: ModuleNotFound") as caught:
        begin(nowhere("tasks_of_nobody"))
    assert str(tmp_path) in str(caught.value)


def test_a_worker_with_a_handler_imports_the_modules_too(write: Write) -> None:
    with pytest.raises(RedisUnavailable):
        nowhere(write("tasks_of_both", ""), handler=Own()).start()
    assert "tasks_of_both" in sys.modules


def test_a_handler_in_the_settings_is_refused_with_a_suggestion(write: Write) -> None:
    with pytest.raises(FairqueError, match=r"'tasks_of_handler:Own'.*Worker\(settings, handler\)"):
        nowhere(f"{write('tasks_of_handler', '')}:Own").start()


def test_a_signal_still_ends_a_program_that_hangs_in_an_import(write: Write) -> None:
    module = write("tasks_of_signals", "import signal\nHANDLER = signal.getsignal(signal.SIGTERM)\n")
    with pytest.raises(RedisUnavailable):
        nowhere(module).run()
    assert sys.modules[module].HANDLER is signal.SIG_DFL
