"""Processes end in time and with the right exit code, whatever the threads, pools and processes of user code do."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairque.client import Task, TaskState
from fairque.testing.internal import eventually, only_thorough

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Far more than any of them needs: with the fault they never end.
LONG = 300

LEAVE = """
import asyncio, atexit, multiprocessing, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import logging

FORK = multiprocessing.get_context("fork")
POOL = ThreadPoolExecutor(2)
IDLE = ThreadPoolExecutor(2)
list(IDLE.map(str, range(4)))
left = []

def hang(*_):
    (HERE / "hangs").touch()
    while True:
        time.sleep(1_000)

class Slow(logging.Handler):
    def emit(self, record): (HERE / "closed").unlink(missing_ok=True)
    def close(self):
        (HERE / "closed").touch()
        super().close()

logging.getLogger("slow").addHandler(Slow())
atexit.register((HERE / "handled").touch)

class Unflushable:
    def write(self, text): return sys.__stdout__.write(text)
    def flush(self): raise SystemExit(5)

def leave(kind):
    if kind == "a pool of the module":
        POOL.submit(hang)
    elif kind == "a thread":
        threading.Thread(target=hang, daemon=False).start()
    elif kind == "a process":
        left.append(FORK.Process(target=hang))
        left[-1].start()
    elif kind == "a pool of multiprocessing":
        left.append(FORK.Pool(1))
        left[-1].apply_async(hang)
    elif kind == "a pool of processes":
        left.append(ProcessPoolExecutor(1, mp_context=FORK))
        left[-1].submit(hang)
    elif kind == "a stream that cannot be flushed":
        sys.stdout = Unflushable()
        (HERE / "hangs").touch()
    elif kind == "a thread, and a hook that ends all others":
        threading.Thread(target=hang, daemon=False).start()
        def ends(*_): raise SystemExit
        threading.settrace(ends)
    elif kind == "a handler":
        atexit.register(hang)
        (HERE / "hangs").touch()
    else:
        (HERE / "hangs").touch()
    print("left", kind)

@task
async def left_by_a_coroutine(kind):
    if kind == "to_thread":
        left.append(asyncio.ensure_future(asyncio.to_thread(hang)))
    else:
        leave(kind)

@task
def left_by_a_thread(kind):
    leave(kind)

@task(isolation="process")
def left_by_a_process(kind):
    leave(kind)

@task(retries=0)
def hangs_in_a_thread():
    hang()

@task(retries=0)
async def hangs_in_to_thread():
    await asyncio.to_thread(hang)

@task(retries=0)
async def hangs_in_a_pool():
    await asyncio.get_running_loop().run_in_executor(POOL, hang)

@task(retries=0, isolation="process")
def hangs_in_a_process():
    hang()
"""

KINDS = [
    "nothing",
    "a pool of the module",
    "a thread",
    "a thread, and a hook that ends all others",
    "a stream that cannot be flushed",
    "a process",
    "a pool of multiprocessing",
    "a pool of processes",
    "a handler",
]
LEFT = [
    *(("left_by_a_thread", kind) for kind in KINDS[::2]),
    *only_thorough(*(("left_by_a_thread", kind) for kind in KINDS[1::2])),
    ("left_by_a_coroutine", "to_thread"),
    *only_thorough(*(("left_by_a_coroutine", kind) for kind in ("a pool of the module", "a thread"))),
    ("left_by_a_process", "a pool of the module"),
    *only_thorough(("left_by_a_process", "a thread")),
]
HANGING = ["hangs_in_a_thread", "hangs_in_to_thread", *only_thorough("hangs_in_a_pool", "hangs_in_a_process")]


def push(queue: Any, function: str, *args: Any) -> Any:
    return queue.push(Task(func=f"tasks:{function}", args=args))


def running(pattern: Path) -> list[str]:
    """The ids of the processes that run in a folder."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if (path / "cwd").resolve() == pattern and "State:\tZ" not in (path / "status").read_text():
                    found.append(path.name)
            except OSError:
                continue
    return found


@pytest.mark.parametrize(("function", "kind"), LEFT)
def test_a_burst_ends_although_its_tasks_have_left_something_that_hangs(
    project: Any, queue: Any, function: str, kind: str
) -> None:
    project.write(LEAVE)
    handle = push(queue, function, kind)
    process = project.begin("--burst", "tasks")
    assert process.ends(LONG) == 0
    handled = {name for name in ("handled", "closed") if (project.folder / name).exists()}
    assert handled == ({"handled", "closed"} if kind != "a handler" else set())  # registered last, it is called first
    assert handle.state() is TaskState.FINISHED
    output = process.popen.stdout.read().decode()
    assert output.count(f"left {kind}\n") == (kind != "to_thread")
    eventually(lambda: not running(project.folder), what="the end of all its processes")


