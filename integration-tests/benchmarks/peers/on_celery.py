"""Celery: acknowledged after the run, no results unless they are needed, one process."""

from bodies import RESULTS, SYNC, TEXT, URL
from celery import Celery

app = Celery(broker=URL, backend=URL if RESULTS else None)
app.conf.update(task_acks_late=True, task_ignore_result=not RESULTS, worker_prefetch_multiplier=64)
TASKS = {name: app.task(body, name=name) for name, body in SYNC.items()}


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        TASKS[name].delay(TEXT)


def call(name: str) -> None:
    """Push a task and wait for its result."""
    TASKS[name].delay(TEXT).get(timeout=30)
