"""The cost of calls for the server: ``python server_calls.py VERB SCALE PID FOLDER`` prints one line of JSON.

It runs in the environment of the revision that is measured. The verbs: ``instructions`` needs a server under callgrind,
whose process and folder are given; ``memory`` and ``scale`` read the server's own statistics.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import redis
from callgrind import Counter

from fairque.protocol.config import RedisSection
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

DAY_MS = 86_400_000
BYTES = 200
RESULT = b'{"ok":1}'
#: Full sizes: tasks that wait and that run when memory is read, and users or tasks of a large queue.
WAITING, RUNNING, LARGE = 100_000, 5_000, 1_000_000
SMALL = 10
#: How often instructions are counted for one figure.
COUNTS = 9
#: Most tasks that one pop takes, and that one push stores.
POP, PUSH = 100, 1_000


class Queue:
    """A queue with tasks of 200 bytes, and the calls of its producers and workers."""

    def __init__(self, runner: Runner, name: str) -> None:
        self.keys = QueueKeys(name)
        self._runner = runner
        self._numbers, self._claims = count(1), count(1)
        bare = Task(task_id=f"{0:036}", user_id="user-0000000", func="f", args=("",))
        self._padding = "x" * (BYTES - len(encode_task(bare).data))

    def tasks(self, number: int, users: int) -> list[Task[Any]]:
        """Make tasks of so many users, one after the other."""
        return [
            Task(task_id=f"{one:036}", user_id=f"user-{one % users:07}", func="f", args=(self._padding,))
            for one in (next(self._numbers) for _ in range(number))
        ]

    def push(self, number: int, users: int, each: int = PUSH) -> None:
        """Push tasks, so many in each call."""
        tasks = self.tasks(number, users)
        for first in range(0, number, each):
            self._runner.run(calls.push(self.keys, tasks[first : first + each], message_limit=1_000_000))

    def pop(self, number: int) -> tuple[calls.Granted, ...]:
        """Take tasks."""
        call = calls.pop(
            self.keys,
            worker="host-12345-abcdef01",
            claim=f"{next(self._claims):016x}",
            count=number,
            lease_ms=DAY_MS,
            max_lost_workers=5,
            result_ttl_ms=DAY_MS,
            dead_ttl_ms=DAY_MS,
        )
        return self._runner.run(call).tasks

    def finish(self, held: Sequence[calls.Granted]) -> None:
        """Finish tasks."""
        done = [calls.Finished(one.task_id, one.token, 1_000, RESULT) for one in held]
        self._runner.run(calls.finish(self.keys, done, result_ttl_ms=DAY_MS))

    def sweep(self) -> None:
        """Clean up, as each worker does every few seconds."""
        ttls = {"result_ttl_ms": DAY_MS, "dead_ttl_ms": DAY_MS}
        self._runner.run(calls.sweep(self.keys, guard_ms=0, max_lost_workers=5, **ttls))

    def cycle(self, each: int, times: int) -> None:
        """Take and finish so many tasks, so many times."""
        for _ in range(times):
            held = self.pop(each)
            if len(held) != each:
                raise RuntimeError(f"a pop took {len(held)} of {each} tasks")
            self.finish(held)

    def come_and_go(self, times: int) -> None:
        """Push, take and finish one task, so many times: its user has no other."""
        for _ in range(times):
            self.push(1, 5)
            self.cycle(1, 1)

    def find_nothing(self, times: int) -> None:
        """Take from an empty queue, so many times."""
        for _ in range(times):
            self.pop(1)


class Program:
    """What the verbs do."""

    def __init__(self, scale: float, pid: int, folder: Path) -> None:
        url = os.environ["BENCHMARK_URL"]
        self._scale = scale
        self._pid, self._folder = pid, folder
        self._client = redis.Redis.from_url(url)
        # Under callgrind a server is fifty times slower.
        self._runner = Runner(RedisSection(url=url, socket_timeout=300))

    def instructions(self) -> dict[str, float]:
        """Count thousands of instructions a task; users have a backlog, 20 tasks run, over 128 results are kept.

        Each figure is the median of several counts: now and then a call pays for what the server does rarely, such as
        moving a table to a larger one.
        """
        queue = self._busy("ten", users=10, tasks=2_000)
        queue.cycle(80, 2)
        counter = Counter(self._pid, self._folder)
        figures: dict[str, float] = {}

        def counted(name: str, tasks: int, work: Callable[[], None]) -> None:
            counts = []
            for _ in range(COUNTS):
                counter.read()
                work()
                counts.append(counter.read() / tasks / 1_000)
            figures[name] = statistics.median(counts)

        calls = self._times(10)
        counted("push(1)", calls, lambda: queue.push(calls, 10, each=1))
        counted("push(10)", 10, lambda: queue.push(10, 10, each=10))
        counted("push(1000)", 1_000, lambda: queue.push(1_000, 10))
        counted("pop(1)+finish(1)", calls, lambda: queue.cycle(1, calls))
        counted("pop(8)+finish(8)", 8, lambda: queue.cycle(8, 1))
        counted("pop(32)+finish(32)", 32, lambda: queue.cycle(32, 1))
        many = self._busy("thousand", users=1_000, tasks=3_000)
        many.cycle(50, 3)
        counted("pop(50)+finish(50), 1,000 users", 50, lambda: many.cycle(50, 1))
        idle = Queue(self._runner, "idle")
        idle.push(200, 5)
        idle.sweep()
        idle.cycle(50, 4)
        counted("push+pop+finish, users that come and go", calls, lambda: idle.come_and_go(calls))
        counted("pop that finds nothing", calls, lambda: idle.find_nothing(calls))
        return figures

    def memory(self) -> dict[str, float]:
        """Read the bytes that a waiting task takes, and how many more it takes while it runs."""
        waiting, running = max(2_000, int(WAITING * self._scale)), max(200, int(RUNNING * self._scale))
        queue = Queue(self._runner, "memory")
        queue.push(PUSH, 10)
        queue.finish(queue.pop(1))
        before = self._used()
        queue.push(waiting, 10)
        filled = self._used()
        for _ in range(0, running, POP):
            queue.pop(POP)
        popped = -(-running // POP) * POP
        return {
            "bytes a waiting task": (filled - before) / waiting,
            "more a running task": (self._used() - filled) / popped,
        }

    def scale(self) -> dict[str, float]:
        """Compare the server's time for a push, a pop and a finish of a task by the numbers of users and tasks."""
        large = max(1_000, int(LARGE * self._scale))
        few = self._cost("few", users=SMALL, tasks=SMALL)
        return {
            f"{SMALL} users": few,
            f"{large:,} users, ratio": self._cost("users", users=large, tasks=large) / few,
            f"{large:,} tasks, ratio": self._cost("tasks", users=SMALL, tasks=large) / few,
        }

    def _times(self, full: int) -> int:
        return min(full, max(10, int(full * self._scale)))

    def _busy(self, name: str, *, users: int, tasks: int) -> Queue:
        queue = Queue(self._runner, name)
        queue.push(tasks, users)
        queue.sweep()
        queue.pop(20)
        queue.cycle(50, 4)
        return queue

    def _used(self) -> int:
        return int(self._client.info("memory")["used_memory"])

    def _cost(self, name: str, *, users: int, tasks: int) -> float:
        """Return the median microseconds of the scripts for one task, while the queue keeps its size."""
        queue = Queue(self._runner, name)
        for first in range(0, tasks, PUSH):
            queue.push(min(PUSH, tasks - first), users)
        spent = []
        for _ in range(self._times(1_000)):
            before = self._script_us()
            queue.push(1, users)
            queue.cycle(1, 1)
            spent.append(self._script_us() - before)
        self._client.flushall()
        return statistics.median(spent)

    def _script_us(self) -> float:
        found: dict[str, dict[str, float]] = self._client.info("commandstats")
        return found.get("cmdstat_evalsha", {"usec": 0.0})["usec"]


def main(verb: str, scale: float, pid: int, folder: Path) -> None:
    """Measure and print."""
    program = Program(scale, pid, folder)
    verbs = {"instructions": program.instructions, "memory": program.memory, "scale": program.scale}
    print(json.dumps(verbs[verb]()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