@pytest.mark.parametrize(("function", "kind"), LEFT)
def test_a_signal_ends_a_worker_whose_tasks_have_left_something_that_hangs(
    project: Any, queue: Any, function: str, kind: str
) -> None:
    project.write(LEAVE)
    process = project.start()
    push(queue, function, kind).result(timeout=LONG)
    eventually((project.folder / "hangs").exists, what="what hangs")
    process.signal(signal.SIGTERM)
    assert process.ends(LONG) == 0
    assert (project.folder / "handled").exists() == (kind != "a handler")
    eventually(lambda: not running(project.folder), what="the end of all its processes")


@pytest.mark.parametrize("function", HANGING)
def test_a_signal_ends_a_worker_whose_task_hangs_and_releases_the_task(project: Any, queue: Any, function: str) -> None:
    project.write(LEAVE)
    process = project.start(environ={"FAIRQUE_WORKER_STOP_TIMEOUT": "0.1"})
    handle = push(queue, function)
    eventually((project.folder / "hangs").exists, what="the task")
    process.signal(signal.SIGTERM)
    assert process.ends(LONG) == 0
    assert handle.state() is TaskState.QUEUED
    assert (project.folder / "handled").exists()


AT_IMPORT = LEAVE + "\nleave(os.environ['LEAVE'])\n"


@pytest.mark.parametrize("kind", ["a pool of the module", *only_thorough("a thread", "a handler")])
class TestThreadsPoolsAndProcessesOfAModule:
    def test_do_not_keep_a_burst_from_ending(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT)
        assert project.begin("--burst", "tasks", environ={"LEAVE": kind}).ends(LONG) == 0

    def test_do_not_keep_several_processes_from_ending(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT)
        process = project.begin("--processes", "2", "tasks", environ={"LEAVE": kind})
        eventually(lambda: process.stderr.count("worker started") == 2, what="two workers")
        process.signal(signal.SIGTERM)
        assert process.ends(LONG) == 0

    def test_do_not_keep_a_refused_command_from_ending(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT)
        environ = {"LEAVE": kind, "FAIRQUE_REDIS_URL": "redis://127.0.0.1:1/0", "FAIRQUE_REDIS_RETRIES": "0"}
        assert project.begin(environ=environ).ends(LONG) == 3

    def test_do_not_keep_a_command_with_a_broken_module_from_ending(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT + "\nraise RuntimeError\n")
        assert project.begin(environ={"LEAVE": kind}).ends(LONG) == 6

    def test_do_not_keep_a_scheduler_from_ending(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT)
        with begun(project, "fairque.scheduler", LEAVE=kind) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if b"scheduler started" in line:
                    break
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(LONG) == 0
        assert (project.folder / "handled").exists() == (kind != "a handler")

    def test_do_not_keep_a_command_from_ending_that_imports_them(self, project: Any, kind: str) -> None:
        project.write(AT_IMPORT)
        (project.folder / "schedules.yaml").write_text("scheduler: {modules: [tasks]}\nschedules: {}\n")
        with begun(project, "fairque.console", "apply", "schedules.yaml", LEAVE=kind) as process:
            process.communicate()
            assert process.returncode == 0


def test_a_thread_of_a_module_does_not_keep_apply_from_ending_whatever_the_file_is_called(project: Any) -> None:
    project.write(AT_IMPORT)
    (project.folder / "--help").write_text("scheduler: {modules: [tasks]}\nschedules: {}\n")
    with begun(project, "fairque.console", "apply", "--", "--help", LEAVE="a thread") as process:
        process.communicate(timeout=LONG)
        assert process.returncode == 0


