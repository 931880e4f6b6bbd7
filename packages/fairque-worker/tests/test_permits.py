"""A worker whose user lacks rights starts no task."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from fairque.protocol.errors import ServerUnsuitable
from fairque.protocol.model.states import TaskState
from fairque.testing import PlainServer


def nothing() -> None:
    """The shortest task."""


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    with PlainServer() as server:
        yield server


@pytest.mark.parametrize("rule", ["-publish", "-blpop", "-zpopmin", "-rpush", "resetchannels"])
def test_it_is_refused_at_its_start_and_takes_nothing(
    server: PlainServer, make_bench: Callable[[str, str], Any], fairque_queue_name: str, rule: str
) -> None:
    bench = make_bench(server.url, fairque_queue_name)
    task_id = bench.push(nothing)
    with redis.Redis.from_url(server.url) as root:
        root.execute_command("ACL", "SETUSER", "w", "reset", "on", ">pw", "~*", "&*", "+@all", rule)
    lacking = make_bench(server.url.replace("unix://", "unix://w:pw@"), fairque_queue_name)
    with pytest.raises(ServerUnsuitable, match="a worker of queue"):
        lacking.start(nothing)
    assert (bench.state(task_id), bench.info(task_id).attempts) == (TaskState.QUEUED, 0)
    assert bench.client.exists(f"{bench.keys.prefix}g") == 1
