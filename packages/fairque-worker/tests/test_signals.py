"""Signals: a worker handles them in whichever thread they arrive, and forked processes do not inherit its handlers."""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually

FORKING = multiprocessing.get_context("fork")

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def nothing() -> None:
    """Ends at once."""


class Elsewhere(threading.Thread):
    """Does something while the main thread runs a worker, and ends the worker in any case."""

    def __init__(self, worker: Any, act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._worker = worker
        self._act = act
        self._ended = threading.Event()
        self.error: BaseException | None = None
        self.had_to_help = False

    def run(self) -> None:
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.error = error
        while not self._ended.wait(PATIENCE / 2):
            self.had_to_help = True
            self._worker._control.tell()

    def ends(self) -> None:
        self._ended.set()
        self.join(PATIENCE)
        if self.error is not None:
            raise self.error


def run_with(worker: Any, act: Callable[[], None]) -> bool:
    """Run a worker here, and something else concurrently; return whether the worker then ended by itself."""
    other = Elsewhere(worker, act)
    other.start()
    worker.run()
    other.ends()
    return not other.had_to_help


def signal_this_thread(number: int) -> None:
    """The system may choose any thread; then the main one continues to sleep, as after a signal just before."""
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_does_not_wake_the_main_thread_stops_the_worker_anyway(bench: Any, number: int) -> None:
    worker = bench.worker(nothing)

    def act() -> None:
        bench.result(bench.push(nothing))
        signal_this_thread(number)

    assert run_with(worker, act)


def test_a_second_signal_that_does_not_wake_the_main_thread_ends_the_wait(bench: Any, inside: Any) -> None:
    worker = bench.worker(inside, stop_timeout=600)
    task_id = bench.push(inside)

    def act() -> None:
        inside.context()
        signal_this_thread(signal.SIGTERM)
        eventually(lambda: not worker._phases.takes, what="a worker that has heard the first signal")
        signal_this_thread(signal.SIGTERM)

    assert run_with(worker, act)
    assert bench.state(task_id) is TaskState.QUEUED


def test_after_the_grace_no_second_signal_is_needed(bench: Any, inside: Any) -> None:
    worker = bench.worker(inside, stop_timeout=0.6)
    bench.push(inside)
    began: list[float] = []

    def act() -> None:
        inside.context()
        began.append(clock.monotonic())
        signal_this_thread(signal.SIGTERM)

    assert run_with(worker, act)
    assert clock.monotonic() - began[0] >= 0.6


def test_the_handlers_are_those_of_before_when_the_worker_has_ended(bench: Any) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    bench.push(nothing)
    bench.worker(nothing, burst=True).run()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def forked_by_a_task(bench: Any, work: Callable[[], Any]) -> Any:
    """Return the result of a task that a worker runs here, in the main thread, with its signal handlers."""

    def forks() -> Any:
        return work()

    task_id = bench.push(forks)
    bench.worker(forks, burst=True).run()
    return bench.result(task_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_child_that_a_task_forks_has_the_handlers_of_before(bench: Any, number: int) -> None:
    before = repr(signal.getsignal(number))

    def work() -> str:
        ours, theirs = FORKING.Pipe(duplex=False)
        child = FORKING.Process(target=lambda: theirs.send(repr(signal.getsignal(number))))
        child.start()
        child.join(PATIENCE)
        return str(ours.recv())

    assert forked_by_a_task(bench, work) == before
