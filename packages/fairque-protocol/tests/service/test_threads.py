"""Threads whose start only succeeds if they really begin."""

import pytest

from fairque.protocol.service import threads
from fairque.protocol.service.threads import BegunThread


def test_a_thread_that_dies_before_it_begins_is_reported_and_never_runs_its_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if there was no memory for it: the base class would wait forever."""
    called: list[str] = []
    monkeypatch.setattr(threads, "_BEGIN_SECONDS", 0.05)
    thread = BegunThread(called.append, "of a test", "called")
    thread._bootstrap = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match=r"thread 'of a test' ended before it had begun: memory is short"):
        thread.start()
    thread.run()  # it was only late
    assert called == []


def test_a_thread_runs_its_function_once_it_has_begun() -> None:
    called: list[str] = []
    thread = BegunThread(called.append, "of a test", "called")
    thread.start()
    thread.join()
    assert called == ["called"]
