"""Waking up: an idle worker starts a task because it was pushed, not because it looks now and then."""

from typing import Any

from fairque.client import Task
from fairque.protocol import clock
from fairque.worker.courier import LONGEST_WAIT_SECONDS

TASKS = """
@task
def nothing():
    pass
"""


def test_a_push_starts_a_task_at_once_on_an_idle_worker_in_another_process(project: Any, queue: Any) -> None:
    project.write(TASKS)
    for _ in range(2):
        project.start()
    times = []
    for _ in range(10):
        pushed = clock.monotonic()
        queue.push(Task.create(func="tasks:nothing")).result(20)
        times.append(clock.monotonic() - pushed)
    # Two looks of two workers in two seconds would find one in half a second on average, ten of them in five.
    assert max(times) < LONGEST_WAIT_SECONDS / 2
    assert sum(times) < LONGEST_WAIT_SECONDS
