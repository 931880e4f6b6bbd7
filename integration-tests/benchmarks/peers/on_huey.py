"""Huey: threads, blocking reads, and a notification for each result where results are needed."""

from bodies import RESULTS, SYNC, TEXT, URL
from huey import RedisHuey

huey = RedisHuey("benchmark", url=URL, results=RESULTS, store_none=RESULTS, notify_result=RESULTS)
TASKS = {name: huey.task()(body) for name, body in SYNC.items()}


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        TASKS[name](TEXT)


def call(name: str) -> None:
    """Push a task and wait for its result."""
    TASKS[name](TEXT).get(blocking=True, timeout=30)
