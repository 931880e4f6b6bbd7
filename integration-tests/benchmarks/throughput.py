"""How fast one process pushes tasks, and one worker process empties a queue of no-op tasks.

    python integration-tests/benchmarks/throughput.py [redis://...]

20,000 tasks of 200 bytes wait when the worker starts; 2,000 are pushed one by one. The round trip is the median PING of
redis-py in the same run.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from benchmark_tasks import nothing
from common import new_queue, round_trip_ms, server_url
from workers import drain_rate, worker

from fairque.client import Task, TaskQueue
from fairque.protocol.clock import monotonic
from fairque.protocol.wire.codec import encode_task

TASKS = 20_000
BYTES = 200
THREADS = 8


def main() -> None:
    """Print the table."""
    with server_url() as url, redis.Redis.from_url(url) as client:
        print(f"round trip {round_trip_ms(client):.3f} ms")
        for label, users in (("one user", 1), ("1,000 users", 1_000)):
            print(f"{label:12} {_pushing(url, users)}")
            name = new_queue().name
            with TaskQueue.from_url(url, queue=name) as queue:
                tasks = [_task(f"user-{number % users}") for number in range(TASKS)]
                began = monotonic()
                queue.push_many(tasks, chunked=True)
                pushed = TASKS / (monotonic() - began)
                with worker(url, name):
                    rate = drain_rate(queue, TASKS)
            print(f"{label:12} pushed in bulk {pushed:8,.0f} tasks/s, drained {rate:8,.0f} tasks/s by one process")


def _pushing(url: str, users: int) -> str:
    """Push tasks one by one, in one thread and in several at the same time."""
    rates = []
    for threads in (1, THREADS):
        with TaskQueue.from_url(url, queue=new_queue().name) as queue, ThreadPoolExecutor(threads) as pool:
            tasks = [_task(f"user-{number % users}") for number in range(TASKS // 10)]
            queue.push(_task("first"))
            began = monotonic()
            list(pool.map(queue.push, tasks))
            rates.append(len(tasks) / (monotonic() - began))
    return f"pushed one by one {rates[0]:8,.0f} tasks/s, by {THREADS} threads {rates[1]:8,.0f} tasks/s"


def _task(user: str) -> Task[Any]:
    bare = nothing.options(user_id=user).task("")
    return nothing.options(user_id=user).task("x" * max(0, BYTES - len(encode_task(bare).data)))


if __name__ == "__main__":
    main()