@contextmanager
def begun(project: Any, module: str, *words: str, **environ: str) -> "Iterator[subprocess.Popen[bytes]]":
    environ |= {"FAIRQUE_SCHEDULER_MODULES": "tasks"}
    with subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=project.folder,
        env={**os.environ, **project.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


PROGRAM = """
import os, sys, threading, time
from fairque.worker import Worker
from pathlib import Path

worker = Worker.from_url(
    os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"], modules=["tasks"], lease=600
)
worker.start()
while not Path("hangs").exists():
    time.sleep(0.01)
print("the end")
"""


class TestAProgramWithAWorkerThatWasNotStopped:
    def program(self, project: Any, text: str) -> "subprocess.Popen[bytes]":
        (project.folder / "program.py").write_text(text)
        return subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=project.folder,
            env={**os.environ, **project.environ},
            stdout=subprocess.PIPE,
        )

    @pytest.mark.parametrize("function", HANGING)
    def test_ends_and_releases_the_task_that_hangs(self, project: Any, queue: Any, function: str) -> None:
        project.write(LEAVE)
        handle = push(queue, function)
        with self.program(project, PROGRAM) as process:
            output, _ = process.communicate(timeout=LONG)
        assert (process.returncode, output) == (0, b"the end\n")
        assert handle.state() is TaskState.QUEUED
        assert (project.folder / "handled").exists()

    @pytest.mark.parametrize(
        ("function", "kind"),
        [
            ("left_by_a_thread", "a pool of the module"),
            ("left_by_a_thread", "nothing"),
            ("left_by_a_coroutine", "to_thread"),
            ("left_by_a_coroutine", "a pool of the module"),
        ],
    )
    def test_ends_although_a_task_has_left_something(self, project: Any, queue: Any, function: str, kind: str) -> None:
        project.write(LEAVE)
        push(queue, function, kind)
        with self.program(project, PROGRAM) as process:
            output, _ = process.communicate(timeout=LONG)
        assert process.returncode == 0
        assert b"the end\n" in output

    def test_has_the_exit_code_of_the_exception_that_ended_it(self, project: Any, queue: Any) -> None:
        project.write(LEAVE)
        push(queue, "hangs_in_a_pool")
        with self.program(project, PROGRAM + "raise RuntimeError\n") as process:
            process.communicate(timeout=LONG)
        assert process.returncode == 1

    def test_continues_while_a_thread_of_its_own_runs(self, project: Any, queue: Any) -> None:
        project.write(LEAVE)
        push(queue, "hangs_in_a_pool")
        rest = """
def serve():
    sys.stdin.readline()
    print("served")

threading.Thread(target=serve).start()
"""
        (project.folder / "program.py").write_text(PROGRAM + rest)
        with subprocess.Popen(
            [sys.executable, "-u", "program.py"],
            cwd=project.folder,
            env={**os.environ, **project.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"the end\n"
            assert push(queue, "left_by_a_thread", "nothing").result(timeout=LONG) is None
            output, _ = process.communicate(b"\n", timeout=LONG)
        assert process.returncode == 0
        assert output.endswith(b"served\n")

    def test_waits_for_the_processes_that_it_has_started_itself(self, project: Any, queue: Any) -> None:
        project.write(LEAVE)
        push(queue, "left_by_a_thread", "nothing")
        rest = """
import multiprocessing
def work():
    time.sleep(2)  # longer than others have to end
    Path("worked").touch()
multiprocessing.get_context("fork").Process(target=work).start()
"""
        with self.program(project, PROGRAM + rest) as process:
            process.communicate(timeout=LONG)
        assert process.returncode == 0
        assert (project.folder / "worked").exists()

    def test_ends_a_scheduler_that_resigns(self, project: Any) -> None:
        text = """
import os
from fairque.scheduler import TaskScheduler
scheduler = TaskScheduler.from_url(
    os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"], lease=600
)
scheduler.start()
while scheduler.state != "leader":
    pass
"""
        for _ in range(2):
            with self.program(project, text) as process:
                process.communicate(timeout=LONG)
            assert process.returncode == 0


OWN_PROCESS = """
import multiprocessing, os, sys
from pathlib import Path
from fairque.worker import Worker

def works():
    worker = Worker.from_url(
        os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"], modules=["tasks"], lease=600,
        stop_timeout=0.1,
    )
    worker.start()
    while not Path("ledger").exists():
        pass

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=works)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_in_a_process_of_multiprocessing_that_was_not_stopped_gives_back_its_tasks(
    project: Any, queue: Any, method: str
) -> None:
    project.write("@task\ndef long():\n    note()\n    time.sleep(600)\n")
    (project.folder / "program.py").write_text(OWN_PROCESS)
    handle = queue.push(Task(func="tasks:long"))
    subprocess.run(
        [sys.executable, "program.py", method],
        cwd=project.folder,
        env={**os.environ, **project.environ},
        timeout=LONG,
        check=True,
    )
    assert handle.state() is TaskState.QUEUED
