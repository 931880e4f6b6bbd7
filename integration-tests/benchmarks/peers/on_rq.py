"""RQ: without a process per task, its fastest configuration."""

from noop import TASKS, TEXT, URL, noop
from redis import Redis
from rq import Queue


def push() -> None:
    """Push the tasks one by one."""
    queue = Queue(connection=Redis.from_url(URL))
    for _ in range(TASKS):
        queue.enqueue(noop, TEXT, result_ttl=0)
