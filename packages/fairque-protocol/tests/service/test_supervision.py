"""Threads of a service: a failing step is retried, and none of them ends unnoticed."""

import math
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
import structlog

from fairque.protocol.errors import FairqueError
from fairque.protocol.service.supervision import Service
from fairque.testing.internal import PATIENCE, eventually

Make = Callable[..., Service]


@pytest.fixture
def deaths() -> SimpleQueue[tuple[str, BaseException]]:
    return SimpleQueue()


@pytest.fixture
def make(deaths: SimpleQueue[tuple[str, BaseException]]) -> Iterator[Make]:
    made: list[Service] = []

    def make(step: Callable[[], None], *, patience: float = 60.0, **options: Any) -> Service:
        options = {"log": structlog.get_logger("fairque.test"), **options}
        service = Service("fairque-test", step, patience=patience, on_death=lambda *death: deaths.put(death), **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


def failing(times: float, error: BaseException, then: Callable[[], None]) -> Callable[[], None]:
    left = times

    def step() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        then()

    return step


@pytest.mark.parametrize("error", [MemoryError(), OSError(24, "too many open files"), RuntimeError("a test")])
def test_a_failed_step_is_retried(make: Make, error: Exception) -> None:
    done = threading.Event()

    def work() -> None:
        done.set()
        service.rest(math.inf)

    service = make(failing(3, error, work))
    service.start()
    assert done.wait(PATIENCE)


def test_a_step_that_keeps_failing_ends_the_thread_and_is_reported(make: Make, deaths: Any) -> None:
    error = OSError(24, "too many open files")
    service = make(failing(math.inf, error, lambda: None), patience=0.0)
    service.start()
    assert deaths.get(timeout=PATIENCE) == ("fairque-test", error)
    assert service.join(PATIENCE)


def test_a_dead_thread_is_not_overdue(make: Make, deaths: Any) -> None:
    service = make(failing(1, SystemExit(0), lambda: None))
    service.start()
    deaths.get(timeout=PATIENCE)
    assert (service.overdue, service.stopped) == (0, True)


def test_the_pauses_between_failures_grow_up_to_a_second(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def end() -> None:
        service.end()

    service = make(failing(8, ValueError("a test"), end))
    monkeypatch.setattr(service, "rest", pauses.append)
    service.start()
    assert service.join(PATIENCE)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), BaseException()])
def test_a_base_exception_ends_the_thread_at_once_and_is_reported(
    make: Make, deaths: Any, error: BaseException
) -> None:
    service = make(failing(1, error, lambda: None))
    service.start()
    assert deaths.get(timeout=PATIENCE) == ("fairque-test", error)


def test_a_permanent_error_ends_the_thread_at_once(make: Make, deaths: Any) -> None:
    service = make(failing(1, KeyError("a test"), lambda: None), fatal=(KeyError,))
    service.start()
    assert isinstance(deaths.get(timeout=PATIENCE)[1], KeyError)


def test_a_log_that_raises_ends_no_thread(make: Make) -> None:
    class Broken:
        def exception(self, *_: object, **__: object) -> None:
            raise OSError(28, "no space left on device")

    done = threading.Event()

    def work() -> None:
        done.set()
        service.rest(math.inf)

    service = make(failing(2, ValueError("a test"), work), log=Broken())
    service.start()
    assert done.wait(PATIENCE)


def test_a_thread_that_ends_by_itself_or_is_stopped_is_not_dead(make: Make, deaths: Any) -> None:
    def once() -> None:
        service.end()

    service = make(once)
    service.start()
    assert service.join(PATIENCE)

    def rest() -> None:
        other.rest(math.inf)

    other = make(rest)
    other.start()
    assert other.stop(60)
    assert deaths.empty()


def test_a_sleep_ends_with_a_wake_up_and_an_earlier_wake_up_is_kept(make: Make) -> None:
    turns = threading.Semaphore(0)

    def step() -> None:
        turns.release()
        service.rest(math.inf)

    service = make(step)
    service.ring()
    service.start()
    for _ in range(2):
        assert turns.acquire(timeout=PATIENCE)
    service.ring()
    assert turns.acquire(timeout=PATIENCE)


def test_a_thread_is_overdue_while_a_step_hangs_and_not_while_it_sleeps(make: Make) -> None:
    held, gate = threading.Event(), threading.Event()

    def step() -> None:
        held.set()
        gate.wait(PATIENCE)
        service.rest(math.inf)

    service = make(step)
    assert service.overdue == 0
    service.start()
    assert held.wait(PATIENCE)
    eventually(lambda: service.overdue > 0, what="that it is overdue")
    gate.set()
    eventually(lambda: service.overdue == 0, what="that it rests")


def test_a_thread_that_cannot_be_started_is_an_error_that_says_what_to_do(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(FairqueError, match=r"'fairque-test' cannot be started: can't start new thread\. Raise"):
        make(lambda: None).start()
    monkeypatch.undo()
