"""A wait and the call after it: one request with a late answer."""

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.read import QueueStats
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, RedisUnavailable, SchemaMismatch
from fairque.protocol.runners.wait import WaitLine
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls, eventually

if TYPE_CHECKING:
    from tests.runners.conftest import OwnServer


class Line:
    """A line that waits for the wake-up of a queue and reads its numbers then."""

    def __init__(self, settings: RedisSection, keys: QueueKeys) -> None:
        self.line: WaitLine[QueueStats] = WaitLine(settings)
        self.keys = keys

    def begin(self, seconds: float) -> None:
        own = self.keys.interrupt("me")
        self.line.begin_wait([self.keys.wake, own], seconds, calls.read_stats(self.keys), clear=own)

    def after(self, seconds: float) -> tuple[str | None, QueueStats]:
        self.begin(seconds)
        return self.line.receive_wait(30)


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


@pytest.fixture
def line(own_server: "OwnServer", keys: QueueKeys) -> Iterator[Line]:
    line = Line(own_server.settings, keys)
    yield line
    line.line.close()


def test_a_wait_ends_with_the_wake_up(own_server: "OwnServer", keys: QueueKeys, line: Line) -> None:
    own_server.client.rpush(keys.wake, "1")
    assert line.after(30)[0] == keys.wake
    assert line.after(0.01)[0] is None


def test_the_descriptor_is_readable_once_the_answer_has_arrived(
    own_server: "OwnServer", keys: QueueKeys, line: Line
) -> None:
    line.begin(30)
    eventually(lambda: own_server.client.info("clients")["blocked_clients"], what="the wait")
    assert select.select([line.line], [], [], 0)[0] == []
    own_server.client.rpush(keys.wake, "1")
    assert select.select([line.line], [], [], 30)[0] == [line.line]
    assert line.line.receive_wait(0)[0] == keys.wake


def test_a_wait_may_last_longer_than_a_call(own_server: "OwnServer", keys: QueueKeys) -> None:
    line = Line(RedisSection(url=own_server.settings.url, socket_timeout=0.05, retries=0), keys)
    assert line.after(0.3)[0] is None
    line.line.close()


def test_a_script_missing_from_the_server_is_sent_with_the_next_wait(own_server: "OwnServer", line: Line) -> None:
    assert line.after(0.01)[1].pushed == 0
    own_server.client.script_flush()
    with pytest.raises(RedisUnavailable, match="No matching script"):
        line.after(0.01)
    assert line.after(0.01)[1].pushed == 0


def test_a_refusal_is_raised_and_the_connection_stays_usable(
    own_server: "OwnServer", keys: QueueKeys, line: Line
) -> None:
    own_server.client.hset(keys.meta, "schema", "9")
    with pytest.raises(SchemaMismatch):
        line.after(0.01)
    own_server.client.delete(keys.meta)
    own_server.client.set(keys.wake, "no list")
    with pytest.raises(FairqueError, match="WRONGTYPE"):
        line.after(0.01)
    own_server.client.delete(keys.wake)
    assert line.after(0.01)[0] is None


def test_a_lost_connection_is_reported_and_the_next_wait_opens_a_new_one(own_server: "OwnServer", line: Line) -> None:
    line.begin(30)
    eventually(lambda: own_server.client.info("clients")["blocked_clients"], what="the wait")
    own_server.client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(RedisUnavailable):
        line.line.receive_wait(30)
    assert not line.line.busy
    assert line.after(0.01)[0] is None


def test_a_wait_without_an_answer_in_time_raises(line: Line) -> None:
    line.begin(30)
    with pytest.raises(RedisUnavailable, match="wait was not answered in time"):
        line.line.receive_wait(0)
    assert not line.line.busy
