"""The state that Python keeps for a thread, or for all threads: what one attempt sets is not there for the next."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fairque.testing.internal import PATIENCE


def raises(*_: object) -> None:
    raise SystemExit(3)


def coroutine_of(function: Callable[..., Any]) -> Callable[..., Any]:
    async def calls(*args: Any) -> Any:
        return function(*args)

    return calls


async def numbers() -> AsyncIterator[int]:
    yield 1


def iterates() -> int:
    first: Any = anext(numbers())
    with pytest.raises(StopIteration) as end:
        first.send(None)
    return int(end.value.value)


async def iterates_on_the_loop() -> int:
    return await anext(numbers())


#: What an attempt sets, and how another one sees it.
STATES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "tracing of new threads": (lambda: threading.settrace(raises), threading.gettrace),
    "profiling of new threads": (lambda: threading.setprofile(raises), threading.getprofile),
    "stack size": (lambda: threading.stack_size(1 << 20), threading.stack_size),
    "profiling": (lambda: sys.setprofile(lambda *_: None), sys.getprofile),
    "first iteration": (lambda: sys.set_asyncgen_hooks(firstiter=raises), lambda: sys.get_asyncgen_hooks()[0]),
    "finalizer": (lambda: sys.set_asyncgen_hooks(finalizer=raises), lambda: sys.get_asyncgen_hooks()[1]),
    "origins": (lambda: sys.set_coroutine_origin_tracking_depth(3), sys.get_coroutine_origin_tracking_depth),
    "switch interval": (lambda: sys.setswitchinterval(1), sys.getswitchinterval),
    "name": (lambda: setattr(threading.current_thread(), "name", "x"), lambda: threading.current_thread().name),
}


@pytest.fixture(autouse=True)
def nothing_remains() -> Iterator[None]:
    """Restores what a test has set for threads, whether the executor has restored it or not."""
    before = threading.gettrace(), threading.getprofile(), threading.stack_size(), sys.getswitchinterval()
    yield
    threading.settrace(before[0])
    threading.setprofile(before[1])
    threading.stack_size(before[2])
    sys.setswitchinterval(before[3])


@pytest.mark.parametrize("place", [lambda function: function, coroutine_of], ids=["thread", "event loop"])
@pytest.mark.parametrize("what", STATES)
def test_what_one_attempt_sets_in_its_thread_is_not_there_for_the_next(bench: Any, place: Any, what: str) -> None:
    sets, sees = STATES[what]
    sees_here = place(lambda: repr(sees()))
    plain = bench.run(sees_here).value
    bench.run(place(lambda: str(sets())))
    assert bench.run(sees_here).value == plain


@pytest.mark.parametrize("iterating", [iterates, iterates_on_the_loop])
def test_hooks_of_one_attempt_do_not_break_the_generators_of_the_next(bench: Any, iterating: Any) -> None:
    def sets() -> None:
        sys.set_asyncgen_hooks(firstiter=raises)

    bench.run(sets)
    bench.run(coroutine_of(sets))
    assert bench.run(iterating).value == 1


def test_hooks_of_a_coroutine_that_still_runs_do_not_break_those_that_begin_later(
    wide: Any, gate: threading.Event
) -> None:
    async def sets() -> str:
        sys.set_asyncgen_hooks(firstiter=raises)
        while not gate.is_set():  # noqa: ASYNC110 - an event of threads
            await asyncio.sleep(0.001)
        return "waited"

    wide.submit(sets)
    wide.submit(iterates_on_the_loop)
    assert wide.ending().value == 1
    gate.set()
    assert wide.ending().value == "waited"


@pytest.mark.parametrize("sets", [threading.settrace, threading.setprofile], ids=lambda hook: hook.__name__)
def test_a_function_that_an_attempt_sets_for_new_threads_does_not_see_attempts_in_them(
    wide: Any, gate: threading.Event, sets: Any
) -> None:
    seen: list[str] = []
    is_set = threading.Event()

    def spies() -> None:
        sets(lambda frame, *_: seen.append(frame.f_code.co_name))
        is_set.set()
        gate.wait(PATIENCE)

    def is_spied_on() -> None:
        pass

    wide.submit(spies)
    assert is_set.wait(PATIENCE)
    for function in (is_spied_on, coroutine_of(is_spied_on)):
        wide.submit(function)
        assert wide.ending().value is None
    gate.set()
    wide.ending()
    assert seen == []


def test_a_tracing_function_from_before_the_worker_remains(make_bench: Callable[..., Any]) -> None:
    def traces(*_: object) -> None:
        return None

    threading.settrace(traces)
    bench = make_bench(threads=1)
    bench.run(lambda: threading.settrace(raises))
    assert bench.run(lambda: threading.gettrace() is traces).value is True
    assert bench.run(lambda: sys.gettrace() is traces).value is True
