"""What a worker and its child say to each other; nobody waits for a child that does not read."""

import socket
from collections.abc import Iterator

import pytest

from fairque.worker.processes.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Both ends of a connection."""
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


def test_a_frame_arrives_as_it_was_sent(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one.send({"kind": "run", "text": "ä"})
    assert other.receive(5) == {"kind": "run", "text": "ä"}


def test_a_short_frame_is_sent_at_once(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    assert one.send_at_once({"kind": "cancel"})
    assert other.receive(5) == {"kind": "cancel"}


def test_a_frame_to_somebody_who_does_not_read_is_given_up_at_once(ends: tuple[Channel, Channel]) -> None:
    one, _ = ends
    sent = 0
    while one.send_at_once({"kind": "cancel", "reason": "x" * 1_000}):
        sent += 1
        assert sent < 100_000
    assert not one.send_at_once({"kind": "cancel"})


def test_a_frame_is_given_up_at_once_while_another_is_being_sent(ends: tuple[Channel, Channel]) -> None:
    one, _ = ends
    with one._lock:
        assert not one.send_at_once({"kind": "cancel"})


def test_nothing_can_be_said_to_an_end_that_is_gone(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    other.close()
    assert not one.send_at_once({"kind": "cancel"})
    assert one.receive(5) is None
