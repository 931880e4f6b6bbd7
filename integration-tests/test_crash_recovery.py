"""Workers that are killed without any warning: what they ran is started again, ends once, and nothing is lost."""

from functools import partial
from typing import Any

import pytest

from fairque.client import Task, TaskFailed, TaskState
from fairque.protocol import clock
from fairque.protocol.testing import eventually

TASKS = """
@task
def patient(name):
    note()
    wait_for(name)
    return current_context().attempt

@task
def deadly():
    note()
    os.kill(os.getpid(), signal.SIGKILL)

@task(retries=0)
def short():
    note()
    time.sleep(0.02)
"""

LEASE = 1.0
SHORT = {"FAIRQUE__WORKER__LEASE_SECONDS": str(LEASE), "FAIRQUE__WORKER__HEARTBEAT_SECONDS": "0.25"}


def test_the_task_of_a_killed_worker_is_started_again_within_the_lease_and_five_seconds(
    project: Any, queue: Any
) -> None:
    project.write(TASKS)
    victim = project.start(environ=SHORT)
    running = queue.push(Task.create(func="tasks:patient", args=["go"]))
    project.noted(running.task_id)
    other = project.start(environ=SHORT)
    victim.kill()
    killed = clock.monotonic()
    eventually(lambda: len(project.ledger()) == 2, within=LEASE + 5, what="the second attempt")
    assert clock.monotonic() - killed < LEASE + 5
    project.touch("go")
    assert running.result(10) == 2
    assert [line[1:3] for line in project.ledger()] == [["1", str(victim.pid)], ["2", str(other.pid)]]
    stats = queue.stats()
    assert (stats.finished, stats.failed, stats.canceled, stats.kept, stats.expired) == (1, 0, 0, 1, 1)
    assert running.info().failures == 0


def test_a_task_that_kills_its_worker_five_times_is_a_dead_letter(project: Any, queue: Any) -> None:
    project.write(TASKS)
    environ = {"FAIRQUE__WORKER__LEASE_SECONDS": "0.5", "FAIRQUE__WORKER__HEARTBEAT_SECONDS": "0.1"}
    workers = [project.begin(environ=environ) for _ in range(6)]
    deadly = queue.push(Task.create(func="tasks:deadly", retries=100))
    with pytest.raises(TaskFailed) as caught:
        deadly.result(30)
    assert (caught.value.reason, caught.value.error_type) == ("deliveries", "WorkerLost")
    assert [line[1] for line in project.ledger()] == ["1", "2", "3", "4", "5"]
    assert len({line[2] for line in project.ledger()}) == 5
    assert sorted(worker.popen.poll() or 0 for worker in workers) == [-9] * 5 + [0]
    # The sixth goes on with what others push.
    assert queue.push(Task.create(func="tasks:short")).result(10) is None


def test_nothing_is_lost_while_workers_are_killed_one_after_the_other(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handles = queue.push_many([Task.create(func="tasks:short", user_id=f"u{n % 5}") for n in range(200)])
    args = ("tasks", "--concurrency", "4")
    workers = [project.start(*args, environ=SHORT) for _ in range(2)]

    def have_run(number: int) -> bool:
        return len(project.ledger()) >= number

    for killed in range(5):
        eventually(partial(have_run, 25 * (killed + 1)), within=20, what="some work")
        workers.pop(0).kill()
        workers.append(project.begin(*args, environ=SHORT))
    eventually(lambda: queue.stats().finished == 200, within=30, what="all tasks")
    assert {handle.state() for handle in handles} == {TaskState.FINISHED}
    stats = queue.stats()
    assert (stats.failed, stats.canceled, stats.kept, stats.queued, stats.running) == (0, 0, 200, 0, 0)
    assert {line[0] for line in project.ledger()} == {handle.task_id for handle in handles}
    assert stats.expired >= 1
