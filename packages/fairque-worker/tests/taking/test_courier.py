"""The courier against an adversary that decides when the server answers, what gets lost, and which task ends when.

The queue here is a small model of one, since the orders of events that matter cannot be made to happen on a real
server: an answer that is older than what was reported meanwhile, one that is lost before or after its call was carried
out. What the real one does is tested beside this.
"""

import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from attrs import define, field, frozen

from fairque.protocol.calls.endings import Released
from fairque.protocol.calls.pop import Granted, Popped
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import RedisUnavailable
from fairque.worker.jobs import Ending, Job, Success
from fairque.worker.phases import Phase, Phases
from fairque.worker.taking import courier as module
from fairque.worker.taking import exchange
from fairque.worker.taking.courier import Courier

#: How likely a call or an answer is lost, while some may be.
LOST = 0.2
#: Dependents that one pop tells of the end of their parent.
TOLD = 2


@frozen
class Work:
    """A task: what its function pushes, its dependents that run or are canceled after it, and what its hook pushes."""

    name: str
    children: int = 0
    dependents: int = 0
    canceled: int = 0
    of_hook: int = 0


@define
class Queue:
    """The server's side: runnable tasks, pending notifications, and the wait of the one worker."""

    runnable: list[Work] = field(factory=list)
    to_tell: list[bool] = field(factory=list)
    running: dict[str, Work] = field(factory=dict)
    ended: list[str] = field(factory=list)
    wake: bool = False
    made: int = 0

    def push(self, **fields: int) -> None:
        self.made += 1
        self.runnable.append(Work(f"task-{self.made}", **fields))
        self.wake = True

    def pop(self, count: int) -> Popped:
        told, self.to_tell = self.to_tell[:TOLD], self.to_tell[TOLD:]
        for runs in told:
            if runs:
                self.push()
        taken, self.runnable = self.runnable[:count], self.runnable[count:]
        self.running |= {work.name: work for work in taken}
        more = bool(self.runnable or self.to_tell)
        self.wake = self.wake or more
        return Popped(tuple(granted(work) for work in taken), more=more, wait_ms=None)

    def finish(self, name: str) -> None:
        work = self.running.pop(name, None)
        if work is None:  # told twice
            return
        self.ended.append(name)
        self.to_tell += [False] * work.canceled + [True] * work.dependents
        self.wake = self.wake or bool(self.to_tell)

    def release(self, name: str) -> None:
        work = self.running.pop(name, None)
        if work is not None:
            self.runnable.append(work)
            self.wake = True


def granted(work: Work) -> Granted:
    return Granted(work.name, b"", f"7:{work.name}", 1, 0, solo=False, pushed_at=0)


@define
class Report:
    """A request that was sent, and the answer once the server has run it."""

    endings: list[Ending]
    count: int
    ran: bool = False
    popped: Popped | None = None


