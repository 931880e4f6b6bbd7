"""A scheduling model with a clock that the test moves, or with workers in virtual time."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from statistics import fmean
from typing import Any

import pytest
from attrs import Factory, define, field, frozen

from fairque.protocol.model.states import Priority
from fairque.testing.fairness.ledger import CostMode
from fairque.testing.fairness.model import FairModel
from fairque.testing.fairness.records import ModelTask, User

START_US = 1_800_000_000_000_000


class Bench:
    """A model and its clock.

    Attributes:
        model: The model under test.
        now_us: The time of the clock.
        started: Users of all started tasks, in order.
    """

    def __init__(self, cost_mode: CostMode = "time") -> None:
        self.model = FairModel(cost_mode=cost_mode)
        self.now_us = START_US
        self.started: list[str] = []
        self._numbers = count(1)

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)

    def push(self, user: str = "ann", number: int = 1, **fields: Any) -> list[str]:
        """Push tasks of a user, named t1, t2, t3 …, and return their ids."""
        tasks = [ModelTask(f"t{next(self._numbers)}", user, **fields) for _ in range(number)]
        self.model.push(self.now_us, tasks)
        return [task.task_id for task in tasks]

    def pop(self, number: int = 1, lease_ms: int = 30_000) -> list[str]:
        granted = self.model.pop(self.now_us, number, lease_ms)
        self.started += [self.model.tasks[task_id].user for task_id in granted]
        return granted

    def finish(self, *task_ids: str, ran: float = 0.005) -> None:
        self.model.finish(self.now_us, dict.fromkeys(task_ids, round(ran * 1_000_000)))

    def serve(self, number: int = 1, ran: float = 0.005) -> list[str]:
        """Pop and finish one task after the other, and return their users."""
        for _ in range(number):
            (task_id,) = self.pop()
            self.advance(ran)
            self.finish(task_id, ran=ran)
        return self.started[-number:]

    def turn(self) -> str:
        """Pop one task, and return the ring from which its user was chosen."""
        on_credit, fresh = self.model.cg, dict(self.model.fresh.items())
        self.pop()
        if self.model.cg > on_credit:
            return "critical"
        return "fresh" if self.started[-1] in fresh else "ready"

    def set(self, user: str, **changes: Any) -> None:
        self.model.set_user(self.now_us, user, **changes)

    def user(self, name: str = "ann") -> User:
        return self.model.users[name]

    def tag(self) -> float:
        """The tag of ann."""
        return self.user().S

    def advantage(self, one: str, other: str) -> float:
        """The largest lead of one user's starts per weight over another's in any interval of all pops so far."""
        weights = {name: self.user(name).settings.weight for name in (one, other)}
        ahead = lowest = most = 0.0
        for user in self.started:
            if user == one:
                ahead += 1 / weights[one]
            elif user == other:
                ahead -= 1 / weights[other]
            lowest = min(lowest, ahead)
            most = max(most, ahead - lowest)
        return most


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    """Creates benches, also several in one test."""
    return Bench


@pytest.fixture
def queue() -> Bench:
    """A bench that charges time."""
    return Bench()


@pytest.fixture
def counting() -> Bench:
    """A bench that charges tasks."""
    return Bench("count")


@frozen(kw_only=True)
class Member:
    """A user of a floor that always has work.

    Attributes:
        name: Id of the user.
        weight: Weight of the user.
        length: Average seconds of a task.
        spread: Fraction by which a task may be longer or shorter.
        cap: Most tasks at a time.
        rate: Most starts a second.
        burst: Most starts at once.
        urgent: Fraction of its tasks that are CRITICAL.
        failing: Fraction of its attempts that fail, and are retried a second later.
    """

    name: str
    weight: float = 1.0
    length: float = 0.1
    spread: float = 0.0
    cap: int | None = None
    rate: float | None = None
    burst: int | None = None
    urgent: float = 0.0
    failing: float = 0.0


@define(eq=False)
class Load:
    """The service of a member: ended attempts in microseconds, starts, start times of running tasks, and lengths."""

    member: Member
    ended_us: int = 0
    started: int = 0
    drawn: list[float] = Factory(list)
    running: dict[str, int] = Factory(dict)


@define(eq=False)
class Floor:
    """Workers that serve members with the model, in virtual time. The same seed gives the same run."""

    workers: int
    seed: int = 0
    cost_mode: CostMode = "time"
    model: FairModel = field(init=False)
    now_us: int = field(init=False, default=0)
    loads: dict[str, Load] = field(init=False, factory=dict)
    after: list[Callable[[], None]] = field(init=False, factory=list)
    _idle: int = field(init=False)
    _wake_us: int = field(init=False, default=-1)
    _random: Random = field(init=False)
    _numbers: Any = field(init=False, factory=count)
    _events: list[tuple[int, int, Callable[[], None]]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.model = FairModel(cost_mode=self.cost_mode)
        self._idle, self._random = self.workers, Random(self.seed)  # noqa: S311 - a run has to be repeatable

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Call a function at a later time."""
        heappush(self._events, (round(seconds * 1_000_000), next(self._numbers), action))

    def join(self, *members: Member) -> None:
        """Add members, each with more tasks than can run at a time."""
        for member in members:
            self.set(member.name, weight=member.weight, cap=member.cap, rate=member.rate, burst=member.burst)
            self.loads[member.name] = Load(member)
            self._push(member, 2 * self.workers + 2)

    def leave(self, name: str) -> None:
        """Stop the pushes of a member, and cancel its waiting tasks."""
        user = self.model.users[name]
        for task_id, _ in [*user.n.items(), *user.c.items()]:
            self.model.cancel(self.now_us, task_id)
        del self.loads[name]

    def set(self, user: str, **changes: Any) -> None:
        self.model.set_user(self.now_us, user, **changes)

    def run(self, until: float) -> None:
        """Advance the time, in seconds from the beginning."""
        end_us = round(until * 1_000_000)
        self._serve()
        while self._events and self._events[0][0] <= end_us:
            self.now_us = self._events[0][0]
            while self._events and self._events[0][0] == self.now_us:
                heappop(self._events)[2]()
            self._serve()
            for look in self.after:
                look()
        self.now_us = end_us

    def had(self, name: str) -> float:
        """Worker seconds so far, including those of running tasks; or starts, if each costs one."""
        load = self.loads[name]
        if self.cost_mode == "count":
            return load.started
        return (load.ended_us + len(load.running) * self.now_us - sum(load.running.values())) / 1_000_000

    def length(self, name: str) -> float:
        """Average seconds of the tasks of a member, since the lengths were reset."""
        load = self.loads[name]
        return fmean(load.drawn) if load.drawn else load.member.length

    def forget_lengths(self) -> None:
        """Reset the averages."""
        for load in self.loads.values():
            load.drawn.clear()

    def _push(self, member: Member, number: int) -> None:
        tasks = []
        for _ in range(number):
            urgent = member.urgent and self._random.random() < member.urgent
            priority = Priority.CRITICAL if urgent else Priority.NORMAL
            tasks.append(ModelTask(f"t{next(self._numbers)}", member.name, priority))
        self.model.push(self.now_us, tasks)

    def _serve(self) -> None:
        while self._idle and (granted := self.model.pop(self.now_us, self._idle)):
            for task_id in granted:
                self._start(task_id)
        wake_us = self.model.wake_at_us()
        if self._idle and wake_us is not None and not self.now_us < self._wake_us <= wake_us:
            self._wake_us = wake_us
            heappush(self._events, (wake_us, next(self._numbers), lambda: None))

    def _start(self, task_id: str) -> None:
        self._idle -= 1
        # A running task of a member that has left is not counted.
        load = self.loads.get(self.model.tasks[task_id].user) or Load(Member(name="gone"))
        member = load.member
        length = member.length * (1 + member.spread * self._random.uniform(-1, 1))
        load.started += 1
        load.drawn.append(length)
        load.running[task_id] = self.now_us
        self._after(length, lambda: self._end(load, task_id))
        if length > 10:
            self._after(10, lambda: self._beat(load, task_id))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heappush(self._events, (self.now_us + round(seconds * 1_000_000), next(self._numbers), action))

    def _beat(self, load: Load, task_id: str) -> None:
        if task_id in load.running:
            self.model.beat(self.now_us, [task_id])
            self._after(10, lambda: self._beat(load, task_id))

    def _end(self, load: Load, task_id: str) -> None:
        ran_us = self.now_us - load.running.pop(task_id)
        load.ended_us += ran_us
        self._idle += 1
        if load.member.failing and self._random.random() < load.member.failing:
            self.model.fail(self.now_us, {task_id: ran_us}, pause_ms=1_000)
        else:
            self.model.finish(self.now_us, {task_id: ran_us})
        if self.loads.get(load.member.name) is load:
            self._push(load.member, 1)


@pytest.fixture(scope="session")
def new_floor() -> type[Floor]:
    """Creates floors, also several in one test."""
    return Floor


@pytest.fixture(scope="session")
def new_member() -> type[Member]:
    """Creates members of floors."""
    return Member
