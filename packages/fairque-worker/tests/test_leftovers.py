"""Objects of a task are dropped where the task ran: their ``__del__`` is user code, and may do anything."""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE
from fairque.worker import Task, TaskContext, TaskHandler

VARIABLE: ContextVar[Any] = ContextVar("of-a-test")

#: The threads in which tasks and hooks run.
OF_TASKS = ("fairque-task", "fairque-loop")


class Leftover(dict[str, int]):
    """Records the thread in which its last reference is dropped."""

    def __init__(self, gone: "SimpleQueue[str]") -> None:
        super().__init__(a=1)
        self._gone = gone

    def __del__(self) -> None:
        self._gone.put(threading.current_thread().name)


def as_a_local_of_what_raises(leftover: Any, _: Any) -> None:
    kept = leftover()
    raise ValueError(len(kept))


def as_a_part_of_an_error(leftover: Any, _: Any) -> None:
    raise ValueError(leftover())


def as_the_result(leftover: Any, _: Any) -> Any:
    return leftover()


def in_an_argument(leftover: Any, argument: Any) -> None:
    argument["more"] = leftover()


def in_a_variable_of_the_context(leftover: Any, _: Any) -> None:
    VARIABLE.set(leftover())


WAYS = [
    as_a_local_of_what_raises,
    as_a_part_of_an_error,
    as_the_result,
    in_an_argument,
    in_a_variable_of_the_context,
]


class Plain(TaskHandler):
    """Runs one function, as a coroutine on demand; it has no hooks."""

    def __init__(self, function: Callable[..., Any], leftover: Callable[[], Leftover], *, later: bool) -> None:
        self._function, self._leftover, self._later = function, leftover, later

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        """Run it, and store an object in the context as well."""
        if self._later:
            return self._run_later(task, ctx)
        return self._run(task, ctx)

    async def _run_later(self, task: Task[Any], ctx: TaskContext) -> Any:
        return self._run(task, ctx)

    def _run(self, task: Task[Any], ctx: Any) -> Any:
        ctx.of_a_test = self._leftover()
        return self._function(self._leftover, *task.args)


class Hooked(Plain):
    """Has hooks."""

    def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:
        """Keep nothing."""

    def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:
        """Keep nothing."""


@pytest.mark.parametrize("later", [False, True], ids=["thread", "loop"])
@pytest.mark.parametrize("kind", [Plain, Hooked])
@pytest.mark.parametrize("way", WAYS)
def test_objects_of_a_task_are_dropped_in_a_thread_of_tasks(bench: Any, way: Any, kind: Any, *, later: bool) -> None:
    gone: SimpleQueue[str] = SimpleQueue()
    bench.start(kind(way, lambda: Leftover(gone), later=later))
    for _ in range(10):
        bench.push(way, {}, retries=0)
    threads = [gone.get(timeout=PATIENCE) for _ in range(20)]
    assert [name for name in threads if not name.startswith(OF_TASKS)] == []


class Lingers:
    """Dropping it blocks until the gate opens."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def __del__(self) -> None:
        self._gate.wait(PATIENCE)


@pytest.mark.parametrize("way", ["local", "result", "variable"])
def test_an_object_that_hangs_when_it_is_dropped_ends_with_the_timeout_and_others_continue(
    bench: Any, gate: threading.Event, way: str
) -> None:
    class Result(dict[str, int], Lingers):
        def __init__(self) -> None:
            dict.__init__(self, a=1)
            Lingers.__init__(self, gate)

    def lingers() -> Any:
        if way == "result":
            return Result()
        kept = Lingers(gate)
        if way == "variable":
            VARIABLE.set(kept)
            return None
        raise ValueError("a test")

    def quick() -> int:
        return 1

    bench.start(lingers, quick, concurrency=1)
    hangs = bench.push(lingers, retries=0, timeout=0.2)
    neighbour = bench.push(quick, user="bob")
    assert bench.result(neighbour) == 1
    assert not gate.is_set()
    assert bench.error(hangs)["type"] == "TaskTimeout"
    assert bench.state(hangs) is TaskState.FAILED
