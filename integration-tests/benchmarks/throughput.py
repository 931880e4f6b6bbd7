"""How fast one worker process empties a queue of no-op tasks, relative to one round trip to the server.

    python integration-tests/benchmarks/throughput.py [redis://...]

20,000 tasks of 200 bytes wait when the worker starts. The round trip is the median PING of redis-py in the same run.
"""

from typing import Any

import redis
from benchmark_tasks import nothing
from common import batches, new_queue, round_trip_ms, server_url
from workers import drain_rate, worker

from fairque.client import Task, TaskQueue
from fairque.protocol.clock import monotonic
from fairque.protocol.wire.codec import encode_task

TASKS = 20_000
BYTES = 200


def main() -> None:
    """Print the table."""
    with server_url() as url, redis.Redis.from_url(url) as client:
        print(f"round trip {round_trip_ms(client):.3f} ms")
        for label, users in (("one user", 1), ("1,000 users", 1_000)):
            name = new_queue().name
            with TaskQueue.from_url(url, queue=name) as queue:
                tasks = [_task(f"user-{number % users}") for number in range(TASKS)]
                began = monotonic()
                for part in batches(tasks, 1_000):
                    queue.push_many(part)
                pushed = TASKS / (monotonic() - began)
                with worker(url, name):
                    rate = drain_rate(queue, TASKS)
            print(f"{label:12} pushed {pushed:8,.0f} tasks/s, drained {rate:8,.0f} tasks/s by one process")


def _task(user: str) -> Task[Any]:
    bare = nothing.options(user_id=user).task("")
    return nothing.options(user_id=user).task("x" * max(0, BYTES - len(encode_task(bare).data)))


if __name__ == "__main__":
    main()
