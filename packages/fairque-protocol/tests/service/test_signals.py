"""Signals: handled in whichever thread they arrive, restored afterwards, and not inherited by forked children."""

import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.service.signals import STOPPING, Control, Order
from fairque.testing.internal import PATIENCE

FORKING = multiprocessing.get_context("fork")

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def forever() -> None:
    while True:
        signal.pause()


@contextmanager
def forked(target: Callable[[], Any]) -> Iterator[BaseProcess]:
    """A child that has ended afterwards."""
    child = FORKING.Process(target=target, daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join(PATIENCE)


def elsewhere(work: Callable[[], Any]) -> Any:
    """Run it in another thread, as a worker runs its tasks."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(PATIENCE)


def said_by_a_child(work: Callable[[], Any]) -> Any:
    ours, theirs = FORKING.Pipe(duplex=False)
    with forked(lambda: theirs.send(work())):
        assert ours.poll(PATIENCE)
        return ours.recv()


def blocked() -> list[int]:
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_just_before_the_wait_ends_it(number: int) -> None:
    control = Control()
    with control.hearing():
        signal.raise_signal(number)
        assert control.wait(PATIENCE) is Order.STOP


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_received_by_another_thread_ends_the_wait(number: int) -> None:
    control = Control()
    with control.hearing():
        # Sent while the main thread sleeps, which it does not end by itself.
        timer = threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), number))
        timer.start()
        began = clock.monotonic()
        assert control.wait(PATIENCE) is Order.STOP
        assert clock.monotonic() - began < PATIENCE / 2
        timer.join()


def test_each_signal_has_its_meaning() -> None:
    control = Control({**STOPPING, signal.SIGUSR1: Order.DUMP})
    with control.hearing():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGTERM)
        assert [control.wait(PATIENCE), control.wait(PATIENCE)] == [Order.DUMP, Order.STOP]


def test_a_wait_ends_at_its_timeout() -> None:
    began = clock.monotonic()
    assert Control().wait(0.3) is None
    assert clock.monotonic() - began >= 0.3


def test_the_previous_handlers_are_restored_also_after_an_error() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with suppress(RuntimeError), Control().hearing():
        assert before != [signal.getsignal(number) for number in STOPPING]
        raise RuntimeError
    assert before == [signal.getsignal(number) for number in STOPPING]


def test_a_write_to_what_is_gone_does_not_end_the_process_of_a_service() -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    ours, theirs = socket.socketpair()
    theirs.close()
    try:
        with ours, Control().hearing(), pytest.raises(BrokenPipeError):
            ours.send(b"x")
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_a_service_under_nohup_survives_the_end_of_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        control = Control()
        with control.hearing():
            signal.raise_signal(signal.SIGHUP)
            assert control.wait(0.0) is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_that_are_not_requested_are_ignored() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Control().hearing():
        assert signal.getsignal(signal.SIGUSR1) is before


def test_outside_the_main_thread_signals_are_ignored() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def hears() -> None:
        with Control().hearing():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=hears)
    thread.start()
    thread.join(PATIENCE)
    assert seen == [before]


@pytest.mark.parametrize("by", [elsewhere, lambda work: work()])
@pytest.mark.parametrize("number", STOPPING)
def test_a_forked_child_has_the_previous_handlers(by: Callable[..., Any], number: int) -> None:
    before = repr(signal.getsignal(number))
    with Control().hearing():
        assert by(lambda: said_by_a_child(lambda: repr(signal.getsignal(number)))) == before


@pytest.mark.parametrize("by", [elsewhere, lambda work: work()])
def test_a_forked_child_can_be_terminated_at_once(by: Callable[..., Any]) -> None:
    def ending() -> int | None:
        with forked(forever) as child:
            child.terminate()
            child.join(PATIENCE / 5)
            return child.exitcode

    with Control().hearing():
        assert [by(ending) for _ in range(5)] == [-signal.SIGTERM] * 5


@pytest.mark.parametrize("by", [elsewhere, lambda work: work()])
def test_a_fork_leaves_no_signal_blocked_on_either_side(by: Callable[..., Any]) -> None:
    with Control().hearing():
        before, *after = by(lambda: [blocked(), said_by_a_child(blocked), blocked()])
    assert after == [before, before]
