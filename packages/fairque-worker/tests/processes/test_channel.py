"""Frames between a worker and its child: a child that does not read blocks nothing."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.errors import FairqueError
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker.jobs import Job, Lease
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.process import Child, Recipe

#: More than any socket buffers before the other end reads.
LARGE = {"kind": "left", "text": "x" * 8_000_000}


RECIPE = Recipe(worker="w", modules=(), handler=None, result_limit=1_000, input_limit=1_000)


@pytest.fixture
def child() -> Iterator[Child]:
    """An idle child."""
    child = Child(RECIPE, None)
    child.prepare()
    yield child
    child.kill()
    assert child.join(PATIENCE)
    child.channel.close()


def sending(channel: Channel, frame: dict[str, Any]) -> threading.Thread:
    """A thread that is sending something, and waits for the other end to read."""

    def send() -> None:
        try:
            channel.send(frame)
        except OSError:
            return

    thread = threading.Thread(target=send)
    thread.start()
    eventually(channel._lock.locked, what="a send under way")
    return thread


def test_a_request_to_stop_a_child_that_does_not_read_does_not_block(child: Child) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    sender = sending(child.channel, LARGE)
    job = Job(Granted("t", b"", "7:ab", 1, 0, solo=False, pushed_at=0), Lease(0))
    teller = threading.Thread(target=child.request_stop, args=(job,), daemon=True)
    teller.start()
    teller.join(PATIENCE)
    told = not teller.is_alive()
    child.kill()
    sender.join(PATIENCE)
    assert (told, sender.is_alive()) == (True, False)


def test_a_child_that_cannot_be_started_says_why_and_does_not_block_its_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "python\0")
    child = Child(RECIPE, None)
    assert child._begun.wait(PATIENCE)
    with pytest.raises(FairqueError, match="its child process cannot be started: embedded null byte"):
        child.prepare()
    child.kill()
    assert child.join(PATIENCE)
    child.channel.close()


class FullSocket(socket.socket):
    """Its buffers are full whenever somebody does not want to wait."""

    def send(self, data: Any, flags: int = 0) -> int:
        if flags & socket.MSG_DONTWAIT:
            raise BlockingIOError
        return super().send(data, flags)


@pytest.mark.parametrize("kind", [socket.socket, FullSocket])
def test_what_is_offered_while_another_frame_is_under_way_follows_it(kind: type[socket.socket]) -> None:
    """Also if the buffers are still full when that one ends."""
    end, other = socket.socketpair()
    ours, theirs = Channel(kind(fileno=end.detach())), Channel(other)
    sender = sending(ours, LARGE)
    ours.offer({"kind": "cancel"})
    assert [theirs.receive(PATIENCE), theirs.receive(PATIENCE)] == [LARGE, {"kind": "cancel"}]
    sender.join(PATIENCE)
    ours.close()
    theirs.close()


def test_what_is_offered_to_a_socket_that_is_full_goes_with_the_next_frame() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    offered = [{"kind": "cancel", "number": n, "text": "x" * 10_000} for n in range(200)]
    for frame in offered:
        ours.offer(frame)
    assert ours._offered
    sender = sending(ours, {"kind": "ping"})
    assert [theirs.receive(PATIENCE) for _ in offered] == offered
    assert theirs.receive(PATIENCE) == {"kind": "ping"}
    sender.join(PATIENCE)
    ours.close()
    theirs.close()
