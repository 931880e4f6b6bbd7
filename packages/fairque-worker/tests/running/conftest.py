"""A separate, watched executor for each test, whose endings are collected."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.wire.codec import encode_task
from fairque.testing.internal import PATIENCE
from fairque.worker import Task, TaskContext, TaskHandler
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Failure, Job, Lease, Success
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.executor import Executor


class Calls(TaskHandler):
    """Runs the function registered under the task's name."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - as FunctionTaskHandler
        return self.functions[task.func or ""](*task.args)


class Bench:
    """An executor whose endings are collected."""

    def __init__(self, threads: int, **limits: Any) -> None:
        self.handler = Calls()
        self.endings: SimpleQueue[Ending] = SimpleQueue()
        self.exhausted: SimpleQueue[int] = SimpleQueue()
        alarm = Alarm()
        self.executor = Executor(
            self.handler,
            threads,
            1_000,
            self.endings.put,
            inputs=Inputs(lambda *_: [], 1_000),
            alarm=alarm,
            on_exhausted=self.exhausted.put,
            **{"kept": (Success, Failure), **limits},
        )
        self._jobs: list[Job] = []
        self._watch = Watch(60, lambda: list(self._jobs), alarm, self.executor.enforce, print)
        self._watch.start()

    def submit(self, function: Callable[..., Any], *args: Any, **fields: Any) -> Job:
        name = f"f{len(self.handler.functions)}"
        self.handler.functions[name] = function
        return self.submit_message(encode_task(Task(func=name, args=args, user_id="ann", **fields)).data)

    def submit_message(self, message: bytes, held_seconds: float = 30) -> Job:
        job = Job(Granted("t", message, "7:ab", 1, 0, solo=False, pushed_at=0), Lease(time.monotonic() + held_seconds))
        self._jobs.append(job)
        self.executor.submit(job)
        return job

    def close(self) -> None:
        self._watch.stop()
        self.executor.stop()

    def ending(self) -> Any:
        return self.endings.get(timeout=PATIENCE)

    def run_too_long(
        self, function: Callable[..., Any], begun: threading.Event, expire: Callable[[Watch], None]
    ) -> Any:
        """Run a function that never ends. Its timeout is over when it has begun."""
        begun.clear()
        job = self.submit(function)
        assert begun.wait(PATIENCE)
        expire(self._watch)
        ending = self.ending()
        assert ending.job is job
        return ending

    def run(self, function: Callable[..., Any], *args: Any, **fields: Any) -> Any:
        job = self.submit(function, *args, **fields)
        ending = self.ending()
        assert ending.job is job
        return ending


@pytest.fixture
def make_bench(no_thread_is_left: None) -> Iterator[Callable[..., Bench]]:  # noqa: ARG001 - it looks after the executor was stopped
    """Creates an executor with a number of threads."""
    made: list[Bench] = []

    def make(threads: int, **limits: Any) -> Bench:
        made.append(Bench(threads, **limits))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """One thread."""
    return make_bench(threads=1)


@pytest.fixture
def wide(make_bench: Callable[..., Bench]) -> Bench:
    """Four threads."""
    return make_bench(threads=4)
