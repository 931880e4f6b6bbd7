"""A worker while the system cannot start threads: it takes no tasks, and a burst still runs all of its own."""

import asyncio
import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.protocol.service.threads import BegunThread
from fairque.testing.internal import PATIENCE
from fairque.worker.running.coroutines import Coroutines
from fairque.worker.running.threads import Threads


def nothing() -> None:
    """The shortest task."""


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Make the start of the next so many task threads fail; returns the list of those."""
    start = threading.Thread.start
    refused: list[str] = []

    def refuse(times: int) -> list[str]:
        def begin(thread: threading.Thread) -> None:
            if thread.name.startswith("fairque-task") and len(refused) < times:
                refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", begin)
        return refused

    return refuse


@pytest.mark.parametrize("tasks", [1, 6])
def test_a_burst_runs_what_it_could_not_begin_when_there_are_threads_again(
    bench: Any, no_threads: Callable[[int], list[str]], tasks: int
) -> None:
    refused = no_threads(1)
    ids = bench.push_all([bench.task(nothing) for _ in range(tasks)])
    worker = bench.worker(nothing, burst=True)
    worker.start()
    assert worker.wait_idle(PATIENCE)
    worker.stop()
    assert len(refused) == 1
    assert [bench.state(task_id) for task_id in ids] == [TaskState.FINISHED] * tasks


def test_a_worker_without_threads_takes_a_task_only_once_in_a_while(
    bench: Any, no_threads: Callable[[int], list[str]]
) -> None:
    refused = no_threads(2)
    ids = bench.push_all([bench.task(nothing) for _ in range(20)])
    worker = bench.start(nothing, concurrency=1)
    for task_id in ids:
        bench.result(task_id)
    worker.stop()
    # Each attempt takes as many tasks as there are slots, and then the worker takes none until the next one.
    assert sum(bench.info(task_id).attempts for task_id in ids) == 20 + len(refused) == 22


async def coroutine() -> None:
    await asyncio.sleep(0)


def test_an_exception_that_is_thrown_into_an_idle_thread_costs_neither_a_task_nor_the_thread(bench: Any) -> None:
    """Raises an exception in a thread, like a timeout of a library that comes too late."""
    bench.start(nothing, concurrency=1)
    bench.result(bench.push(nothing))
    (idle,) = [thread for thread in threading.enumerate() if thread.name.startswith("fairque-task")]
    for _ in range(3):
        throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
        assert throw(ctypes.c_ulong(idle.ident or 0), ctypes.py_object(KeyboardInterrupt)) == 1
        bench.result(bench.push(nothing))
    assert idle.is_alive()


@pytest.fixture(params=[threading.settrace, threading.setprofile], ids=lambda hook: hook.__name__)
def deadly(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], None]]:
    """Sets a function that is called in every future thread, before any code of that thread."""
    yield request.param
    request.param(None)


def ends(*_: object) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("function", [nothing, coroutine])
def test_no_thread_of_a_worker_is_ended_by_a_hook_that_is_set_for_future_threads(
    bench: Any, deadly: Callable[[Any], None], function: Callable[[], Any]
) -> None:
    bench.start(function)
    deadly(ends)
    task_id = bench.push(function)
    bench.reaches(task_id, TaskState.FINISHED)
    assert (bench.info(task_id).attempts, bench.info(task_id).failures) == (1, 0)


@pytest.fixture(params=[threading.settrace, threading.setprofile, threading.stack_size], ids=lambda hook: hook.__name__)
def cripples(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """A task after which no thread can begin."""

    def cripples() -> None:
        request.param(1 << 44 if request.param is threading.stack_size else ends)

    yield cripples
    request.param(0 if request.param is threading.stack_size else None)


def test_a_burst_runs_all_tasks_after_one_that_keeps_new_threads_from_starting(
    bench: Any, cripples: Callable[[], None]
) -> None:
    first = bench.push(cripples)
    ids = [bench.push(function, depends_on=[first]) for function in (nothing, coroutine) for _ in range(4)]
    worker = bench.worker(cripples, nothing, coroutine, burst=True, concurrency=8)
    worker.start()
    assert worker.wait_idle(PATIENCE)
    worker.stop()
    assert [bench.info(task_id).attempts for task_id in ids] == [1] * 8
    assert {bench.state(task_id) for task_id in ids} == {TaskState.FINISHED}


async def nothing_later() -> None:
    """The shortest coroutine."""


@pytest.mark.parametrize("function", [nothing, nothing_later])
@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_a_task_whose_thread_cannot_even_be_created_is_given_back(
    bench: Any, monkeypatch: pytest.MonkeyPatch, function: Callable[[], Any], error: type[Exception]
) -> None:
    create = BegunThread.__init__
    refused: list[str] = []

    def creates(thread: BegunThread, function: Any, name: str, *args: object) -> None:
        if name.startswith(("fairque-task", "fairque-loop")) and not refused:
            refused.append(name)
            raise error
        create(thread, function, name, *args)

    monkeypatch.setattr(BegunThread, "__init__", creates)
    worker = bench.start(function, concurrency=2)
    ids = bench.push_all([bench.task(function) for _ in range(5)])
    for task_id in ids:
        bench.result(task_id)
    assert len(refused) == 1
    worker.stop()


@pytest.mark.parametrize("function", [nothing, nothing_later])
def test_whatever_keeps_tasks_from_being_started_they_are_given_back(
    bench: Any, monkeypatch: pytest.MonkeyPatch, function: Callable[[], Any]
) -> None:
    refused: list[str] = []

    def once(real: Callable[..., Any]) -> Callable[..., Any]:
        def fails(*args: Any) -> Any:
            if not refused:
                refused.append("once")
                raise ValueError("of a test")
            return real(*args)

        return fails

    worker = bench.start(function, concurrency=2)
    monkeypatch.setattr(Threads, "put", once(Threads.put))
    monkeypatch.setattr(Coroutines, "begin_all", once(Coroutines.begin_all))
    ids = bench.push_all([bench.task(function) for _ in range(5)])
    for task_id in ids:
        bench.result(task_id)
    assert refused == ["once"]
    worker.stop()
