"""Fairness from end to end: the first user's backlog does not delay the others."""

from typing import Any

from fairque.client import Task

TASKS = """
@task
def short():
    note()
"""

NOISY = 500
QUIET_USERS = 5
QUIET = 10


def test_users_who_push_a_little_after_a_long_backlog_are_served_among_the_first(project: Any, queue: Any) -> None:
    project.write(TASKS)
    queue.push_many([Task.create(func="tasks:short", user_id="noisy") for _ in range(NOISY)])
    quiet = {
        handle.task_id
        for number in range(QUIET_USERS)
        for handle in queue.push_many(
            [Task.create(func="tasks:short", user_id=f"quiet-{number}") for _ in range(QUIET)]
        )
    }
    code, _, errors = project.run("tasks", "--burst", "--concurrency", "1")
    assert code == 0, errors
    order = [line[0] for line in project.ledger()]
    assert len(order) == NOISY + QUIET_USERS * QUIET
    # Start-time fair queueing: while both have work, no user gets more service than another by more than the longest
    # task of each. All tasks cost about the same, so when a quiet user's last one starts, the noisy one has had at
    # most QUIET + 2; doubled, since one task may take longer than another.
    noisy = 2 * (QUIET + 2)
    last = max(place for place, task_id in enumerate(order, 1) if task_id in quiet)
    assert last <= QUIET_USERS * QUIET + noisy
