"""The audit of the chaos test: keys that are left after all tasks were deleted."""

from collections.abc import Iterator

import pytest
import redis

from chaos.audit import left_over
from fairque.protocol.calls.interrupt import interrupt
from fairque.protocol.config import RedisSection
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


@pytest.fixture
def admin(fairque_server_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(fairque_server_url) as admin:
        yield admin


@pytest.fixture
def runner(fairque_server_url: str) -> Iterator[Runner]:
    runner = Runner(RedisSection(url=fairque_server_url))
    yield runner
    runner.close()


def test_an_interrupt_may_be_left_because_it_expires(admin: "redis.Redis", runner: Runner, keys: QueueKeys) -> None:
    runner.run(interrupt(keys, "w"))
    assert left_over(admin, runner, keys) == []


def test_an_interrupt_that_never_expires_is_reported(admin: "redis.Redis", runner: Runner, keys: QueueKeys) -> None:
    runner.run(interrupt(keys, "w"))
    admin.persist(keys.interrupt("w"))
    assert left_over(admin, runner, keys) == ["the key interrupt:w is left when all tasks are forgotten"]
