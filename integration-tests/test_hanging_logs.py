"""No service depends on its log: handlers that hang or exit, and a standard error that no process reads."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fairque.client import Task, TaskState
from fairque.scheduler import TaskScheduler
from fairque.testing.internal import eventually, only_thorough

#: Far more than any of them needs: with the fault they never end.
LONG = 300

HANDLERS = """
import atexit, logging, threading

def hang(*_):
    (HERE / "hangs").touch()
    threading.Event().wait()

class Handler(logging.Handler):
    def emit(self, record):
        if KIND == "a handler that hangs":
            hang()
        elif KIND == "a handler that keeps the lock of logging":
            with logging._lock:
                hang()
        elif KIND == "a handler that exits":
            sys.exit(5)
        elif KIND == "a handler that interrupts":
            raise KeyboardInterrupt
        else:
            self.format(record)

class Filter(logging.Filter):
    def filter(self, record):
        hang()

class Formatter(logging.Formatter):
    def format(self, record):
        sys.exit(5)

KIND = os.environ["KIND"]
if KIND == "a factory of records that hangs":
    logging.setLogRecordFactory(hang)
handler = Handler()
if KIND == "a filter that hangs":
    handler.addFilter(Filter())
elif KIND == "a formatter that exits":
    handler.setFormatter(Formatter())
elif KIND == "a handler that hangs":
    atexit.register(hang)
logging.getLogger("fairque").addHandler(handler)

@task
def note_it():
    note()

@task
def fails():
    raise ValueError("of a test")
"""
HANGING = [
    "a handler that hangs",
    "a handler that keeps the lock of logging",
    "a filter that hangs",
    "a factory of records that hangs",
]
EXITING = ["a handler that exits", "a handler that interrupts", "a formatter that exits"]
KINDS = [*HANGING[:1], *only_thorough(*HANGING[1:]), EXITING[0], *only_thorough(*EXITING[1:])]
SOME = ["a handler that hangs", *only_thorough("a handler that exits")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_runs_its_tasks_and_ends_at_a_signal_whatever_a_handler_of_its_log_does(
    project: Any, queue: Any, kind: str
) -> None:
    project.write(HANDLERS)
    process = project.begin(environ={"KIND": kind})
    failing = queue.push(Task(func="tasks:fails", retries=0))
    eventually(lambda: failing.state() is TaskState.FAILED, what="a failure that is reported to the queue")
    for _ in range(3):
        queue.push(Task(func="tasks:note_it")).result(timeout=LONG)
    process.signal(signal.SIGTERM)
    assert process.ends(LONG) == 0
    assert len(project.ledger()) == 3
    assert f"a handler of the log {'hangs' if kind in HANGING else 'failed'}" in process.stderr
    assert (project.folder / "hangs").exists() == (kind in HANGING)


@pytest.mark.parametrize("kind", SOME)
def test_a_burst_ends_with_0_whatever_a_handler_of_its_log_does(project: Any, queue: Any, kind: str) -> None:
    project.write(HANDLERS)
    names = ("fails", "note_it", "note_it")
    handles = [queue.push(Task(func=f"tasks:{name}", retries=0)) for name in names]
    assert project.begin("--burst", "tasks", environ={"KIND": kind}).ends(LONG) == 0
    assert [handle.state() for handle in handles] == [TaskState.FAILED, TaskState.FINISHED, TaskState.FINISHED]


@pytest.mark.parametrize("kind", SOME)
def test_a_refused_command_has_its_code_and_message_whatever_a_handler_of_its_log_does(project: Any, kind: str) -> None:
    project.write(HANDLERS)
    environ = {"KIND": kind, "FAIRQUE_REDIS_URL": "redis://127.0.0.1:1/0", "FAIRQUE_REDIS_RETRIES": "0"}
    process = project.begin(environ=environ)
    assert process.ends(LONG) == 3
    assert "does not answer" in process.stderr


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.thorough
def test_several_processes_end_at_a_signal_whatever_a_handler_of_their_log_does(
    project: Any, queue: Any, kind: str
) -> None:
    project.write(HANDLERS)
    process = project.begin("--processes", "2", "tasks", environ={"KIND": kind})
    queue.push(Task(func="tasks:note_it")).result(timeout=LONG)
    process.signal(signal.SIGTERM)
    assert process.ends(LONG) == 0


@pytest.mark.parametrize("kind", SOME)
def test_a_scheduler_leads_and_ends_at_a_signal_whatever_a_handler_of_its_log_does(project: Any, kind: str) -> None:
    project.write(HANDLERS)
    with scheduler(project, subprocess.DEVNULL, KIND=kind, FAIRQUE_SCHEDULER_MODULES="tasks") as process:
        leads(project, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


PROGRAM = """
import os, time
import tasks
from fairque.worker import Worker
worker = Worker.from_url(
    os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"], modules=["tasks"]
)
worker.start()
while not (tasks.HERE / "ledger").exists():
    time.sleep(0.005)
