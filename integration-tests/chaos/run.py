"""One run of the chaos test: actors at work, faults one after the other, and a verdict at the end.

Calling it with the same folder continues an interrupted run.
"""

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from attrs import define, field

from chaos.actors import ProducerActor, WorkerActor
from chaos.audit import audit, final_records, left_over
from chaos.checker import Verdict, check
from chaos.facts import Facts
from chaos.history import Journal, now_us, read_history
from chaos.nemeses import ALONE, NEMESES, Nemesis, World
from chaos.observations import Observer
from chaos.plan import BATCH, Plan
from chaos.producer import PACE
from chaos.proxy import Proxies
from chaos.recorder import Recorder, script_hashes
from chaos.server import Server
from chaos.settings import LUA, QUEUE, client_settings
from fairque.protocol.calls.limits import configure
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import read_globals

__all__ = ["Outcome", "judge", "run"]

_STEP = 0.05
#: Seconds without an ended task or a fault after which the run is stuck.
_STALL_SECONDS = 240.0
#: The fraction of the pushable tasks that must have ended before the next fault.
_KEEP_UP = 0.6
#: Rate of new batches while a fault is active or looks for a victim, relative to the normal rate.
_TRICKLE = 0.2
_KEYS = QueueKeys(QUEUE)


@define
class Outcome:
    """How a run ended.

    Attributes:
        verdict: The result of the rules.
        begun: Number of faults of each name.
        felt: How many of them left the required trace.
        odd_ends: Workers that ended by themselves, not because of a fault.
        seconds: Total duration of all sessions.
    """

    verdict: Verdict
    begun: dict[str, int]
    felt: dict[str, int]
    odd_ends: list[str]
    seconds: float = 0.0

    @property
    def unfelt(self) -> list[str]:
        """The kinds of faults that never had an effect; if there are any, the run is invalid."""
        return sorted(name for name, times in self.begun.items() if times and not self.felt.get(name))


@define
class _Run:
    """The faults of a run, executed alongside its actors.

    Attributes:
        todo: Names of the faults that have not begun.
        active: Active faults, and when they continue.
        given: How many batches may be pushed so far.
    """

    world: World
    todo: list[str]
    total: int
    given: float = 0.0
    active: list[tuple[float, str, Nemesis]] = field(factory=list)
    _last: float = field(factory=time.monotonic)
    _now: float = field(factory=time.monotonic)

    def step(self, done: int) -> None:
        """Continue the active faults, and begin the next one if it is due."""
        plan = self.world.plan
        before, self._now = self._now, time.monotonic()
        waiting, self.active = self.active, []
        for due, name, nemesis in waiting:
            if due > self._now:
                self.active.append((due, name, nemesis))
            else:
                self._continue(name, nemesis)
        self._give(self._now - before)
        kept_up = done >= _KEEP_UP * min(plan.tasks, self.given * BATCH)
        if self.todo and kept_up and self._now - self._last >= plan.gap_seconds:
            name = self.todo[0]
            busy = {other for _, other, _ in self.active}
            if not (busy if name in ALONE else busy & ALONE):
                self._last = self._now
                self.todo.pop(0)
                self._continue(name, NEMESES[name](self.world))

    def _give(self, seconds: float) -> None:
        """Allow more batches: the rest is spread over the remaining faults, at a low rate while one waits."""
        plan = self.world.plan
        rate = (plan.batches - self.given) / (len(self.todo) + 1) / plan.gap_seconds
        timely = self._now - self._last < plan.gap_seconds
        self.given = min(float(plan.batches), self.given + seconds * rate * (1 if timely else _TRICKLE))
        if not self.todo and not self.active:
            self.given = float(plan.batches)

    def _continue(self, name: str, nemesis: Nemesis) -> None:
        try:
            pause = next(nemesis)
        except StopIteration:
            self.world.journal.note("fault-over", name=name)
        else:
            self.active.append((time.monotonic() + pause, name, nemesis))


def run(folder: Path, plan: Plan) -> Outcome:
    """Execute a run, or the rest of one, and return its outcome.

    Raises:
        AssertionError: The run made no more progress.
    """
    history = folder / "history"
    history.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        plan.save(folder)
        session = 1 + len(list(history.glob("run-*.jsonl")))
        last = max((int(path.stat().st_mtime * 1e6) for path in history.glob("*.jsonl")), default=0)
        journal = Journal(history, f"run-{session}")
        if last:
            journal.note("resumed", last=last)
        journal.note("watch")
        odd_ends = _carry_out(folder, plan, journal)
        journal.close()
    outcome = judge(folder, plan)
    outcome.odd_ends = odd_ends
    return outcome


def judge(folder: Path, plan: Plan) -> Outcome:
    """Read a history and check it against the rules."""
    facts, observer = Facts(), Observer()
    sessions: dict[str, list[int]] = {}
    for event in read_history(folder / "history", "run-*"):
        observer.begin(event)
        sessions.setdefault(event["actor"], []).append(event["at"])
    for event in read_history(folder / "history"):
        facts.see(event)
        observer.see(event)
    begun, felt = observer.observed(facts)
    seconds = sum(times[-1] - times[0] for times in sessions.values()) / 1e6
    return Outcome(check(facts, plan), dict(begun), dict(felt), [], seconds)


