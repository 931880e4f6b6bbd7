"""A separate queue for each test."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from fairque.protocol.config import RedisSection
from fairque.protocol.model.ids import new_task_id
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls


class Bench:
    """A queue with short methods for a producer.

    Attributes:
        client: A client to inspect the stored data, and to damage it on purpose.
        keys: Keys of the queue.
        runner: Sends calls to the server.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.keys = QueueKeys(name)
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)
        self.runner = Runner(RedisSection(url=url))

    def push(self, func: str, user: str = "ann") -> str:
        """Push one task and return its id."""
        task: Task[Any] = Task(task_id=new_task_id(), user_id=user, func=func)
        self.runner.run(calls.push(self.keys, [task], message_limit=262_144))
        return task.task_id

    def close(self) -> None:
        self.runner.close()
        self.client.close()


@pytest.fixture
def bench(fairque_server_url: str, fairque_queue_name: str) -> Iterator[Bench]:
    """A separate queue on the server of the session."""
    bench = Bench(fairque_server_url, fairque_queue_name)
    yield bench
    bench.close()
