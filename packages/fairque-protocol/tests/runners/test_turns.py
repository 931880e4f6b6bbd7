"""Turns: so many threads at a time, and none waits forever."""

import threading

import pytest

from fairque.protocol.runners import turns
from fairque.protocol.runners.turns import Turns
from fairque.testing.internal import PATIENCE, eventually


def test_no_more_enter_than_there_are_turns() -> None:
    two, gate, inside = Turns(2), threading.Event(), list[int]()

    def enter() -> None:
        with two:
            inside.append(1)
            gate.wait(PATIENCE)

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(inside) >= 2, what="two that are inside")
    assert len(inside) == 2
    gate.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(inside) == 3


def test_a_turn_that_was_lost_is_missed_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LONGEST_SECONDS", 0.01)
    one = Turns(1)
    one.__enter__()
    with one:
        assert one._free.empty()
    assert one._free.qsize() == 1
    with one:
        assert one._free.empty()
