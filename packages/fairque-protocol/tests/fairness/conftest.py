"""A scheduling model with a clock that the test moves, and short names for what tests do all the time."""

from itertools import count
from typing import Any

import pytest

from fairque.protocol.fairness.ledger import CostMode
from fairque.protocol.fairness.model import FairModel
from fairque.protocol.fairness.records import ModelTask, User

START_US = 1_800_000_000_000_000


class Bench:
    """A model and its clock.

    Attributes:
        model: The model.
        now_us: Where the clock stands.
        started: Users of all tasks that were started, in order.
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
        """Pop one task, and return the ring by which its user was chosen."""
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
        """Ann's."""
        return self.user().S

    def advantage(self, one: str, other: str) -> float:
        """The most by which the starts of one, per weight, outran the other's over any stretch of all pops so far."""
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
    """Makes benches, also many in one test."""
    return Bench


@pytest.fixture
def queue() -> Bench:
    """A bench that charges time."""
    return Bench()


@pytest.fixture
def counting() -> Bench:
    """A bench that charges tasks."""
    return Bench("count")
