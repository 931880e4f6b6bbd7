"""The cost of scheduling on the server: time and commands of pop and finish, by users, backlog and batch.

    python integration-tests/benchmarks/scheduling_cost.py [redis://...] [--large]

The times are the server's own (INFO commandstats), so they include neither the network nor Python. The ratios are
relative to the smallest number of users, and to a plain ZADD inside a script, in the same run. ``--large`` adds a
million users.
"""

import sys
from typing import Any

import redis
from common import Meter, Spent, batches, new_queue, server_url

from fairque.protocol.calls.endings import Finished
from fairque.protocol.config import RedisSection
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

BATCH = 50
DAY_MS = 86_400_000
ZADDS = 10_000


def main() -> None:
    """Print the tables."""
    with server_url() as url, redis.Redis.from_url(url) as client:
        runner = Runner(RedisSection(url=url))
        bench = Bench(client, runner)
        version = client.info("server").get("redis_version")
        print(f"server {version}, a plain ZADD in a script: {bench.zadd_us():.2f} us")
        print(f"\npop + finish, {BATCH} a call          users   us a task   commands a task   ZADDs' worth")
        for users in (1, 10, 1_000):
            pop, finish = bench.drain(users, 20_000 // users, BATCH)
            total = pop + finish
            each = total.microseconds / 20_000
            print(
                f"  pop {pop.microseconds / 20_000:5.1f} us, finish {finish.microseconds / 20_000:5.1f} us"
                f"  {users:10,} {each:11.1f} {total.commands / 20_000:17.1f} {each / bench.zadd_us():14.1f}"
            )
        print("\npop of one task, by users with one task each     us a pop   commands a pop   ratio")
        sizes = [10, 1_000, 100_000, *([1_000_000] if "--large" in sys.argv else [])]
        base = 0.0
        for users in sizes:
            spent = bench.pops(users, 1, 1_000)
            base = base or spent.microseconds
            print(f"  {users:10,} {spent.microseconds:47.1f} {spent.commands:16} {spent.microseconds / base:7.2f}")
        print("\npop of one task, by backlog of one user          us a pop   commands a pop   ratio")
        base = 0.0
        for tasks in sizes:
            spent = bench.pops(1, tasks, 1_000)
            base = base or spent.microseconds
            print(f"  {tasks:10,} {spent.microseconds:47.1f} {spent.commands:16} {spent.microseconds / base:7.2f}")
        runner.close()


class Bench:
    """One server on which queues are filled and drained."""

    def __init__(self, client: "redis.Redis", runner: Runner) -> None:
        self._client = client
        self._runner = runner
        self._meter = Meter(client)
        self._claims = 0

    def zadd_us(self) -> float:
        """Return the cost of one ZADD inside a script."""
        sha = self._client.script_load("for i = 1, tonumber(ARGV[1]) do redis.call('ZADD', KEYS[1], i, 'm' .. i) end")
        before = self._meter.read()
        self._client.evalsha(sha, 1, "benchmark-zadd", ZADDS)
        self._client.delete("benchmark-zadd")
        return self._meter.since(before).microseconds / ZADDS

    def drain(self, users: int, each: int, batch: int) -> tuple[Spent, Spent]:
        """Fill a queue, take and finish all tasks, and return the cost of the pops and of the finishes."""
        keys = self._fill(users, each)
        popped = finished = Spent(0, 0)
        while True:
            before = self._meter.read()
            tasks = self._pop(keys, batch)
            popped += self._meter.since(before)
            if not tasks:
                break
            before = self._meter.read()
            done = [Finished(task.task_id, task.token, 1_000, b"") for task in tasks]
            self._runner.run(calls.finish(keys, done, result_ttl_ms=DAY_MS))
            finished += self._meter.since(before)
        self._drop(keys)
        return popped, finished

    def pops(self, users: int, each: int, times: int) -> Spent:
        """Fill a queue and return the median cost of a pop of one task; each is finished before the next."""
        keys = self._fill(users, each)
        costs: list[Spent] = []
        for _ in range(min(times, users * each)):
            before = self._meter.read()
            (task,) = self._pop(keys, 1)
            costs.append(self._meter.since(before))
            self._runner.run(calls.finish(keys, [Finished(task.task_id, task.token, 1_000, b"")], result_ttl_ms=DAY_MS))
        self._drop(keys)
        return sorted(costs, key=lambda spent: spent.microseconds)[len(costs) // 2]

    def _fill(self, users: int, each: int) -> QueueKeys:
        keys = new_queue()
        numbers = range(users * each)
        for part in batches(numbers, 1_000):
            tasks: list[Task[Any]] = [Task(task_id=f"t{n}", user_id=f"user-{n % users}", func="f") for n in part]
            self._runner.run(calls.push(keys, tasks, message_limit=1_000))
        return keys

    def _pop(self, keys: QueueKeys, count: int) -> tuple[calls.Granted, ...]:
        self._claims += 1
        call = calls.pop(
            keys,
            worker="w",
            claim=f"{self._claims:016x}",
            count=count,
            lease_ms=DAY_MS,
            max_lost_workers=5,
            result_ttl_ms=DAY_MS,
            dead_ttl_ms=DAY_MS,
        )
        return self._runner.run(call).tasks

    def _drop(self, keys: QueueKeys) -> None:
        for part in batches(self._client.scan_iter(match=f"{keys.prefix}*", count=5_000), 5_000):
            self._client.unlink(*part)


if __name__ == "__main__":
    main()
