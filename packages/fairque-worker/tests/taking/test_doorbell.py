"""The bell of a thread that sleeps on a socket: no ring is missed, and one is enough."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from fairque.worker.taking.doorbell import Doorbell


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    bell = Doorbell()
    bell.open()
    yield bell
    bell.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_a_ring_before_the_sleep_ends_it(bell: Doorbell) -> None:
    bell.ring()
    assert not bell.sleep(60)


def test_many_rings_end_one_sleep_only(bell: Doorbell) -> None:
    for _ in range(100_000):
        bell.ring()
    assert not bell.sleep(60)
    assert not bell.sleep(0.001)


def test_a_readable_socket_ends_the_sleep_and_is_reported(
    bell: Doorbell, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].send(b"x")
    assert bell.sleep(60, pair[0])
    bell.ring()
    assert bell.sleep(60, pair[0])


def test_a_ring_alone_does_not_report_the_socket(bell: Doorbell, pair: tuple[socket.socket, socket.socket]) -> None:
    bell.ring()
    assert not bell.sleep(60, pair[0])


def test_a_bell_that_could_not_sleep_says_so_until_it_can(bell: Doorbell) -> None:
    bell.check()
    descriptor = bell._pair[0].fileno()
    kept = os.dup(descriptor)
    os.close(descriptor)
    for ask in (lambda: bell.sleep(0.001), bell.check, bell.check):
        with pytest.raises(OSError, match="Bad file descriptor"):
            ask()
    os.dup2(kept, descriptor)
    os.close(kept)
    bell.check()
    assert not bell.sleep(0.001)


def test_no_ring_is_missed_that_follows_its_cause(bell: Doorbell) -> None:
    """Each number is received, whenever the ring comes: before the sleep, at its start, or during it."""
    last = 20_000
    said = 0

    def ring() -> None:
        nonlocal said
        for number in range(1, last + 1):
            said = number
            bell.ring()

    ringer = threading.Thread(target=ring)
    ringer.start()
    while said < last:
        bell.sleep(60)
    ringer.join()
    assert said == last


def test_a_bell_that_is_closed_may_be_rung(bell: Doorbell) -> None:
    bell.close()
    bell.ring()
