"""Signals: the first one lets the running tasks end, the second one gives them back, and neither loses any."""

import signal
from typing import Any

import pytest

from fairque.client import Task, TaskState
from fairque.protocol.testing import eventually

TASKS = """
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
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_task_end_takes_no_other_and_exits_with_0(
    project: Any, queue: Any, number: int
) -> None:
    project.write(TASKS)
    worker = project.start("tasks", "--concurrency", "2")
    running = queue.push(Task.create(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(number)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    waiting = queue.push(Task.create(func="tasks:patient", args=["never"]))
    project.touch("go")
    assert worker.ends() == 0
    assert running.result(0) == "ended"
    assert waiting.state() is TaskState.QUEUED
    assert "Traceback" not in worker.stderr


def test_an_idle_worker_ends_at_a_signal(project: Any) -> None:
    project.write(TASKS)
    worker = project.start()
    worker.signal(signal.SIGTERM)
    assert worker.ends(within=5) == 0


def test_a_second_signal_gives_the_running_task_back_at_once_and_uncounted(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start(environ={"FAIRQUE__WORKER__GRACE_SECONDS": "600"})
    running = queue.push(Task.create(func="tasks:endless"))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker stops" in worker.stderr, what="that it heard the signal")
    assert running.state() is TaskState.STARTED
    worker.signal(signal.SIGTERM)
    assert worker.ends(within=5) == 0
    info = running.info()
    assert (info.state, info.attempts) == (TaskState.QUEUED, 0)
    # A thread that goes on keeps nobody from leaving, and what was printed is not lost.
    assert worker.popen.stdout.read() == b"begun\n"


def test_after_the_grace_the_running_task_is_given_back_and_runs_elsewhere(project: Any, queue: Any) -> None:
    project.write(TASKS)
    worker = project.start(environ={"FAIRQUE__WORKER__GRACE_SECONDS": "0.1"})
    running = queue.push(Task.create(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    worker.signal(signal.SIGTERM)
    assert worker.ends(within=5) == 0
    project.touch("go")
    other = project.start()
    assert running.result(10) == "ended"
    assert [line[1:3] for line in project.ledger()] == [["1", str(worker.pid)], ["1", str(other.pid)]]
    assert (queue.stats().finished, queue.stats().expired) == (1, 0)


def test_a_signal_before_anything_has_started_is_not_missed(project: Any) -> None:
    project.write("time.sleep(0.3)")
    worker = project.begin()
    worker.signal(signal.SIGTERM)
    # Whether Python itself or the worker hears it, the process ends.
    assert worker.ends(within=10) in (0, -signal.SIGTERM)
