"""RQ: without a process per task, its fastest configuration; bulk pushes in a pipeline."""

from bodies import RESULTS, SYNC, TEXT, URL
from redis import Redis
from rq import Queue

queue = Queue(connection=Redis.from_url(URL))
_TTL = 60 if RESULTS else 0
_BATCH = 1_000


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        queue.enqueue(SYNC[name], TEXT, result_ttl=_TTL)


def push_many(name: str, number: int) -> None:
    """Push tasks in bulk."""
    for first in range(0, number, _BATCH):
        part = range(min(_BATCH, number - first))
        queue.enqueue_many([Queue.prepare_data(SYNC[name], (TEXT,), result_ttl=_TTL) for _ in part])


def call(name: str) -> None:
    """Push a task and wait for its result."""
    queue.enqueue(SYNC[name], TEXT, result_ttl=_TTL).latest_result(timeout=30)
