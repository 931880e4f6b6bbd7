"""Calls that may hang run aside, so that their callers continue."""

import contextvars
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from fairque.protocol.service import aside
from fairque.testing.internal import PATIENCE, eventually


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> "aside._Aside":
    """Separate threads for the test."""
    calls = aside._Aside()
    monkeypatch.setattr(aside, "_aside", calls)
    return calls


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Releases hanging calls, after the test at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


def hang_all(calls: "aside._Aside", gate: threading.Event) -> None:
    """Make a call hang in each thread."""
    for _ in range(aside._THREADS):
        calls.call("a handler", lambda: gate.wait(PATIENCE))
    eventually(lambda: calls.hanging() == aside._THREADS, what="calls that hang")


def test_a_call_is_over_when_its_caller_continues(calls: "aside._Aside") -> None:
    called: list[int] = []
    for number in range(100):
        calls.call("a test", partial(called.append, number))
        assert called == [*range(number + 1)]


def test_an_error_in_a_call_is_not_raised_and_ends_no_thread(calls: "aside._Aside") -> None:
    def exits() -> None:
        raise SystemExit(5)

    called = threading.Event()
    for _ in range(5):
        calls.call("a test", exits)
    calls.call("a test", called.set)
    assert called.wait(PATIENCE)


def test_a_call_sees_the_context_variables_of_its_caller(calls: "aside._Aside") -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(7)
    seen: list[int] = []
    calls.call("a test", lambda: seen.append(variable.get()))
    eventually(lambda: seen == [7], what="the call")


def test_a_call_may_call_aside_itself(calls: "aside._Aside") -> None:
    called = threading.Event()
    calls.call("a test", lambda: calls.call("a test", called.set))
    assert called.wait(PATIENCE)


def test_a_call_that_hangs_does_not_block_others(calls: "aside._Aside", gate: threading.Event) -> None:
    called = threading.Event()
    calls.call("a test", lambda: gate.wait(PATIENCE))
    calls.call("a test", called.set)
    assert called.wait(PATIENCE)


def test_callers_do_not_wait_for_each_of_many_slow_calls(calls: "aside._Aside", gate: threading.Event) -> None:
    for _ in range(20):
        calls.call("a test", lambda: gate.wait(0.5))
    assert len(calls._waiting) > 5
    gate.set()
    eventually(lambda: not calls._waiting, what="the calls, later")


def test_callers_wait_for_any_number_of_quick_calls(calls: "aside._Aside", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_QUICK_SECONDS", PATIENCE)
    monkeypatch.setattr(aside, "_LONGEST_SECONDS", 0.0)
    calls._patience = 0.0
    called: list[int] = []
    for number in range(1_000):
        calls.call("a test", partial(called.append, number))
        assert len(called) == number + 1


def test_a_call_that_hangs_is_detected(calls: "aside._Aside", gate: threading.Event) -> None:
    calls.call("a test", lambda: gate.wait(PATIENCE))
    eventually(lambda: calls.hanging() == 1, what="a call that hangs")
    gate.set()
    eventually(lambda: not calls.hanging(), what="its end")


def test_if_all_calls_hang_no_caller_waits_and_the_others_run_later(
    calls: "aside._Aside", gate: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[int] = []
    hang_all(calls, gate)
    for number in range(10):
        calls.call("a test", partial(called.append, number))
    assert called == []
    gate.set()
    eventually(lambda: len(called) == 10, what="the calls")
    eventually(lambda: not calls.hanging(), what="the end of those that hung")
    assert "fairque: a handler hangs: the service continues without" in capsys.readouterr().err


def test_the_number_of_dropped_calls_is_reported(
    calls: "aside._Aside", gate: threading.Event, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "_MOST_WAITING", 10)
    called: list[int] = []
    hang_all(calls, gate)
    for number in range(20):
        calls.call("a test", partial(called.append, number))
    lost = calls._lost
    assert lost >= 10
    gate.set()
    eventually(lambda: len(called) == 20 - lost, what="the calls that were kept")
    calls.wait()
    assert f"fairque: {lost} lines were lost" in capsys.readouterr().err


def test_without_a_thread_the_call_runs_in_its_caller(calls: "aside._Aside", monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    called = threading.Event()
    calls.call("a test", called.set)
    assert called.wait(PATIENCE)


def test_a_forked_child_has_its_own_threads(calls: "aside._Aside", gate: threading.Event) -> None:
    hang_all(calls, gate)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            called = threading.Event()
            calls.call("a test", called.set)
            code = 0 if called.is_set() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_messages_are_written_to_standard_error_at_once(
    calls: "aside._Aside",  # noqa: ARG001 - it is used by what is tested
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aside.say("hello")
    assert capsys.readouterr().err == "hello\n"
    monkeypatch.setattr(sys, "stderr", None)
    aside.say("nobody hears it")


def test_an_error_between_two_calls_ends_no_thread(calls: "aside._Aside", monkeypatch: pytest.MonkeyPatch) -> None:
    """As for lack of memory: nobody would notice, and lines would be lost."""
    failed: list[str] = []
    run_next = calls._run_next

    def fails_once() -> None:
        if not failed:
            failed.append("once")
            raise MemoryError
        run_next()

    monkeypatch.setattr(calls, "_run_next", fails_once)
    done: list[str] = []
    calls.call("a handler", lambda: done.append("called"))
    eventually(lambda: done, what="the call")
    assert failed == ["once"]
