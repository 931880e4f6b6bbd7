"""Workers that are killed without warning: their tasks are started again, end once, and none is lost."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fairque.client import Backoff, Priority, Task, TaskFailed, TaskState
from fairque.testing.internal import PATIENCE, eventually

TASKS = """
import threading
@task
def patient(name):
    note()
    wait_for(name)
    return current_context().attempt

@task
def deadly():
    note()
    os.kill(os.getpid(), signal.SIGKILL)

@task
def deadly_to_workers():
    note()
    # In the main thread it runs in a child of the worker.
    apart = threading.current_thread() is threading.main_thread()
    os.kill(os.getppid() if apart else os.getpid(), signal.SIGKILL)
    time.sleep(60)

@task(retries=0)
def short():
    note()
    time.sleep(0.05)
"""

LEASE = 1.0
SHORT = {"FAIRQUE_WORKER_LEASE": str(LEASE), "FAIRQUE_WORKER_HEARTBEAT": "0.25"}


def test_the_task_of_a_killed_worker_is_started_again_after_its_lease(project: Any, queue: Any) -> None:
    project.write(TASKS)
    victim = project.start(environ=SHORT)
    running = queue.push(Task(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    other = project.start(environ=SHORT)
    victim.kill()
    eventually(lambda: len(project.ledger()) == 2, what="the second attempt")
    status = Path(f"/proc/{project.ledger()[1][2]}/status").read_text()
    project.touch("go")
    assert running.result(PATIENCE) == 2
    # The second time it runs apart from other tasks, in a child process of the other worker.
    (first, second) = project.ledger()
    assert (first[1:3], second[1]) == (["1", str(victim.pid)], "2")
    assert f"PPid:\t{other.pid}\n" in status
    stats = queue.info()
    totals = [stats.totals[name] for name in ("finished", "failed", "canceled", "expired")]
    assert (totals, stats.kept) == ([1, 0, 0, 1], 1)
    assert running.info().failures == 0


@pytest.mark.thorough
def test_a_task_that_kills_its_worker_five_times_is_a_dead_letter(project: Any, queue: Any) -> None:
    project.write(TASKS)
    workers = [project.begin(environ=SHORT) for _ in range(6)]
    deadly = queue.push(Task(func="tasks:deadly_to_workers", retries=100))
    with pytest.raises(TaskFailed) as caught:
        deadly.result(PATIENCE)
    assert (caught.value.reason, caught.value.error.type) == ("lost_workers", "WorkerLost")
    attempts, pids = [line[1] for line in project.ledger()], {line[2] for line in project.ledger()}
    # On a busy machine the lease of a delivery may be lost before the task has started: then it kills no worker.
    assert attempts[0] == "1"
    assert attempts == sorted(set(attempts) & set("12345"))
    assert len(pids) == len(attempts)
    codes = [worker.popen.poll() or 0 for worker in workers]
    assert sorted(codes) == [-9] * len(pids) + [0] * (6 - len(pids))
    # The others continue with the pushed tasks.
    assert queue.push(Task(func="tasks:short")).result(PATIENCE) is None


def test_a_task_that_kills_its_process_ends_other_tasks_only_once(project: Any, queue: Any) -> None:
    project.write(TASKS)
    victim = project.start("tasks", "--concurrency", "4", environ=SHORT)
    neighbours = queue.push_many([Task(func="tasks:patient", args=["go"]) for _ in range(3)])
    for handle in neighbours:
        project.noted(handle.task_id)
    other = project.begin("tasks", "--concurrency", "4", environ=SHORT)
    deadly = queue.push(Task(func="tasks:deadly", priority=Priority.CRITICAL, retries=2, backoff=Backoff(base=0.01)))
    project.noted(deadly.task_id)
    # The worker that had it is dead; the other one survives its further attempts.
    dead = eventually(lambda: [one for one in (victim, other) if one.popen.poll() is not None], what="a dead worker")
    with pytest.raises(TaskFailed) as caught:
        deadly.result(PATIENCE)
    assert (caught.value.reason, caught.value.error.type) == ("retries", "ChildDied")
    assert "was ended by SIGKILL" in caught.value.error.message
    project.touch("go")
    assert all(handle.result(PATIENCE) <= 2 for handle in neighbours)
    assert [one.popen.poll() for one in (victim, other) if one not in dead] == [None]
    assert len([line for line in project.ledger() if line[0] == deadly.task_id]) == 4


def test_nothing_is_lost_while_workers_are_killed_one_after_the_other(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handles: list[Any] = []
    args = ("tasks", "--concurrency", "4")
    workers = [project.start(*args, environ=SHORT) for _ in range(2)]

    def have_run(number: int) -> bool:
        return len(project.ledger()) >= number

    # Not every kill hits a worker with a task: repeat until enough did.
    while queue.info().totals["expired"] < 3:
        handles += queue.push_many([Task(func="tasks:short", user_id=f"u{n % 5}") for n in range(50)])
        eventually(partial(have_run, len(project.ledger()) + 25), what="some work")
        workers.pop(0).kill()
        workers.append(project.begin(*args, environ=SHORT))
    eventually(lambda: queue.info().totals["finished"] == len(handles), what="all tasks")
    assert {handle.state() for handle in handles} == {TaskState.FINISHED}
    stats = queue.info()
    assert (stats.totals["failed"], stats.totals["canceled"]) == (0, 0)
    assert set(stats.tasks.values()) == {0}
    assert {line[0] for line in project.ledger()} == {handle.task_id for handle in handles}
