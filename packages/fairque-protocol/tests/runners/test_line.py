"""A request whose answers are read later."""

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.runners.line import Line
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.runners.conftest import OwnServer


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


@pytest.fixture
def line(own_server: "OwnServer") -> Iterator[Line]:
    line = Line(own_server.settings)
    yield line
    line.close()


def test_the_answers_of_all_calls_arrive_in_their_order_and_not_decoded(line: Line, keys: QueueKeys) -> None:
    both: list[Any] = [calls.read_stats(keys), calls.rouse(keys)]
    line.send(both)
    busy = [line.busy]
    assert select.select([line], [], [], 30)[0] == [line]
    answers = line.receive()
    assert [*busy, line.busy] == [True, False]
    assert both[0].decode(answers[0]).queued == 0
    assert all(answer[0] == 1 for answer in answers)


def test_only_one_request_is_under_way(line: Line, keys: QueueKeys) -> None:
    line.send([calls.rouse(keys)])
    with pytest.raises(RuntimeError, match="under way"):
        line.send([calls.rouse(keys)])
    line.receive()
    with pytest.raises(RuntimeError, match="no request is under way"):
        line.receive()


def test_a_script_missing_from_the_server_is_reported_and_sent_with_the_next_request(
    own_server: "OwnServer", line: Line, keys: QueueKeys
) -> None:
    line.send([calls.rouse(keys)])
    line.receive()
    own_server.client.script_flush()
    line.send([calls.rouse(keys)])
    with pytest.raises(RedisUnavailable, match="No matching script"):
        line.receive()
    line.send([calls.rouse(keys)])
    assert line.receive()[0][0] == 1


def test_a_lost_connection_is_reported_and_the_next_request_opens_a_new_one(
    own_server: "OwnServer", line: Line, keys: QueueKeys
) -> None:
    line.send([calls.rouse(keys)])
    line.receive()
    own_server.client.client_kill_filter(_type="normal", skipme=True)

    def ask() -> list[Any]:
        line.send([calls.rouse(keys)])
        return line.receive()

    with pytest.raises(FairqueError):
        ask()
    assert not line.busy
    line.send([calls.rouse(keys)])
    assert line.receive()[0][0] == 1
