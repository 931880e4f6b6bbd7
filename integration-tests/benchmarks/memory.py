"""Memory after a million users: each has one task, and after all were served the memory is as before.

    python integration-tests/benchmarks/memory.py [redis://...] [--users=1000000]

Prints the memory that the server uses before, with all tasks waiting, after all were served, and at the end, when
results were deleted and debts paid; and the remaining keys.
"""

import sys

import redis
from common import batches, new_queue, server_url

from fairque.protocol.calls.endings import Finished
from fairque.protocol.config import RedisSection
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.testing.internal import calls

BATCH = 100
TTL_MS = 1_000


def main() -> None:
    """Print the table."""
    given = [a.removeprefix("--users=") for a in sys.argv if a.startswith("--users=")]
    users = int(given[0]) if given else 1_000_000
    with server_url() as url, redis.Redis.from_url(url) as client:
        runner, keys = Runner(RedisSection(url=url)), new_queue()

        def report(when: str) -> None:
            used = client.info("memory")["used_memory"]
            print(f"{when:34} {used / 1e6:10.1f} MB   {client.dbsize():10,} keys")

        runner.run(calls.read_stats(keys))
        report("before")
        for numbers in batches(range(users), 1_000):
            tasks: list[Task[None]] = [Task(task_id=f"t{n}", user_id=f"user-{n}", func="f") for n in numbers]
            runner.run(calls.push(keys, tasks, message_limit=1_000))
        report(f"{users:,} users with a task each")
        served = 0
        while served < users:
            popped = runner.run(
                calls.pop(
                    keys,
                    worker="w",
                    claim=f"{served:016x}",
                    count=BATCH,
                    lease_ms=600_000,
                    max_lost_workers=5,
                    result_ttl_ms=TTL_MS,
                    dead_ttl_ms=TTL_MS,
                )
            )
            done = [Finished(task.task_id, task.token, 1_000, b"1") for task in popped.tasks]
            runner.run(calls.finish(keys, done, result_ttl_ms=TTL_MS))
            served += len(done)
        report("all served")
        while True:
            swept = runner.run(
                calls.sweep(keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=TTL_MS, dead_ttl_ms=TTL_MS)
            )
            if swept is not None and not swept.users and not runner.run(calls.read_stats(keys)).kept:
                break
        report("swept until nothing was left")
        left = sorted(key.decode().removeprefix(keys.prefix) for key in client.scan_iter(match=f"{keys.prefix}*"))
        print("keys left:", ", ".join(left))
        runner.close()


if __name__ == "__main__":
    main()
