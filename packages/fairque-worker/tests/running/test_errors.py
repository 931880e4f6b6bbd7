"""The text of an error and the JSON of a result are created where the task ran, within its timeout."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fairque.testing.internal import PATIENCE
from fairque.worker import Cancel, Retry, Snooze, TaskTimeout
from fairque.worker.jobs import Failure, Success
from fairque.worker.running.threads import Threads


class Hangs(Exception):
    """An error whose text hangs."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def __str__(self) -> str:
        self._gate.wait(PATIENCE)
        return "at last"


class HangingCancel(Cancel):
    def __init__(self, gate: threading.Event) -> None:
        super().__init__("x")
        self._gate = gate

    def __str__(self) -> str:
        self._gate.wait(PATIENCE)
        return "at last"


class HangingPause(Retry):
    """An error whose pause cannot be read."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    @property
    def after(self) -> Any:
        self._gate.wait(PATIENCE)
        return 1

    @after.setter
    def after(self, _: Any) -> None:
        """As the base sets it."""


class HangingValue(dict[str, int]):
    def __init__(self, gate: threading.Event) -> None:
        super().__init__(a=1)
        self._gate = gate

    def items(self) -> Any:
        self._gate.wait(PATIENCE)
        return super().items()


def raising(kind: Callable[[threading.Event], BaseException], gate: threading.Event) -> Callable[[], Any]:
    def fails() -> None:
        raise kind(gate)

    return fails


def raising_later(kind: Callable[[threading.Event], BaseException], gate: threading.Event) -> Callable[[], Any]:
    async def fails() -> None:
        raise kind(gate)

    return fails


def returning(kind: Callable[[threading.Event], Any], gate: threading.Event) -> Callable[[], Any]:
    return lambda: kind(gate)


def returning_later(kind: Callable[[threading.Event], Any], gate: threading.Event) -> Callable[[], Any]:
    async def returns() -> Any:
        return kind(gate)

    return returns


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        *((how, kind) for how in (raising, raising_later) for kind in (Hangs, HangingCancel, HangingPause)),
        (returning, HangingValue),
        (returning_later, HangingValue),
    ],
)
def test_an_error_that_hangs_when_it_is_described_ends_with_the_timeout_and_others_continue(
    make_bench: Any, gate: threading.Event, how: Any, kind: Any
) -> None:
    bench = make_bench(threads=1, cancel_timeout=0.05)
    ending = bench.run(how(kind, gate), timeout=0.1)
    assert isinstance(ending, Failure)
    assert type(ending.error) is TaskTimeout
    assert bench.run(lambda: "next").value == "next"

    async def later() -> str:
        return "on the loop"

    assert bench.run(later).value == "on the loop"
    gate.set()


@pytest.mark.parametrize(("kind", "args"), [(ValueError, ()), (Retry, ()), (Snooze, (1,)), (Cancel, ())])
def test_an_ending_has_its_text_and_its_decision_and_calls_the_error_no_more(
    bench: Any, kind: type[BaseException], args: tuple[Any, ...]
) -> None:
    asked: list[str] = []

    class Asked(kind):  # type: ignore[valid-type, misc]  # each of several
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

        def __str__(self) -> str:
            asked.append("__str__")
            return "x" * 50_000_000

    def fails() -> None:
        raise Asked(*args)

    ending = bench.run(fails)
    assert asked
    asked.clear()
    assert (len(ending.summary.text), ending.summary.kind.rpartition(".")[2]) == (2_000, "Asked")
    assert ending.decision.verdict
    assert not ending.canceled
    assert not ending.interrupted
    assert asked == []


def test_the_timeout_of_a_coroutine_has_the_error_that_it_raised_as_its_cause(bench: Any, expire: Any) -> None:
    begun = threading.Event()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("while cleaning up") from None

    ending = bench.run_too_long(waits, begun, expire)
    assert type(ending.error) is TaskTimeout
    assert "ValueError: while cleaning up" in ending.summary.traceback


class TestWithoutThreads:
    """Tasks when the system cannot start threads."""

    @pytest.fixture
    def shortage(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
        start, short = threading.Thread.start, threading.Event()

        def begin(thread: threading.Thread) -> None:
            if short.is_set() and thread.name.startswith(("fairque-task", "fairque-loop")):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", begin)
        monkeypatch.setattr("fairque.worker.running.threads._PAUSE_SECONDS", 0.0)
        return lambda there: short.set() if there else short.clear()

    def test_a_task_is_given_back_uncounted_and_the_next_runs_when_there_are_threads(
        self, make_bench: Any, shortage: Callable[[bool], None]
    ) -> None:
        bench = make_bench(threads=2)
        shortage(True)  # noqa: FBT003 - reads well
        back = bench.run(lambda: "never")
        assert (back.why, back.starts_nothing) == ("no thread can be started: can't start new thread", True)
        assert back.pause_seconds > 0
        assert not bench.executor.call(lambda: None)
        shortage(False)  # noqa: FBT003 - as above
        assert [bench.run(lambda: "now").value for _ in range(3)] == ["now"] * 3

    def test_the_existing_threads_continue(self, make_bench: Any, shortage: Callable[[bool], None]) -> None:
        bench = make_bench(threads=4)
        assert bench.run(lambda: "first").value == "first"
        shortage(True)  # noqa: FBT003 - as above
        for number in range(50):
            bench.submit(lambda number=number: number)
        endings = [bench.ending() for _ in range(50)]
        assert [type(one) for one in endings] == [Success] * 50

    def test_a_task_that_waits_too_long_for_a_thread_is_given_back(
        self, make_bench: Any, shortage: Callable[[bool], None], gate: threading.Event, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("fairque.worker.running.executor._PATIENCE_SECONDS", 0.05)
        bench = make_bench(threads=2)
        shortage(True)  # noqa: FBT003 - as above
        assert bench.run(lambda: "never").starts_nothing
        shortage(False)  # noqa: FBT003 - as above
        first = bench.submit(gate.wait, PATIENCE)
        shortage(True)  # noqa: FBT003 - as above
        ran: list[int] = []
        second = bench.submit(ran.append, 1)
        back = bench.ending()
        assert (back.job is second, back.why) == (True, "no thread can be started: can't start new thread")
        gate.set()
        assert bench.ending().job is first
        assert bench.run(lambda: "next").value == "next"
        assert ran == []

    def test_a_thread_that_hangs_and_cannot_be_replaced_now_is_replaced_later(
        self, make_bench: Any, shortage: Callable[[bool], None], gate: threading.Event
    ) -> None:
        bench = make_bench(threads=1)
        assert bench.run(lambda: "first").value == "first"
        shortage(True)  # noqa: FBT003 - as above
        assert type(bench.run(gate.wait, PATIENCE, timeout=0.05).error) is TaskTimeout
        assert bench.run(lambda: "never").starts_nothing
        shortage(False)  # noqa: FBT003 - as above
        assert bench.run(lambda: "now").value == "now"
        gate.set()

    def test_a_coroutine_without_a_loop_is_given_back_uncounted(
        self, make_bench: Any, shortage: Callable[[bool], None]
    ) -> None:
        async def later() -> str:
            return "later"

        bench = make_bench(threads=1)
        assert bench.run(lambda: "first").value == "first"
        shortage(True)  # noqa: FBT003 - as above
        back = bench.run(later)
        assert back.why == "no event loop can be started: can't start new thread"
        shortage(False)  # noqa: FBT003 - as above
        assert bench.run(later).value == "later"


class TestThePoolOfThreads:
    def test_it_is_an_executor_like_any_other(self) -> None:
        with Threads(2, name="of-a-test") as pool:
            assert pool.submit(divmod, 7, 2).result(PATIENCE) == (3, 1)
            assert list(pool.map(abs, [-1, -2])) == [1, 2]
            failed = pool.submit(divmod, 1, 0)
            assert type(failed.exception(PATIENCE)) is ZeroDivisionError
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(int)

    def test_its_threads_do_not_block_the_end_of_the_interpreter(self, gate: threading.Event) -> None:
        pool = Threads(1, name="of-a-test")
        pool.submit(gate.wait, PATIENCE)
        assert [t.daemon for t in threading.enumerate() if t.name.startswith("of-a-test")] == [True]
        gate.set()
        pool.shutdown()
