"""Wake-up: an idle worker starts a task because of the push, not because it polls."""

from typing import Any

from fairque.client import Task
from fairque.testing.internal import PATIENCE

# A worker that does not poll within a test: it starts only tasks for which it was woken.
TASKS = """
from fairque.worker.taking import exchange

exchange.LONGEST_WAIT_SECONDS = 3_600.0

@task
def nothing():
    pass
"""


def test_a_push_starts_a_task_at_once_on_an_idle_worker_in_another_process(project: Any, queue: Any) -> None:
    project.write(TASKS)
    for _ in range(2):
        project.start(environ={"FAIRQUE_WORKER_LEASE": "36000"})
    for _ in range(10):
        queue.push(Task(func="tasks:nothing")).result(PATIENCE)
