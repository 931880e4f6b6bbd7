"""A separate queue for each test, with workers in this process that end, with all threads, after the test."""

import math
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
import redis

from fairque.protocol.config import QueueSection, RedisSection
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.registry import Registry
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.testing.internal import PATIENCE, QueueBench, calls, eventually
from fairque.worker import (
    FunctionTaskHandler,
    TaskContext,
    TaskHandler,
    Worker,
    WorkerSection,
    WorkerSettings,
    current_context,
)
from fairque.worker.keeping.deadlines import Watch

T = TypeVar("T")

#: Short enough for tests, long enough for a machine under load.
SHORT = {"lease": 1.0, "heartbeat": 0.2}

#: For a task to continue, or to begin.


class Bench(QueueBench):
    """A queue with short methods for a producer.

    Attributes:
        client: A client to inspect the stored data, and to damage it on purpose.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(Runner(RedisSection(url=url)), name)
        self.url = url
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)
        self._workers: list[Worker] = []

    def settings(self, socket_timeout: float = 2.0, **options: Any) -> WorkerSettings:
        """Settings of a worker, by default with two slots."""
        worker = WorkerSection(**{"concurrency": 2, "stop_timeout": 5.0, **options})
        # Do not wait for a server that is down on purpose.
        server = RedisSection(url=self.url, retries=1, socket_timeout=socket_timeout)
        return WorkerSettings(redis=server, queue=QueueSection(name=self.keys.name), worker=worker)

    def worker(self, *work: Callable[..., Any] | TaskHandler, burst: bool = False, **options: Any) -> Worker:
        """Create a worker with a handler, or with these functions by their names."""
        registry = Registry()
        handler: TaskHandler = FunctionTaskHandler(registry=registry)
        for one in work:
            if isinstance(one, TaskHandler):
                handler = one
            else:
                registry.register(one, one.__name__)
        worker = Worker(self.settings(**options), handler, burst=burst)
        self._workers.append(worker)
        return worker

    def start(self, *work: Callable[..., Any] | TaskHandler, **options: Any) -> Worker:
        """Create and start a worker."""
        worker = self.worker(*work, **options)
        worker.start()
        return worker

    def task(
        self, function: Callable[..., Any] | str | None, *args: Any, user: str = "ann", **fields: Any
    ) -> Task[Any]:
        name = getattr(function, "__name__", function)
        return Task(func=name, args=args, user_id=user, **fields)

    def push(self, function: Callable[..., Any] | str | None, *args: Any, user: str = "ann", **fields: Any) -> str:
        """Push one task and return its id."""
        task = self.task(function, *args, user=user, **fields)
        self.push_all([task])
        return task.task_id

    def push_all(self, tasks: list[Task[Any]]) -> list[str]:
        self.run(calls.push(self.keys, tasks, message_limit=262_144))
        return [task.task_id for task in tasks]

    def reaches(self, task_id: str, state: TaskState, within: float = PATIENCE) -> Any:
        """Wait for a state and return the result, error or reason of the task."""
        eventually(lambda: self.state(task_id) is state, timeout=within, what=f"{state} of {task_id}")
        _, blob = self.outcome(task_id)
        return loads(blob) if blob else None

    def result(self, task_id: str) -> Any:
        """Wait for the result and return it."""
        return self.reaches(task_id, TaskState.FINISHED)

    def error(self, task_id: str) -> Any:
        """Wait for the dead letter and return its error."""
        return self.reaches(task_id, TaskState.FAILED)

    def command_count(self, name: str) -> int:
        """How often the server has executed a command, for all clients."""
        return int(self.client.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0))

    def close(self) -> None:
        for worker in self._workers:
            worker.stop(0)
        self.runner.close()
        self.client.close()


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Fails the test if a thread of a worker is still running after it."""
    before = set(threading.enumerate())

    def left() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in before and t.name.startswith("fairque-")]

    yield
    eventually(lambda: not left(), what="the end of all threads of the workers")


@pytest.fixture
def bench(no_thread_is_left: None, fairque_server_url: str, fairque_queue_name: str) -> Iterator[Bench]:  # noqa: ARG001 - it looks after the workers were stopped
    """A separate queue on the server of the session."""
    bench = Bench(fairque_server_url, fairque_queue_name)
    yield bench
    bench.close()


@pytest.fixture
def make_bench(no_thread_is_left: None) -> Iterator[Callable[[str, str], Bench]]:  # noqa: ARG001 - as above
    """A queue on the test's own server."""
    made: list[Bench] = []

    def make(url: str, name: str) -> Bench:
        made.append(Bench(url, name))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def short() -> dict[str, float]:
    """Options of a worker that loses a lease within a second."""
    return dict(SHORT)


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Options of a worker that does not poll within a test: it starts only tasks for which it was woken."""
    monkeypatch.setattr("fairque.worker.taking.exchange.LONGEST_WAIT_SECONDS", 3_600.0)
    return {"lease": 36_000.0}


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event for tasks to wait for; it is set at the end of every test, so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def expire() -> Callable[[Watch], None]:
    """Ends the timeouts of the attempts that run, for tests in which an attempt has to get somewhere before."""

    def expire(watch: Watch) -> None:
        for job in watch._jobs():
            job.limit = -math.inf
        watch._alarm.ring()

    return expire


class Inside:
    """A task that publishes its contexts and waits for a gate."""

    def __init__(self, gate: threading.Event) -> None:
        self.__name__ = "inside"
        self.__qualname__ = "inside"
        self._gate = gate
        self.contexts: SimpleQueue[TaskContext] = SimpleQueue()

    def __call__(self) -> int:
        context = current_context()
        self.contexts.put(context)
        assert self._gate.wait(PATIENCE)
        return context.attempt

    def context(self) -> TaskContext:
        return self.contexts.get(timeout=PATIENCE)


@pytest.fixture
def inside(gate: threading.Event) -> Inside:
    return Inside(gate)
