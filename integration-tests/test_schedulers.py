"""Three schedulers that are killed, paused and stopped, on a server that is killed too: each run has exactly one task.

``FAIRQUE_TEST_LEADER_CHANGES=300`` makes the run longer: ``hatch run chaos:schedulers``.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded.binary import find_server_binary
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.task import Task
from fairque.scheduler import Schedule, SchedulerStatus, TaskScheduler
from fairque.testing.internal import PATIENCE, eventually, examples, read_globals

CHANGES = int(os.environ.get("FAIRQUE_TEST_LEADER_CHANGES", examples(6, 20)))
LEASE = 0.5
#: Error of the wall clock of one of the three, in seconds.
WRONG_SECONDS = 3_600
WRONG_CLOCK = f"""
import time
right, right_ns, of_clock = time.time, time.time_ns, time.clock_gettime_ns
time.time = lambda: right() + {WRONG_SECONDS}
time.time_ns = lambda: right_ns() + {WRONG_SECONDS} * 10**9
time.clock_gettime_ns = lambda clock: of_clock(clock) + (clock == time.CLOCK_REALTIME) * {WRONG_SECONDS} * 10**9
"""


class Server:
    """A server that writes every command to disk before it answers, and can be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder / 'socket'}"
        self.client: redis.Redis = redis.Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self._folder / "socket"), "--dir", str(self._folder)]
        durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([find_server_binary(), *arguments, *durable], stdout=log)
        eventually(self._answers, what="a server that answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Crew:
    """Three scheduler processes; a killed one is replaced. The wall clock of the second one is wrong."""

    def __init__(self, server: Server, queue: str, folder: Path) -> None:
        self._server, self._queue, self._folder = server, queue, folder
        self._numbers = count(1)
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path, int]] = {}
        (folder / "wrong").mkdir()
        (folder / "wrong" / "sitecustomize.py").write_text(WRONG_CLOCK)
        for slot in range(3):
            self.begin(slot)

    def environ(self, slot: int, name: str) -> dict[str, str]:
        path = [str(self._folder / "wrong")] if slot == 1 else []
        return {
            **os.environ,
            "FAIRQUE_REDIS_URL": self._server.url,
            "FAIRQUE_QUEUE_NAME": self._queue,
            "FAIRQUE_SCHEDULER_NAME": name,
            "FAIRQUE_SCHEDULER_LEASE": str(LEASE),
            "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]),
        }

    def begin(self, slot: int) -> None:
        name = f"scheduler-{next(self._numbers)}"
        log = self._folder / f"{name}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "fairque.scheduler"], env=self.environ(slot, name), stderr=stderr
            )
        self._processes[name] = (process, log, slot)

    def wait_for(self, number: int) -> None:
        """Wait until the given number of them lead or stand by."""
        eventually(lambda: sum(map(self._is_up, self._processes)) >= number, what=f"{number} schedulers")

    def signal(self, name: str, number: int) -> None:
        self._processes[name][0].send_signal(number)

    def replace(self, name: str) -> int:
        """Wait until a process ends, start a replacement, and return its exit code."""
        process, _, slot = self._processes.pop(name)
        code = process.wait(PATIENCE)
        self.begin(slot)
        return code

    def close(self) -> list[int]:
        """Stop all of them, and return their exit codes."""
        self.wait_for(3)
        for process, _, _ in self._processes.values():
            process.send_signal(signal.SIGTERM)
        return [process.wait(PATIENCE) for process, _, _ in self._processes.values()]

    def kill(self) -> None:
        for process, _, _ in self._processes.values():
            process.kill()
            process.wait(PATIENCE)

    def _is_up(self, name: str) -> bool:
        process, log, _ = self._processes[name]
        assert process.poll() is None, log.read_text()
        text = log.read_text()
        return "leads" in text or "stands by" in text


class Nemesis:
    """Injects faults into the current leader until the leader has changed a given number of times.

    Attributes:
        deeds: Number of faults of each kind.
        gaps: Seconds from each fault to the next leader.
    """

    def __init__(self, server: Server, crew: Crew, status: Callable[[], SchedulerStatus], seed: int) -> None:
        self._server, self._crew, self._status = server, crew, status
        self._draw = random.Random(seed)  # noqa: S311 - so that a run can be repeated
        self.deeds: Counter[str] = Counter()
        self.gaps: list[float] = []

    def rage(self, changes: int) -> None:
        last = self._leader().term + changes
        deeds: list[Callable[[SchedulerStatus], None]] = [self.kill, self.kill, self.pause, self.pause, self.stop]
        while self._leader().term < last:
            self._crew.wait_for(2)  # one to hit and one to take over
            time.sleep(self._draw.uniform(0, 0.15))  # so that the fault happens at any moment between two runs
            if self._draw.random() < 0.2:
                self.crash_the_server()
            deed = self._draw.choice(deeds)
            self.deeds[deed.__name__] += 1
            deed(self._leader())

    def kill(self, led: SchedulerStatus) -> None:
        self._crew.signal(led.leader or "", signal.SIGKILL)
        self._await_another(led)
        assert self._crew.replace(led.leader or "") == -signal.SIGKILL

    def stop(self, led: SchedulerStatus) -> None:
        self._crew.signal(led.leader or "", signal.SIGTERM)
        self._await_another(led)
        assert self._crew.replace(led.leader or "") == 0

    def pause(self, led: SchedulerStatus) -> None:
        until = monotonic() + 3 * LEASE
        self._crew.signal(led.leader or "", signal.SIGSTOP)
        self._await_another(led)
        time.sleep(max(0.0, until - monotonic()))
        self._crew.signal(led.leader or "", signal.SIGCONT)

    def crash_the_server(self) -> None:
        self.deeds["crash_the_server"] += 1
        self._server.kill()
        self._server.start()

    def _leader(self) -> SchedulerStatus:
        def found() -> SchedulerStatus | None:
            status = self._status()
            return status if status.leader else None

        # After a crash of the server there may be no leader for one lease.
        status = eventually(found, what="a leader")
        assert status is not None
        return status

    def _await_another(self, led: SchedulerStatus) -> None:
        struck = monotonic()
        eventually(lambda: self._status().term > led.term, what="another leader")
        self.gaps.append(monotonic() - struck)