class Adversary:
    """Draws what happens next, and holds the parts that the courier talks to."""

    lease_ms = 60_000

    def __init__(self, chance: random.Random, slots: int, *, losses: bool) -> None:
        self.chance = chance
        self.queue = Queue()
        self.runner = self
        self.settings = RedisSection(url="redis://nowhere")
        self.losses = 3 if losses else 0
        self.now = 0.0
        self.busy = False
        self._count = 0
        self._answered: Popped | None = None
        self._report: Report | None = None
        self._interrupted = False
        #: What a pop granted whose answer the courier has not seen: the next one with the same claim gets it.
        self._unseen: Popped | None = None
        self.jobs: list[Job] = []
        self.hooks: list[Callable[[], None]] = []
        self.phases = Phases()
        self.courier = Courier(
            consumer=self,  # type: ignore[arg-type]
            executor=self,  # type: ignore[arg-type]
            reporter=self,  # type: ignore[arg-type]
            phases=self.phases,
            metrics=self,  # type: ignore[arg-type]
            slots=slots,
            burst=True,
            on_idle=lambda: None,
            on_death=lambda *_: None,
            linger_seconds=0,
        )
        self.courier._bell = self  # type: ignore[assignment]
        self.courier._outbox._bell = self  # type: ignore[assignment]
        self.courier._exchange.line = self  # type: ignore[assignment]
        self.courier.service.rests = lambda _: None  # type: ignore[assignment,method-assign]

    # What the courier calls: the clock, the log of the metrics, the executor.

    def monotonic(self) -> float:
        return self.now

    def taken(self, tasks: int) -> None:
        """Count nothing."""

    def ended(self, *_: object) -> None:
        """Count nothing."""

    def reclaimed(self, *_: object) -> None:
        """Count nothing."""

    def submit_all(self, jobs: list[Job]) -> None:
        self.jobs += jobs
        assert len(self.courier.book) <= self.courier.book.slots

    def watch(self) -> float:
        return self.chance.choice([math.inf, 0.005]) if self.jobs else math.inf

    def note_endings(self, _: Sequence[Ending]) -> None:
        """Nothing."""

    def end_in_children(self, *_: object) -> None:
        """There are none."""

    def call(self, hook: Callable[[], None]) -> bool:
        self.hooks.append(hook)
        return True

    def ring(self) -> None:
        """The next sleep checks by itself."""

    def close(self) -> None:
        self.busy, self._answered, self._report = False, None, None

    # The queue, with answers that get lost.

    def exchange(self, endings: Sequence[Ending], count: int) -> Popped | None:
        report = Report(list(endings), count)
        self._server_moves()
        self._lose()
        self._run(report)
        self._server_moves()
        self._lose()
        return self.settle(report)

    def send(self, _: object, endings: Sequence[Ending], count: int) -> Report:
        assert not self.busy
        report = Report(list(endings), count)
        if self.losses and self.chance.random() < LOST:
            self.losses -= 1
            raise MemoryError
        self._lose()
        if self.chance.random() < 0.5:
            self._run(report)
        self._lose()
        self.busy, self._report = True, report
        return report

    def _run(self, report: Report) -> None:
        for ending in report.endings:
            self.queue.finish(ending.job.granted.task_id)
        # After a lost answer it is the same again.
        report.popped = self._pop(report.count) if report.count else None
        report.ran = True
        assert len(self.queue.running) <= self.courier.book.slots

    def receive(self, _: object, report: Report, __: float | None = None) -> None:
        self.close()
        if not report.ran:
            self._run(report)
        if self.losses and self.chance.random() < LOST:
            # The runner sends the same request again, which may fail as well.
            self.losses -= 1
            self._lose()
            self._run(report)

    def accept(self, report: Report) -> int | None:
        if self.chance.random() < 0.1:
            return None
        if report.count:
            self._unseen = None
        return len(report.popped.tasks) if report.popped else 0

    def settle(self, report: Report) -> Popped | None:
        if report.count and self._unseen is report.popped:
            self._unseen = None
        for ending in report.endings:
            # As the reporter does, when the queue has accepted the ending.
            if ending.job.granted.task_id in self.hooked:
                self.courier.call_hook(self._hook(ending.job.granted.task_id))
        return report.popped

    def pop(self, count: int) -> Popped:
        return self._pop(count)

    def read_stats(self) -> Any:
        class Stats:
            queued = scheduled = deferred = running = 0

        return Stats()

    def release(self, tasks: Sequence[Released]) -> None:
        for task in tasks:
            self.queue.release(task.task_id)

    def begin_wait(self, _: object, count: int, seconds: float) -> None:
        assert not self.busy
        assert seconds > 0
        self._lose()
        self.busy, self._count, self._answered, self._interrupted = True, count, None, False

    def interrupt(self) -> None:
        self._lose()
        self._interrupted = True

    def receive_wait(self, _: object, __: float) -> Popped:
        answered = self._answered
        self.close()
        if answered is None or (self.losses and self.chance.random() < LOST):
            self.losses = max(0, self.losses - 1)
            raise RedisUnavailable("a wait was not answered in time")
        self._unseen = None
        return answered

    def _pop(self, count: int) -> Popped:
        if self._unseen is not None and self._unseen.tasks:
            return self._unseen
        self._unseen = self.queue.pop(count)
        return self._unseen

    def _server_moves(self) -> None:
        """Run the pop after the wait, if it is time: at a wake-up, an interrupt, or the end of the wait."""
        if self._waits and self._answered is None and self.chance.random() < 0.5:
            self._answer()

    @property
    def _waits(self) -> bool:
        return self.busy and self._report is None

    def _answer(self) -> None:
        self.queue.wake = False
        self._answered = self._pop(self._count)

    def _lose(self) -> None:
        if self.losses and self.chance.random() < LOST:
            self.losses -= 1
            raise RedisUnavailable("a test")

    # Events outside the courier, while it sleeps.

    hooked: frozenset[str] = frozenset()

    def check(self) -> None:
        pass

    def sleep(self, seconds: float, other: object = None) -> bool:
        self._happens(seconds)
        return other is not None and (self._answered is not None or (self._report is not None and self._report.ran))

    def _happens(self, seconds: float) -> None:
        choices: list[Callable[[], None]] = []
        if self.jobs:
            choices.append(self._a_task_ends)
        if self.hooks:
            choices.append(self._a_hook_ends)
        if self._waits and self._answered is None:
            choices.append(self._answer)
        if self._report is not None and not self._report.ran:
            report = self._report
            choices.append(lambda: self._run(report))
        if seconds < math.inf:
            choices.append(lambda: self._time_passes(seconds))
        assert choices, "the courier sleeps forever"
        self.chance.choice(choices)()

    def _time_passes(self, seconds: float) -> None:
        self.now += seconds + 0.001

    def _a_task_ends(self) -> None:
        job = self.jobs.pop(self.chance.randrange(len(self.jobs)))
        work = self.queue.running.get(job.granted.task_id)
        for _ in range(work.children if work else 0):
            self.queue.push()
        if work is not None and work.of_hook:
            self.hooked |= {work.name}
        self.courier.put(Success(job, None, b"", 1))

    def _a_hook_ends(self) -> None:
        self.hooks.pop(0)()

    def _hook(self, name: str) -> Callable[[], None]:
        def run() -> None:
            # Once, however often its ending was reported.
            if name in self.hooked:
                self.hooked -= {name}
                self.queue.push()

        return run


