"""The plan of a run, determined by its seed alone: the tasks batch by batch, and the faults one by one."""

import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cattrs
from attrs import field, frozen

from chaos.history import Event
from chaos.server import Persistence
from fairque.client import After, Priority, Task
from fairque.protocol.jsonvalue import dumps, loads
from fairque.protocol.limits import CostMode

__all__ = ["BATCH", "Plan", "task_of"]

#: Tasks of one push.
BATCH = 50
USERS = 8
LOOSE_EVERY = 10

#: Behaviours of tasks, and how many of a thousand have each; the others are quick.
_KINDS = {"shaky": 30, "broken": 8, "again": 10, "sleepy": 10, "quitter": 5, "overdue": 4, "patient": 80}

#: Ways to run tasks, and how many of 21 use each.
_MODES = {"thread": 10, "async": 10, "process": 1}

#: Seconds that a patient task takes: so long that a fault hits while it runs.
_PATIENT = (0.3, 1.2)


@frozen(kw_only=True)
class Plan:
    """One run.

    Attributes:
        seed: Seed of all random choices.
        tasks: Number of tasks to push.
        faults: How often each nemesis runs, by its name in nemeses.py.
        poison: How many tasks kill the process that runs them.
        persistence: Persistence of the server.
        cost_mode: Cost of tasks for their users.
        modes: How tasks run; few of them in child processes, which use the most CPU.
        producers: Processes that push.
        workers: Processes that run tasks.
        concurrency: Tasks that a worker runs at a time.
        lease: Lease of a worker; the heartbeat is a quarter of it.
        max_lost_workers: Lost leases after which a task becomes a dead letter.
        recovery_seconds: Seconds after the lease within which the tasks of a dead worker must be started again.
        gap_seconds: Shortest time between two faults.
    """

    seed: int = 1
    tasks: int
    faults: dict[str, int]
    poison: int = 3
    persistence: Persistence = "always"
    cost_mode: CostMode = CostMode.TIME
    modes: tuple[str, ...] = ("thread", "async", "process")
    producers: int = 2
    workers: int = 3
    concurrency: int = 4
    lease: float = 2.0
    max_lost_workers: int = 5
    recovery_seconds: float = 5.0
    gap_seconds: float = 1.5
    schedule: tuple[str, ...] = field(init=False)

    @schedule.default
    def _shuffled(self) -> tuple[str, ...]:
        order = [name for name, times in sorted(self.faults.items()) for _ in range(times)]
        random.Random(f"{self.seed}/faults").shuffle(order)
        return tuple(order)

    @property
    def batches(self) -> int:
        return -(-self.tasks // BATCH)

    @property
    def longest_seconds(self) -> float:
        """The longest run time of a task."""
        return _PATIENT[1]

    def batch(self, number: int) -> list[Event]:
        """Return the tasks of one push. They may depend on each other and on earlier batches of the same producer."""
        draw = random.Random(f"{self.seed}/{number}")
        size = min(BATCH, self.tasks - number * BATCH)
        batch = [self._task(draw, f"t{number}.{place}") for place in range(size)]
        known = [f"t{before}.{place}" for before in self._elders(number) for place in range(BATCH)]
        for place, task in enumerate(batch):
            if draw.random() < 0.25 and not self.loose(number):
                choice = known + [other["id"] for other in batch[:place]]
                parents = draw.sample(choice, min(len(choice), draw.choice([1, 1, 1, 2, 3])))
                task["parents"] = [[parent, draw.choice(["cascade", "cascade", "run"])] for parent in parents]
            task["pulls"] = [parent for parent, edge in task["parents"] if edge == "cascade" and self._leaves(parent)]
        poisoned = [place * self.batches // (self.poison + 1) for place in range(1, self.poison + 1)]
        if number in poisoned:
            mode = self.modes[poisoned.index(number) % len(self.modes)]
            batch[0].update(kind="poison", mode=mode, parents=[], pulls=[], retries=2, timeout_ms=60_000)
        return batch

    def loose(self, number: int) -> bool:
        """Whether no task depends on a batch, so that its producer may give it up."""
        return number % LOOSE_EVERY == LOOSE_EVERY - 1

    def all_tasks(self) -> Iterator[Event]:
        for number in range(self.batches):
            yield from self.batch(number)

    def save(self, folder: Path) -> None:
        """Write the plan into the folder of the run."""
        values = cattrs.unstructure(self)
        (folder / "plan.json").write_bytes(dumps({key: values[key] for key in values if key != "schedule"}))

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Read the plan of a run that has begun."""
        return cattrs.structure(loads((folder / "plan.json").read_bytes()), cls)

    def _leaves(self, task_id: str) -> bool:
        """Whether a task stores a value for its dependents."""
        return zlib.crc32(f"{self.seed}/{task_id}".encode()) % 5 == 0

    def _elders(self, number: int) -> list[int]:
        before = (number - self.producers * back for back in (1, 2, 3))
        return [elder for elder in before if elder >= 0 and not self.loose(elder)]

    def _task(self, draw: random.Random, task_id: str) -> Event:
        kind = draw.choices([*_KINDS, "quick"], [*_KINDS.values(), 1000 - sum(_KINDS.values())])[0]
        return {
            "id": task_id,
            # The first user has as many tasks as all others together.
            "user": f"u{0 if draw.random() < 0.5 else draw.randrange(1, USERS)}",
            "priority": draw.choices([3, 1, 5, 6], [85, 5, 5, 5])[0],
            "kind": kind,
            "mode": draw.choices(self.modes, [_MODES[mode] for mode in self.modes])[0],
            "seconds": round(draw.uniform(*_PATIENT) if kind == "patient" else draw.uniform(0.0, 0.01), 4),
            "retries": 0 if kind in ("broken", "overdue") else 2,
            "timeout_ms": 300 if kind == "overdue" else 3_600_000,
            "delay_ms": draw.randrange(50, 1000) if draw.random() < 0.03 else 0,
            "leaves": self._leaves(task_id),
            "parents": [],
        }


def task_of(event: Event) -> Task[Any]:
    """Return the task that an event of the history describes."""
    from chaos.tasks import functions  # noqa: PLC0415 - reading a plan needs no functions

    options = functions[event["mode"]].options(
        task_id=event["id"],
        user_id=event["user"],
        priority=Priority(event["priority"]),
        retries=event["retries"],
        timeout=event["timeout_ms"] / 1000,
        delay=event["delay_ms"] / 1000,
        depends_on=[After(parent, on_failure=policy) for parent, policy in event["parents"]],
    )
    return options.task(event["kind"], event["seconds"], leaves=event["leaves"], pulls=event["pulls"])
