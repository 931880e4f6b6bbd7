"""Dramatiq: threads, no results unless they are needed."""

import dramatiq
from bodies import RESULTS, SYNC, TEXT, URL
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=URL)
if RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)
TASKS = {
    name: dramatiq.actor(body, actor_name=name, **({"store_results": True} if RESULTS else {}))
    for name, body in SYNC.items()
}


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        TASKS[name].send(TEXT)


def call(name: str) -> None:
    """Push a task and wait for its result."""
    TASKS[name].send(TEXT).get_result(block=True, timeout=30_000)
