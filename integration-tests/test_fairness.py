"""Fairness end to end: the first user's backlog does not delay the others."""

from typing import Any

from fairque.client import CostMode, Task

TASKS = """
@task
def short():
    note()
"""

NOISY = 500
QUIET_USERS = 5
QUIET = 10


def test_users_that_push_a_little_after_a_long_backlog_are_served_among_the_first(project: Any, queue: Any) -> None:
    project.write(TASKS)
    # If each task costs one, the bound is a number of tasks, however long the machine takes for each.
    queue.set(cost_mode=CostMode.COUNT)
    queue.push_many([Task(func="tasks:short", user_id="noisy") for _ in range(NOISY)])
    quiet = {
        handle.task_id
        for number in range(QUIET_USERS)
        for handle in queue.push_many([Task(func="tasks:short", user_id=f"quiet-{number}") for _ in range(QUIET)])
    }
    code, _, errors = project.run("tasks", "--burst", "--concurrency", "1")
    assert code == 0, errors
    order = [line[0] for line in project.ledger()]
    assert len(order) == NOISY + QUIET_USERS * QUIET
    # While two users have work, one is ahead of the other by at most a task of each: when the last task of a quiet
    # user starts, the noisy one has had at most QUIET + 2.
    last = max(place for place, task_id in enumerate(order, 1) if task_id in quiet)
    assert last <= QUIET_USERS * QUIET + QUIET + 2
