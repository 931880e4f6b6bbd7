"""What attempts share in threads and on the event loop, and that one attempt does not affect it for the others."""

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from fairque.protocol.errors import TaskTimeout
from fairque.protocol.model.context import set_current_context
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import StopReason, Task, TaskContext
from fairque.worker.running.to_thread import _MOST, ToThreadPool


async def asks_a_thread(value: int) -> int:
    return await asyncio.to_thread(int, value)


class TestCallsInOtherThreads:
    """Calls of `asyncio.to_thread`, which cannot be ended."""

    @pytest.fixture
    def begun(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def hangs(self, gate: threading.Event, begun: threading.Event) -> Callable[[], Any]:
        async def hangs() -> None:
            calls = itertools.count()

            def waits() -> None:
                if next(calls) == 0:  # a late call must not announce the next attempt
                    begun.set()
                gate.wait(PATIENCE)

            await asyncio.gather(*(asyncio.to_thread(waits) for _ in range(3 * _MOST)))

        return hangs

    def test_calls_of_attempts_that_exceeded_their_timeouts_block_no_other_attempt(
        self, bench: Any, hangs: Any, begun: threading.Event, expire: Any
    ) -> None:
        for _ in range(3):
            assert type(bench.run_too_long(hangs, begun, expire).error) is TaskTimeout
        assert bench.run(asks_a_thread, 7).value == 7

    def test_calls_of_an_attempt_that_was_asked_to_stop_block_no_other_attempt(self, bench: Any, hangs: Any) -> None:
        job = bench.submit(hangs)
        eventually(lambda: job.context is not None, what="the begin")
        job.request_stop(StopReason.CANCELED)
        assert bench.ending().canceled
        assert bench.run(asks_a_thread, 7).value == 7

    def test_calls_of_a_running_attempt_block_no_other_attempt(
        self, bench: Any, hangs: Any, gate: threading.Event
    ) -> None:
        bench.submit(hangs)
        bench.submit(asks_a_thread, 7)
        assert bench.ending().value == 7
        gate.set()
        assert bench.ending().value is None

    def test_one_attempt_has_as_many_threads_as_asyncio_gives_and_its_other_calls_wait(self, bench: Any) -> None:
        lock, now, most = threading.Lock(), [0], [0]

        def counts() -> None:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.002)
            with lock:
                now[0] -= 1

        async def many() -> int:
            return len(await asyncio.gather(*(asyncio.to_thread(counts) for _ in range(10 * _MOST))))

        assert bench.run(many).value == 10 * _MOST
        assert 1 <= most[0] <= _MOST

    def test_calls_use_free_threads_before_new_ones(self) -> None:
        pool = ToThreadPool()
        for _ in range(50):
            pool.submit(int).result(PATIENCE)
            eventually(lambda: pool._idle == 1, what="a thread that rests")
        assert len(pool._slots) == 1
        pool.shutdown()

    def test_an_attempt_that_leaves_calls_behind_counts_as_abandoned_until_they_end(
        self, make_bench: Callable[..., Any], hangs: Any, begun: threading.Event, gate: threading.Event, expire: Any
    ) -> None:
        bench = make_bench(threads=1, cancel_timeout=0.0, max_abandoned=1)
        for _ in range(2):
            bench.run_too_long(hangs, begun, expire)
        eventually(lambda: bench.executor.abandoned == 2, what="two that continue")
        bench.run_too_long(hangs, begun, expire)
        assert bench.exhausted.get(timeout=PATIENCE) >= 2
        gate.set()
        eventually(lambda: bench.executor.abandoned == 0, what="their ends")

    def test_an_attempt_whose_calls_end_soon_does_not_count_as_abandoned(
        self, bench: Any, hangs: Any, begun: threading.Event, expire: Any
    ) -> None:
        bench.run_too_long(hangs, begun, expire)
        assert bench.executor.abandoned == 0

    def test_threads_that_are_no_longer_needed_end(self, gate: threading.Event) -> None:
        pool = ToThreadPool()
        waits = []
        for number in range(3):
            context = copy_context()
            context.run(set_current_context, TaskContext(Task(user_id=f"u{number}"), attempt=1, fence=1, deadline=0.0))
            waits += [context.run(pool.submit, gate.wait, PATIENCE) for _ in range(_MOST)]
        eventually(lambda: all(one.running() for one in waits), what="a thread for each")
        gate.set()
        eventually(lambda: len([one for one in pool._slots.values() if one.is_alive()]) <= _MOST, what="ends")
        assert pool.submit(int).result(PATIENCE) == 0
        pool.shutdown()

    def test_it_takes_no_more_when_it_was_shut_down(self) -> None:
        pool = ToThreadPool()
        assert pool.submit(int).result(PATIENCE) == 0
        pool.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(int)


