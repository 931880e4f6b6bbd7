"""A separate queue on a real server, and schedulers for it that are stopped after the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from fairque.protocol.config import RedisSection
from fairque.protocol.model.schedules import Schedule, schedule_with
from fairque.protocol.model.task import Task, TaskOptions
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler import TaskScheduler
from fairque.testing.internal import calls


class Bench:
    """A queue with schedules.

    Attributes:
        client: A client to inspect the stored data.
        keys: Keys of the queue.
        runner: Sends calls of the test.
        url: URL of the server.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.client: redis.Redis = redis.Redis.from_url(url)
        self.keys = QueueKeys(name)
        self.runner = Runner(RedisSection(url=url))
        self._schedulers: list[TaskScheduler] = []

    def scheduler(self, **options: Any) -> TaskScheduler:
        """Create a scheduler without starting it."""
        options = {"lease": 1.0, **options}
        self._schedulers.append(TaskScheduler.from_url(self.url, queue=self.keys.name, **options))
        return self._schedulers[-1]

    def started(self, **options: Any) -> TaskScheduler:
        """Create and start a scheduler."""
        made = self.scheduler(**options)
        made.start()
        return made

    def run(self, call: Any) -> Any:
        return self.runner.run(call)

    def times(self, schedule_id: str) -> list[int]:
        """The sorted times of runs that have a task."""
        prefix = f"{self.keys.prefix}t:schedule:{schedule_id}:"
        found: Any = self.client.keys(f"{prefix}*")
        return sorted(int(key.decode().removeprefix(prefix)) for key in found)

    def now_ms(self) -> int:
        """The server's time."""
        found = self.runner.run(calls.read_scheduler(self.keys))
        return found.at_ms

    def close(self) -> None:
        for one in self._schedulers:
            one.stop(5)
        self.runner.close()
        self.client.close()


@pytest.fixture
def bench(fairque_server_url: str, fairque_queue_name: str) -> Iterator[Bench]:
    """A separate queue."""
    made = Bench(fairque_server_url, fairque_queue_name)
    yield made
    made.close()


@pytest.fixture
def every() -> Callable[..., Schedule]:
    """Creates schedules with an interval."""

    def every(name: str, seconds: float, **fields: Any) -> Schedule:
        names = {"func", "args", "kwargs", *TaskOptions.__optional_keys__} & fields.keys()
        task = Task(**{"user_id": "ann", "func": "m:f", **{one: fields.pop(one) for one in names}})
        declared = fields.pop("declared", False)
        return schedule_with(Schedule(name, task, every=seconds, **fields), declared=declared)

    return every
