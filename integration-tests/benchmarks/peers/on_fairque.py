"""fairque: threads, at least once, results kept."""

from noop import TASKS, TEXT, URL, noop

from fairque.client import TaskQueue, task

run = task(name="noop")(noop)


def push() -> None:
    """Push the tasks one by one."""
    with TaskQueue.from_url(URL, default_user_id="one") as queue:
        for _ in range(TASKS):
            queue.push(run.task(TEXT))
