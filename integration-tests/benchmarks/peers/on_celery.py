"""Celery: acknowledged after the run, no results, one process without a pool: its fastest setup for such tasks."""

from celery import Celery
from noop import TASKS, TEXT, URL, noop

app = Celery(broker=URL.replace("unix://", "redis+socket://", 1))
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=64)
run = app.task(noop, name="noop")


def push() -> None:
    """Push the tasks one by one."""
    for _ in range(TASKS):
        run.delay(TEXT)