def _carry_out(folder: Path, plan: Plan, journal: Journal) -> list[str]:
    history = folder / "history"
    primary = folder / "primary"
    server = Server(folder / (primary.read_text() if primary.exists() else "server-0"), plan.persistence)
    proxies = Proxies(server.port)
    lua = os.environ.get(LUA)
    hashes = script_hashes(Path(lua) if lua else None)

    def recorder(name: str) -> Recorder:
        return Recorder(history, name, hashes)

    names = [f"worker-{number}" for number in range(plan.workers)]
    workers = [WorkerActor(name, folder, proxies.open(recorder(name)), plan, journal) for name in names]
    producers = [
        ProducerActor(number, folder, proxies.open(recorder(f"producer-{number}"))) for number in range(plan.producers)
    ]
    world = World(
        folder=folder,
        plan=plan,
        server=server,
        proxies=proxies,
        workers=workers,
        producers=producers,
        journal=journal,
        draw=random.Random(f"{plan.seed}/victims"),
    )
    over = sum(event["op"] == "fault-over" for event in read_history(history, "run-*"))
    settled = sum(event["op"] == "pushed" for event in read_history(history, "producer-*"))
    faults = _Run(world, list(plan.schedule[over:]), len(plan.schedule), float(settled))
    try:
        (folder / PACE).write_text("0")
        with contextlib.closing(Runner(client_settings(plan, server.url).redis)) as runner:
            runner.run(configure(_KEYS, cost_mode=plan.cost_mode))
        for worker in workers:
            worker.start()
        for producer in producers:
            producer.start()
        _until_all_is_done(faults)
        _until_all_is_quiet(world)
        for worker in workers:
            worker.stop()
        stopped = [worker.ended_in_time() for worker in workers]
        _read_the_end(world)
        codes = [f"{worker.name} ended by itself with {code}" for worker in workers for code in worker.odd_ends]
        return codes + [f"{name} did not stop in time" for name, well in zip(names, stopped, strict=True) if not well]
    finally:
        for actor in (*workers, *producers):
            actor.close()
        proxies.close()
        world.server.close()


def _until_all_is_done(faults: _Run) -> None:
    """Execute all faults, and wait until the producers have ended."""
    world, shown, pace = faults.world, 0.0, 0
    watch = _Watch(world)
    ended, stalled = 0, (time.monotonic(), (0, 0))
    while faults.todo or faults.active or any(producer.exit_code() is None for producer in world.producers):
        ended = _ended(world, ended)
        faults.step(ended)
        if int(faults.given) != pace:
            pace = int(faults.given)
            _replace(world.folder / PACE, str(pace))
        world.proxies.check()
        watch.look()
        where = ended, len(faults.todo)
        if where != stalled[1]:
            stalled = time.monotonic(), where
        late = time.monotonic() > stalled[0] + _STALL_SECONDS
        assert not late, f"the run is stuck: {ended:,} tasks ended, faults {faults.active}, then {faults.todo}"
        for worker in world.workers:
            worker.tend()
        for producer in world.producers:
            assert producer.exit_code() in (None, 0), f"{producer.name} failed: see its log in {world.folder}"
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            done = faults.total - len(faults.todo)
            print(f"{ended:,} of {world.plan.tasks:,} tasks ended, {done} of {faults.total} faults", flush=True)
        time.sleep(_STEP)


def _until_all_is_quiet(world: World) -> None:
    """Wait until no task waits or runs. A task that has not ended by then is lost, and the rules will report it."""
    stalled, before = time.monotonic(), -1
    admin, prefix = world.server.admin, _KEYS.prefix
    watch = _Watch(world)
    while time.monotonic() < stalled + _STALL_SECONDS:
        world.proxies.check()
        watch.look()
        for worker in world.workers:
            worker.tend()
        left = sum(admin.zcount(f"{prefix}{index}", "-inf", "(inf") for index in ("running", "delayed", "deferred"))
        left += int(read_globals(admin, prefix)["queued"]) + admin.llen(f"{prefix}pending")
        if not left:
            return
        ended = _ended(world, before)
        if ended != before:
            stalled, before = time.monotonic(), ended
        time.sleep(_STEP)


def _read_the_end(world: World) -> None:
    journal = Journal(world.folder / "history", f"{world.journal.actor}-end")
    runner = Runner(client_settings(world.plan, world.server.url).redis)
    records = []
    for task_id, record in final_records(runner, _KEYS, [task["id"] for task in world.plan.all_tasks()]):
        journal.note("final", id=task_id, record=record)
        if record is not None:
            records.append(record)
    admin = world.server.admin
    journal.note("audit", problems=audit(admin, runner, _KEYS, records) + left_over(admin, runner, _KEYS))
    seconds, micros = admin.time()
    skew = abs(seconds * 1_000_000 + micros - now_us())
    journal.note("clock", skew_us=skew)
    runner.close()
    journal.close()


@define
class _Watch:
    """Watches for expired leases that are not reclaimed, and records when they are."""

    world: World
    _over: set[Any] = field(factory=set)

    def look(self) -> None:
        admin = self.world.server.admin
        try:
            seconds, micros = admin.time()
            now_ms = seconds * 1000 + micros // 1000
            over: set[Any] = set(admin.zrangebyscore(f"{_KEYS.prefix}running", "-inf", now_ms, withscores=True))
        except redis.RedisError:
            return
        for task_id, _ in self._over - over:
            self.world.journal.note("back", id=task_id.decode())
        self._over = over


def _ended(world: World, before: int) -> int:
    try:
        finished = read_globals(world.server.admin, _KEYS.prefix)["finished"]
        counts = world.server.admin.hmget(f"{_KEYS.prefix}counts", "failed", "canceled")
    except redis.RedisError:
        return before
    return int(finished) + sum(int(value or 0) for value in counts)


def _replace(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a folder that another run is using."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