SETTINGS: dict[str, Callable[[Any], Any]] = {
    "set_task_factory": lambda loop: loop.set_task_factory(lambda _, coroutine: coroutine),
    "set_exception_handler": lambda loop: loop.set_exception_handler(print),
    "set_default_executor": lambda loop: loop.set_default_executor(ThreadPoolExecutor(1)),
    "set_debug": lambda loop: loop.set_debug(True),
    "shutdown_default_executor": lambda loop: loop.shutdown_default_executor(),
    "shutdown_asyncgens": lambda loop: loop.shutdown_asyncgens(),
}


class TestTheEventLoop:
    @pytest.mark.parametrize("name", SETTINGS)
    def test_an_attempt_that_would_change_the_loop_for_others_fails_and_the_error_says_what_to_do(
        self, bench: Any, name: str
    ) -> None:
        async def changes() -> None:
            if asyncio.iscoroutine(changed := SETTINGS[name](asyncio.get_running_loop())):
                await changed

        error = bench.run(changes).error
        assert type(error) is RuntimeError
        assert f"{name}()" in str(error)
        assert "isolation='process'" in str(error)
        assert bench.run(asks_a_thread, 7).value == 7

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_loop_that_is_not_shared_may_be_changed_and_the_next_attempt_has_another(
        self, make_bench: Callable[..., Any], name: str
    ) -> None:
        async def changes() -> Any:
            if asyncio.iscoroutine(changed := SETTINGS[name](asyncio.get_running_loop())):
                await changed

        bench = make_bench(threads=1, shared=False)
        assert bench.run(changes).value is None
        assert bench.run(asks_a_thread, 7).value == 7

    def test_one_that_stops_it_ends_nothing(self, bench: Any, gate: threading.Event) -> None:
        async def waits() -> str:
            while not gate.is_set():  # noqa: ASYNC110 - an event of threads
                await asyncio.sleep(0.001)
            return "waited"

        async def stops() -> str:
            for _ in range(5):
                asyncio.get_running_loop().stop()
                await asyncio.sleep(0)
            return "stopped"

        bench.submit(waits)
        bench.submit(stops)
        assert bench.ending().value == "stopped"
        gate.set()
        assert bench.ending().value == "waited"


class TestOneThread:
    """The state that Python keeps for each thread."""

    def test_tracing_of_one_attempt_does_not_see_the_next(self, bench: Any) -> None:
        def traces() -> None:
            sys.settrace(lambda *_: None)
            sys.setprofile(lambda *_: None)

        def sees() -> list[str]:
            return [repr(sys.gettrace()), repr(sys.getprofile())]

        plain = bench.run(sees).value
        bench.run(traces)
        assert bench.run(sees).value == plain

    def test_the_event_loop_that_one_attempt_sets_is_not_there_for_the_next(self, bench: Any) -> None:
        def sets() -> None:
            loop = asyncio.new_event_loop()
            loop.close()
            asyncio.set_event_loop(loop)

        def sees() -> str:
            try:
                return repr(asyncio.get_event_loop_policy().get_event_loop())
            except RuntimeError:
                return "none"

        bench.run(sets)
        assert bench.run(sees).value == "none"

    def test_both_are_reset_after_calls_in_other_threads_too(self, bench: Any) -> None:
        async def sets() -> None:
            await asyncio.to_thread(sys.setprofile, lambda *_: None)

        async def sees() -> str:
            return repr(await asyncio.to_thread(sys.getprofile))

        plain = bench.run(sees).value
        bench.run(sets)
        assert bench.run(sees).value == plain