def run(adversary: Adversary) -> None:
    adversary.phases.move(Phase.RUNNING)
    with patch.object(module, "clock", adversary), patch.object(exchange, "clock", adversary):
        for _ in range(10_000):
            if adversary.phases.phase is not Phase.RUNNING:
                return
            # The service retries after a shortage.
            with suppress(MemoryError):
                adversary.courier.step()
    raise AssertionError("the burst does not end")


@pytest.mark.parametrize("seed", range(20))
def test_a_burst_ends_when_all_that_it_could_run_has_ended_once(seed: int) -> None:
    for number in range(100):
        chance = random.Random(f"{seed}:{number}")  # noqa: S311 - a seed makes a run what it is
        adversary = Adversary(chance, slots=chance.randint(1, 4), losses=chance.random() < 0.5)
        for _ in range(chance.randint(0, 4)):
            adversary.queue.push(
                children=chance.randint(0, 2),
                dependents=chance.choice([0, 0, 1, 5]),
                canceled=chance.choice([0, 0, 7]),
                of_hook=chance.randint(0, 1),
            )
        run(adversary)
        for hook in adversary.hooks:
            hook()
        queue = adversary.queue
        assert (queue.runnable, queue.to_tell, queue.running) == ([], [], {})
        assert len(queue.ended) == len(set(queue.ended)) == queue.made
        assert len(adversary.courier.book) == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_courier_that_is_stopped_at_any_moment_keeps_no_task(seed: int) -> None:
    for number in range(100):
        chance = random.Random(f"stop:{seed}:{number}")  # noqa: S311 - a seed makes a run what it is
        adversary = Adversary(chance, slots=chance.randint(1, 4), losses=chance.random() < 0.7)
        for _ in range(chance.randint(1, 9)):
            adversary.queue.push(children=chance.randint(0, 1))
        adversary.phases.move(Phase.RUNNING)
        with patch.object(module, "clock", adversary), patch.object(exchange, "clock", adversary):
            for _ in range(chance.randint(0, 12)):
                if adversary.phases.phase is Phase.RUNNING:
                    with suppress(MemoryError):
                        adversary.courier.step()
            adversary.losses = 0
            adversary.phases.move(Phase.DRAINING)
            adversary.phases.move(Phase.STOPPING)
            adversary.courier.step()
        assert adversary.queue.running == {}
        assert len(adversary.courier.book) == 0
