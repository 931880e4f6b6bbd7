"""fairque: at least once, fair between users, results kept; tasks in threads or on the event loop."""

import os
from importlib import import_module

from bodies import ASYNC, MIXED, SYNC, TEXT, URL

from fairque.client import TaskQueue, task

TASKS = {name: task(name=name)(body) for name, body in {**SYNC, **ASYNC, **MIXED}.items()}

if os.environ.get("BENCHMARK_LANE") == "no":
    # There is no setting for it. What is usually short runs in a lane. Here the same tasks run in threads.
    import_module("fairque.worker.running.executor").Executor._is_short = lambda _self, _job: False

queue = TaskQueue.from_url(URL, default_user_id="one")


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        queue.push(TASKS[name].task(TEXT))


def push_many(name: str, number: int) -> None:
    """Push tasks in bulk."""
    queue.push_many([TASKS[name].task(TEXT) for _ in range(number)], chunked=True)


def call(name: str) -> None:
    """Push a task and wait for its result."""
    queue.push(TASKS[name].task(TEXT)).result(timeout=30)
