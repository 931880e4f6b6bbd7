"""Signals: the first one lets the running tasks end, the second one releases them, and neither loses any."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from fairque.client import Task, TaskState
from fairque.testing.internal import PATIENCE, eventually

TASKS = """
import ctypes
@task
def patient(name):
    note()
    wait_for(name)
    return "ended"

@task
def endless():
    note()
    print("begun")
    while True:
        time.sleep(0.01)

@task
def holds_on():
    note()
    ctypes.PyDLL(None).sleep(600)  # in C, with the GIL

@task
async def waiting():
    note()
    await asyncio.sleep(600)

"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_the_running_task_end_takes_no_other_and_exits_with_0(
    project: Any, queue: Any, number: int
) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "2")
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(number)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    waiting = queue.push(Task(func="tasks:patient", args=["never"]))
    project.touch("go")
    assert worker.ends() == 0
    assert running.result(0) == "ended"
    assert waiting.state() is TaskState.QUEUED
    assert "Traceback" not in worker.stderr


def test_an_idle_worker_ends_at_a_signal(project: Any) -> None:
    project.write(TASKS)
    worker = project.start()
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def test_a_second_signal_releases_the_running_task_at_once_uncounted(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start(environ={"FAIRQUE_WORKER_STOP_TIMEOUT": "600"})
    running = queue.push(Task(func="tasks:endless"))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    assert running.state() is TaskState.STARTED
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    info = running.info()
    assert (info.state, info.attempts) == (TaskState.QUEUED, 0)
    # A thread that continues does not keep the process from ending, and its output is not lost.
    assert worker.popen.stdout.read() == b"begun\n"


def test_after_the_grace_the_running_task_is_released_and_runs_elsewhere(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start(environ={"FAIRQUE_WORKER_STOP_TIMEOUT": "0.1"})
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    project.touch("go")
    other = project.start()
    assert running.result(PATIENCE) == "ended"
    assert [line[1:3] for line in project.ledger()] == [["1", str(worker.pid)], ["1", str(other.pid)]]
    assert (queue.info().totals["finished"], queue.info().totals["expired"]) == (1, 0)


def test_a_signal_before_anything_has_started_is_not_missed(project: Any) -> None:
    project.write("time.sleep(0.3)")
    worker = project.begin()
    worker.signal(signal.SIGTERM)
    # Whether Python or the worker handles it, the process ends.
    assert worker.ends() in (0, -signal.SIGTERM)


def test_no_task_is_taken_after_the_worker_says_that_it_stops(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "2")
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    waiting = queue.push(Task(func="tasks:patient", args=["go"]))
    project.touch("go")
    assert worker.ends() == 0
    assert (running.state(), waiting.state()) == (TaskState.FINISHED, TaskState.QUEUED)


def test_a_quiet_worker_takes_no_tasks_until_it_is_resumed_and_keeps_running(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "2")
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(signal.SIGTSTP)
    eventually(lambda: "worker is paused" in worker.stderr, what="that it heard the signal")
    waiting = queue.push(Task(func="tasks:patient", args=["go"]))
    project.touch("go")
    assert running.result(PATIENCE) == "ended"
    # A wait in flight may take the task for an instant, and releases it without starting it.
    eventually(lambda: waiting.state() is TaskState.QUEUED, what="that the task waits for somebody else")
    # It has no work left, and still does not end.
    assert ([line[0] for line in project.ledger()], worker.popen.poll()) == ([running.task_id], None)
    worker.signal(signal.SIGCONT)
    assert waiting.result(PATIENCE) == "ended"
    worker.signal(signal.SIGTSTP)
    eventually(lambda: worker.stderr.count("worker is paused") == 2, what="that it is paused again")
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def test_a_signal_to_continue_is_ignored_by_a_worker_that_is_not_paused(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "1")
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    worker.signal(signal.SIGCONT)
    waiting = queue.push(Task(func="tasks:patient", args=["go"]))
    project.touch("go")
    assert worker.ends() == 0
    assert waiting.state() is TaskState.QUEUED
    assert "takes tasks again" not in worker.stderr


def test_a_worker_writes_a_dump_on_request_and_continues(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "3", "--log-format", "json")
    pushed: list[tuple[str, Any]] = [("endless", None), ("waiting", None), ("endless", "process")]
    handles = [queue.push(Task(func=f"tasks:{name}", isolation=where, user_id="acme")) for name, where in pushed]
    for handle in handles:
        project.noted(handle.task_id)
    worker.signal(signal.SIGUSR1)

    def told() -> list[Any]:
        lines = [json.loads(line) for line in worker.stderr.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "a task in flight"]

    eventually(lambda: len(told()) == 3, what="three tasks in the log")
    by_id = {line["task_id"]: line for line in told()}
    in_thread, on_loop, apart = (by_id[handle.task_id] for handle in handles)
    assert (in_thread["func"], in_thread["user_id"], in_thread["attempt"]) == ("tasks:endless", "acme", 1)
    assert (in_thread["where"], on_loop["where"]) == ("thread", "event loop")
    assert apart["where"].startswith("process ")
    assert any(frame.endswith(" waiting") for frame in on_loop["frames"])
    # The stacks of the threads, too: that of the task here, and that of the child from its own report.
    eventually(lambda: "tasks.py" in worker.stderr and "most recent call first" in worker.stderr, what="the stacks")
    threads = [json.loads(line) for line in worker.stderr.splitlines() if '"event": "a thread"' in line]
    assert any("endless" in frame for line in threads for frame in line["frames"])
    assert worker.popen.poll() is None


@pytest.mark.parametrize("name", ["endless", "holds_on"])
def test_the_children_end_with_a_worker_that_is_killed(project: Any, queue: Any, name: str) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "1")
    handle = queue.push(Task(func=f"tasks:{name}", isolation="process"))
    project.noted(handle.task_id)
    child = project.ledger()[0][2]
    assert int(child) != worker.pid
    worker.kill()
    eventually(lambda: not Path(f"/proc/{child}").exists(), what="the end of the child")


def test_a_task_in_a_process_is_released_at_a_second_signal_and_its_child_is_gone(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "1", environ={"FAIRQUE_WORKER_STOP_TIMEOUT": "600"})
    handle = queue.push(Task(func="tasks:endless", isolation="process"))
    project.noted(handle.task_id)
    child = project.ledger()[0][2]
    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert not Path(f"/proc/{child}").exists()
    assert (handle.state(), handle.info().attempts) == (TaskState.QUEUED, 0)


def test_an_error_that_a_handler_of_a_module_raises_is_shown_and_is_not_called_a_wrong_configuration(
    project: Any,
) -> None:
    project.write("signal.signal(signal.SIGUSR2, lambda *_: int('of a module'))")
    worker = project.start("tasks")
    worker.signal(signal.SIGUSR2)
    assert worker.ends() == 1
    assert "ValueError: invalid literal for int() with base 10: 'of a module'" in worker.stderr
    assert "handler" in worker.stderr or "lambda" in worker.stderr
