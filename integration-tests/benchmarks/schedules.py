"""How late schedules fire: many that are due together, and a few among 100,000 that are not; and the cost.

    python integration-tests/benchmarks/schedules.py [redis://...]

A scheduler process leads and another one stands by. Lateness is measured on the server's clock, by when it
stored the task. The baseline for many together is one producer that pushes as many tasks in batches.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from common import Meter, batches, new_queue, percentile, server_url

from fairque.client import Task, TaskQueue
from fairque.protocol.calls.read import read_task
from fairque.protocol.calls.schedules import ScheduleWrite, read_scheduler, schedule
from fairque.protocol.clock import monotonic
from fairque.protocol.config import RedisSection
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule, task_id_of
from fairque.protocol.runners import Runner
from fairque.testing.internal import stored_schedule

if TYPE_CHECKING:
    from fairque.protocol.wire.keys import QueueKeys

TOGETHER = 10_000
RESTING = 100_000
#: Schedules that fire while the others do not, seconds between two runs of one, and seconds of measuring.
FEW, PAUSE, SECONDS = 20, 0.5, 20


class Bench:
    """A queue with schedules that another process fires."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: QueueKeys = new_queue()
        self.runner = Runner(RedisSection(url=url))

    def now_ms(self) -> int:
        return self.runner.run(read_scheduler(self.keys)).at_ms

    def store(self, schedules: Sequence[Schedule]) -> None:
        now_ms = self.now_ms()
        for part in batches(schedules, 100):
            writes = [ScheduleWrite(schedule=one, revision=0, next_at=time_after(one, now_ms)) for one in part]
            self.runner.run(schedule(self.keys, writes, message_limit=262_144))

    def wait_until(self, at_ms: int) -> None:
        time.sleep(max(0.0, (at_ms - self.now_ms()) / 1000))

    def fired(self) -> int:
        return self.runner.run(read_scheduler(self.keys)).fired

    def lateness_ms(self, times: Sequence[tuple[str, int]]) -> list[int]:
        """How late the tasks of these runs were stored."""
        late = []
        for part in batches(times, 1_000):
            infos = self.runner.run_all([read_task(self.keys, task_id_of(name, at)) for name, at in part])
            late += [round(info.pushed_at.timestamp() * 1_000) - at for info, (_, at) in zip(infos, part, strict=True)]
        return late


@contextmanager
def scheduler(bench: Bench) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one scheduler process."""
    command = [sys.executable, "-m", "fairque.scheduler", "--url", bench.url, "--queue", bench.keys.name]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait_for_leader(bench: Bench) -> None:
    while bench.runner.run(read_scheduler(bench.keys)).leader is None:
        time.sleep(0.01)


def together(url: str, client: "redis.Redis") -> None:
    """Fire many in the same second."""
    bench = Bench(url)
    at_ms = (bench.now_ms() // 1000 + 25) * 1000
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    cron = f"{moment.second} {moment.minute} {moment.hour} * * *"
    names = [f"s{number}" for number in range(TOGETHER)]
    bench.store(
        [stored_schedule(schedule_id=n, cron=cron, user_id=f"u{i % 100}", func="m:f") for i, n in enumerate(names)]
    )
    with scheduler(bench):
        wait_for_leader(bench)
        bench.wait_until(at_ms - 500)
        meter, before = Meter(client), Meter(client).read()
        while bench.fired() < TOGETHER:
            time.sleep(0.02)
        spent = meter.since(before)
    late = bench.lateness_ms([(name, at_ms) for name in names])
    with TaskQueue.from_url(url, queue=new_queue().name) as queue:
        tasks = [Task(func="m:f", user_id=f"u{number % 100}") for number in range(TOGETHER)]
        began = monotonic()
        queue.push_many(tasks, chunked=True)
        pushed_ms = 1000 * (monotonic() - began)
    print(f"{TOGETHER:,} due together: {shares(late)}")
    print(f"  as many pushed by one producer {pushed_ms:.0f} ms, ratio {max(late) / pushed_ms:.2f}")
    print(f"  server {spent.microseconds / TOGETHER:.1f} µs a schedule")


def alone(url: str, client: "redis.Redis", resting: int) -> None:
    """Fire a few among many that do not."""
    bench = Bench(url)
    names = [f"few{number}" for number in range(FEW)]
    few = [Schedule(name, Task(user_id="ann", func="m:f"), every=PAUSE, jitter=PAUSE) for name in names]
    for part in batches(range(resting), 10_000):
        bench.store(
            [
                stored_schedule(schedule_id=f"r{n}", cron="0 0 1 1 *", jitter_ms=1_000, user_id="ann", func="m:f")
                for n in part
            ]
        )
    bench.store(few)
    with scheduler(bench) as leader:
        wait_for_leader(bench)
        with scheduler(bench) as standby:
            time.sleep(2)
            meter, before = Meter(client), Meter(client).read()
            cpu, fired, began_ms = [cpu_of(leader), cpu_of(standby)], bench.fired(), bench.now_ms()
            time.sleep(SECONDS)
            spent, number, end_ms = meter.since(before), bench.fired() - fired, bench.now_ms()
            cpu = [cpu_of(leader) - cpu[0], cpu_of(standby) - cpu[1]]
    times = []
    for one in few:
        at = time_after(one, began_ms)
        while at is not None and at < end_ms - 200:
            times.append((one.schedule_id, at))
            at = time_after(one, at)
    late = bench.lateness_ms(times)
    print(f"{len(late)} times beside {resting:,} schedules at rest: {shares(late)}")
    print(f"  server {spent.microseconds / max(1, number):.0f} µs a time")
    print(f"  processor: leader {100 * cpu[0] / SECONDS:.1f} %, standby {100 * cpu[1] / SECONDS:.2f} %")


def shares(late: Sequence[float]) -> str:
    """Return the median, 99th percentile and maximum of the lateness, in milliseconds, as text."""
    return f"p50 {percentile(late, 0.5)} ms, p99 {percentile(late, 0.99)} ms, last {max(late)} ms"


def cpu_of(process: "subprocess.Popen[bytes]") -> float:
    """Return the seconds of CPU time that a process has used; 0 if the system does not report it."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the results."""
    with server_url() as url, redis.Redis.from_url(url) as client:
        together(url, client)
        for resting in (0, RESTING):
            alone(url, client, resting)


if __name__ == "__main__":
    main()