"""


@pytest.mark.parametrize("kind", SOME)
def test_a_program_ends_although_a_log_handler_hangs_in_its_worker_that_was_not_stopped(
    project: Any, queue: Any, kind: str
) -> None:
    project.write(HANDLERS.replace("atexit.register(hang)", "pass"))
    (project.folder / "program.py").write_text(PROGRAM)
    handle = queue.push(Task(func="tasks:note_it"))
    environ = {**os.environ, **project.environ, "KIND": kind}
    with subprocess.Popen([sys.executable, "program.py"], cwd=project.folder, env=environ) as process:
        try:
            assert process.wait(LONG) == 0
        finally:
            process.kill()
    assert handle.state() in (TaskState.FINISHED, TaskState.QUEUED)


TASKS = """
@task
def note_it():
    note()

@task
def fails():
    raise ValueError("of a test")
"""


@contextmanager
def nobody_reads() -> Iterator[int]:
    """A pipe that is full, and stays full."""
    read, write = os.pipe()
    flags = fcntl.fcntl(write, fcntl.F_GETFL)
    fcntl.fcntl(write, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        while True:
            os.write(write, b"." * 512)
    except BlockingIOError:
        fcntl.fcntl(write, fcntl.F_SETFL, flags)
    try:
        yield write
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("words", [("tasks",), ("--processes", "2", "tasks")], ids=["one", "two"])
@pytest.mark.parametrize("both", [*only_thorough(False), True], ids=["error", "both"])  # noqa: FBT003 - a value
def test_workers_run_their_tasks_and_end_at_a_signal_although_their_output_is_not_read(
    project: Any, queue: Any, words: tuple[str, ...], *, both: bool
) -> None:
    project.write(TASKS)
    with nobody_reads() as pipe, worker(project, pipe, words, both=both) as process:
        failing = queue.push(Task(func="tasks:fails", retries=0))
        eventually(lambda: failing.state() is TaskState.FAILED, what="a failure that is reported to the queue")
        queue.push(Task(func="tasks:note_it")).result(timeout=LONG)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


@pytest.mark.thorough
def test_a_supervisor_starts_workers_again_although_nobody_reads_what_it_says(project: Any, queue: Any) -> None:
    project.write(TASKS)
    with nobody_reads() as pipe, worker(project, pipe, ("--processes", "2", "--concurrency", "1", "tasks")) as process:
        for number in range(3):
            queue.push(Task(func="tasks:note_it")).result(timeout=LONG)
            if number < 2:
                os.kill(int(project.ledger()[-1][2]), signal.SIGKILL)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    assert len({line[2] for line in project.ledger()}) == 3


@pytest.mark.thorough
def test_a_refused_worker_ends_with_its_code_although_its_output_is_not_read(project: Any) -> None:
    project.write(TASKS)
    project.environ |= {"FAIRQUE_REDIS_URL": "redis://127.0.0.1:1/0", "FAIRQUE_REDIS_RETRIES": "0"}
    with nobody_reads() as pipe, worker(project, pipe, ("tasks",)) as process:
        assert process.wait(LONG) == 3


@pytest.mark.thorough
def test_a_scheduler_leads_and_ends_at_a_signal_although_its_output_is_not_read(project: Any) -> None:
    with nobody_reads() as pipe, scheduler(project, pipe) as process:
        leads(project, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


@contextmanager
def begun(
    project: Any, words: list[str], environ: dict[str, str], **streams: Any
) -> "Iterator[subprocess.Popen[bytes]]":
    environ = {**os.environ, **project.environ, **environ}
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=project.folder, env=environ, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def worker(project: Any, pipe: int, words: tuple[str, ...], *, both: bool = False) -> Any:
    return begun(project, ["fairque.worker", *words], {}, stdout=pipe if both else subprocess.DEVNULL, stderr=pipe)


def scheduler(project: Any, pipe: int, **environ: str) -> Any:
    return begun(project, ["fairque.scheduler"], environ, stderr=pipe)


def leads(project: Any, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the scheduler leads."""
    url, name = project.environ["FAIRQUE_REDIS_URL"], project.environ["FAIRQUE_QUEUE_NAME"]
    with TaskScheduler.from_url(url, queue=name) as observer:

        def does() -> bool:
            assert process.poll() is None
            return observer.schedules.status().leader is not None

        eventually(does, what="a leader")
