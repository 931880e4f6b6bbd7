"""Dramatiq: one process with eight threads, no results."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from noop import TASKS, TEXT, URL, noop

dramatiq.set_broker(RedisBroker(url=URL))
run = dramatiq.actor(noop)


def push() -> None:
    """Push the tasks one by one."""
    for _ in range(TASKS):
        run.send(TEXT)
