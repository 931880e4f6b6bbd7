"""Ten thousand dependents of one task: how long the longest single script call blocks the server.

    python integration-tests/benchmarks/dependents.py [redis://...] [--dependents=10000]

One task with that many dependents is pushed and ends, and all tasks are drained and deleted: once it finishes and its
dependents run, once it fails and they are canceled with it. Then stages are pushed in which each task depends on each
task of the previous stage, up to the limit of one push. The times are the server's own, read after each call, so they
include neither the network nor Python: the duration of the call (INFO commandstats), which is longer on a busy
machine, and CPU time for the longest (INFO cpu, including the reading). No other client may use the
server in the meantime. Target: below 20 ms for each call.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar

import redis
from common import Meter, batches, new_queue, percentile, server_url

from fairque.protocol.calls.endings import Failed, Finished
from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.push import MAX_BATCH_TASKS
from fairque.protocol.config import RedisSection
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.testing.internal import calls

T = TypeVar("T")

BATCH = 100
TTL_MS = 1_000
WANTED_MS = 20.0


class Bench:
    """A separate queue, and the cost of each call for the server.

    Attributes:
        spent: Milliseconds of each call, and of CPU time, by script.
    """

    def __init__(self, client: "redis.Redis", runner: Runner) -> None:
        self.keys = new_queue()
        self.spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._client = client
        self._meter = Meter(client)
        self._runner = runner
        self._claims = 0

    def run(self, call: Call[T]) -> T:
        """Send a call and record its cost."""
        before, cpu_before = self._meter.read(), self._cpu_ms()
        answer = self._runner.run(call)
        cpu_ms = self._cpu_ms() - cpu_before
        self.spent[call.script].append((self._meter.since(before).microseconds / 1_000, cpu_ms))
        return answer

    def _cpu_ms(self) -> float:
        found: dict[str, float] = self._client.info("cpu")
        return 1_000 * (found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"])

    def push(self, tasks: Iterable[Task[Any]]) -> None:
        """Push tasks, in as many calls as necessary."""
        for batch in batches(tasks, MAX_BATCH_TASKS):
            self.run(calls.push(self.keys, batch, message_limit=262_144, result_ttl_ms=TTL_MS))

    def pop(self, count: int) -> tuple[Granted, ...]:
        """Take tasks."""
        self._claims += 1
        both: dict[str, Any] = {"result_ttl_ms": TTL_MS, "dead_ttl_ms": TTL_MS}
        claim = f"{self._claims:016x}"
        return self.run(
            calls.pop(self.keys, worker="w", claim=claim, count=count, lease_ms=600_000, max_lost_workers=5, **both)
        ).tasks

    def finish(self, held: Iterable[Granted]) -> None:
        """Finish tasks."""
        done = [Finished(task.task_id, task.token, 1_000, b"1") for task in held]
        self.run(calls.finish(self.keys, done, result_ttl_ms=TTL_MS))

    def fail(self, held: Iterable[Granted]) -> None:
        """End tasks as dead letters."""
        dead = [Failed(task.task_id, task.token, 1_000, "dead", 0, b"{}") for task in held]
        self.run(calls.fail(self.keys, dead, result_ttl_ms=TTL_MS, dead_ttl_ms=TTL_MS))

    def drain(self) -> None:
        """Run tasks until none waits, and sweep until all are deleted."""
        stats = self._runner.run(calls.read_stats(self.keys))
        while stats.queued or stats.deferred or stats.kept:
            if held := self.pop(BATCH):
                self.finish(held)
            else:
                self.run(
                    calls.sweep(self.keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=TTL_MS, dead_ttl_ms=TTL_MS)
                )
            stats = self._runner.run(calls.read_stats(self.keys))

    def report(self, title: str) -> None:
        """Print the table, and start a new one."""
        print(f"\n{title}")
        for script, taken in self.spent.items():
            times, processor = zip(*taken, strict=True)
            much = "" if max(times) < WANTED_MS else f"   above {WANTED_MS:g} ms"
            print(
                f"  {script:8} {len(taken):8,} {percentile(times, 0.5):12.2f} {max(times):12.2f} "
                f"{max(processor):12.2f}{much}"
            )
        self.spent.clear()


def task(task_id: str, *parents: str) -> Task[Any]:
    """Return a task with ids as long as generated ones."""
    return Task(task_id=f"{task_id:->36}", user_id="ann", func="f", depends_on=[f"{p:->36}" for p in parents])


def main() -> None:
    """Print the tables."""
    given = [a.removeprefix("--dependents=") for a in sys.argv if a.startswith("--dependents=")]
    number = int(given[0]) if given else 10_000
    with server_url() as url, redis.Redis.from_url(url) as client:
        runner = Runner(RedisSection(url=url))
        print(f"server {client.info('server').get('redis_version')}")
        print("  script      calls    median ms   longest ms     its CPU")
        for end in ("finishes", "fails"):
            bench = Bench(client, runner)
            bench.push([task("parent"), *(task(f"c{n}", "parent") for n in range(number))])
            (bench.finish if end == "finishes" else bench.fail)(bench.pop(1))
            bench.drain()
            bench.report(f"{number:,} dependents of a task that {end}")
        for width in (30, 100):
            bench = Bench(client, runner)
            above = [f"a{n}" for n in range(width)]
            bench.push([*map(task, above), *(task(f"b{n}", *above) for n in range(width))])
            bench.drain()
            bench.report(f"two stages of {width} tasks, {width * width:,} edges in one push")
        runner.close()


if __name__ == "__main__":
    main()