class Editor(threading.Thread):
    """Continuously changes the task of one schedule and the times of another."""

    def __init__(self, scheduler: TaskScheduler) -> None:
        super().__init__(daemon=True)
        self._scheduler = scheduler
        self._over = threading.Event()
        self.edits = 0

    def run(self) -> None:
        for number in count(1):
            if self._over.wait(0.02):
                return
            with suppress(FairqueError):
                self._scheduler.schedules.update(every("edited", 0.1, args=[number]))
                self._scheduler.schedules.update(every("retimed", 0.1 + number % 3 / 10))
                self.edits += 1

    def end(self) -> None:
        self._over.set()
        self.join(PATIENCE)


def every(name: str, seconds: float, args: Sequence[Any] = (), **fields: Any) -> Schedule:
    return Schedule(name, Task(user_id="ann", func="m:f", args=args), every=seconds, misfire_grace=3_600, **fields)


def tasks_of(client: "redis.Redis", queue: str) -> dict[str, list[int]]:
    """The run times of all tasks, by schedule."""
    found: dict[str, list[int]] = {}
    prefix = f"fairque:{{{queue}}}:t:schedule:"
    keys: Any = client.keys(prefix.replace("[", "\\[") + "*")
    for key in sorted(keys):
        name, _, at = key.decode().removeprefix(prefix).rpartition(":")
        found.setdefault(name, []).append(int(at))
    return {name: sorted(times) for name, times in found.items()}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "s"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.client.close()
    server.kill()


@pytest.mark.timeout(600 + 6 * CHANGES)
def test_each_run_has_exactly_one_task_whatever_happens_to_schedulers_and_server(
    server: Server, fairque_queue_name: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("FAIRQUE_TEST_SEED", str(random.randrange(10**6))))  # noqa: S311 - it is printed
    print(f"FAIRQUE_TEST_SEED={seed}")
    planner = TaskScheduler.from_url(server.url, queue=fairque_queue_name)
    schedules = [every(f"every-{n}", n / 10) for n in (1, 2, 3, 5, 7)]
    schedules += [every(f"moved-{n}", 0.4, jitter=30) for n in range(3)]
    schedules += [
        Schedule("cron", Task(user_id="ann"), cron="* * * * * *", timezone="Asia/Kolkata", misfire_grace=3_600)
    ]
    schedules += [every("edited", 0.1), every("overlapping", 0.3, overlap="skip")]
    first = {one.schedule_id: planner.schedules.add(one).next_ms for one in schedules}
    planner.schedules.add(every("retimed", 0.1))
    crew, editor = Crew(server, fairque_queue_name, tmp_path), Editor(planner)
    nemesis = Nemesis(server, crew, planner.schedules.status, seed)
    try:
        crew.wait_for(3)
        editor.start()
        nemesis.rage(CHANGES)
        editor.end()
        eventually(lambda: planner.schedules.status().overdue == 0, what="a scheduler that has caught up")
        assert crew.close() == [0, 0, 0]
    finally:
        crew.kill()
    found, status = tasks_of(server.client, fairque_queue_name), planner.schedules.status()
    for one in schedules:
        info, at = planner.schedules.get(one.schedule_id), first[one.schedule_id]
        expected: list[int] = []
        while at is not None and at < (info.next_ms or 0):
            expected.append(at)
            at = time_after(one, at)
        assert at == info.next_ms
        assert info.missed == 0
        if one.overlap == "skip":
            assert (info.fired, info.skipped) == (1, len(expected) - 1)
        else:
            assert found[one.schedule_id] == expected
            assert info.fired == len(expected)
    retimed = planner.schedules.get("retimed")
    assert retimed.fired == len(found["retimed"])
    tasks = sum(map(len, found.values()))
    assert status.fired == read_globals(server.client, f"fairque:{{{fairque_queue_name}}}:")["pushed"] == tasks
    assert editor.edits > CHANGES
    planner.stop()
    gaps = sorted(nemesis.gaps)
    print(f"{status.term} terms, {tasks:,} tasks, {editor.edits:,} edits, {dict(nemesis.deeds)}")
    print(f"to the next leader: median {gaps[len(gaps) // 2]:.3f} s, at most {gaps[-1]:.3f} s, lease {LEASE} s")


def test_the_wrong_clock_of_the_second_scheduler_is_wrong(
    server: Server, fairque_queue_name: str, tmp_path: Path
) -> None:
    crew = Crew(server, fairque_queue_name, tmp_path)
    try:
        code = "from fairque.protocol import clock; print(clock.now_ms())"
        times = [
            int(subprocess.check_output([sys.executable, "-c", code], env=crew.environ(slot, "x"))) for slot in (0, 1)
        ]
    finally:
        crew.kill()
    assert 0 < times[1] - times[0] - WRONG_SECONDS * 1_000 < 60_000
