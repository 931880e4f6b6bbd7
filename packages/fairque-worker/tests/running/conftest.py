"""A separate, watched executor for each test, whose endings are collected."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.registry import Registry
from fairque.protocol.wire.codec import encode_task
from fairque.testing.internal import PATIENCE
from fairque.worker import FunctionTaskHandler, Task, TaskContext, TaskHandler
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Failure, Job, Lease, Success
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.executor import Executor
from fairque.worker.running.lane import STUCK_SECONDS


class Calls(TaskHandler):
    """Runs the function registered under the task's name."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - as FunctionTaskHandler
        return self.functions[task.func or ""](*task.args)


class Bench:
    """An executor whose endings are collected."""

    def __init__(self, threads: int, handler: TaskHandler | None = None, **limits: Any) -> None:
        self.handler = Calls()
        self.endings: SimpleQueue[Ending] = SimpleQueue()
        self.exhausted: SimpleQueue[int] = SimpleQueue()
        alarm = Alarm()
        self.executor = Executor(
            handler or self.handler,
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
        job = self.job(message, held_seconds)
        self.executor.submit(job)
        return job

    def job(self, message: bytes, held_seconds: float = 30) -> Job:
        granted = Granted("t", message, "7:ab", 1, 0, solo=False, pushed_at=0)
        self._jobs.append(Job(granted, Lease(time.monotonic() + held_seconds)))
        return self._jobs[-1]

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


class LaneBench(Bench):
    """An executor that runs all functions as if they were usually short."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.functions = FunctionTaskHandler(registry=self.registry)
        super().__init__(4, handler=self.functions, kept=())

    def submit(self, function: Callable[..., Any], *args: Any, **fields: Any) -> Job:
        name = f"f{len(self.registry.names())}"
        self.registry.register(function, name)
        self.functions._plan(name)
        functions = self.executor._short_functions
        functions.measures(name)
        functions.note(name, 1.0, 0.0, in_lane=False)
        job = self.job(encode_task(Task(func=name, args=args, user_id="ann", **fields)).data)
        self.executor.submit_all([job])
        assert job.in_lane
        return job

    def ending(self) -> Any:
        """Wait for an ending, and watch over the lane meanwhile, as the courier does."""
        until = time.monotonic() + PATIENCE
        while True:
            self.executor.watch()
            try:
                return self.endings.get(timeout=STUCK_SECONDS)
            except Empty:
                assert time.monotonic() < until, "an ending"


@pytest.fixture
def lane_bench(no_thread_is_left: None) -> Iterator[LaneBench]:  # noqa: ARG001 - it looks after the executor was stopped
    """Four threads, and short tasks."""
    bench = LaneBench()
    yield bench
    bench.close()


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
