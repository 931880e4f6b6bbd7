"""A separate queue for each test on a real server, and a worker that the test controls step by step."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from fairque.client import AsyncTaskQueue, ClientSection, ClientSettings, QueueSection, RedisSection, TaskQueue
from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.progress import Reported, progress
from fairque.protocol.model.outcome import Verdict
from fairque.protocol.model.progress import Progress
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.testing.internal import PATIENCE, QueueBench

T = TypeVar("T")


class HandWorker:
    """Takes one task at a time and ends it as the test requires."""

    def __init__(self, runner: Runner, name: str) -> None:
        self._bench = QueueBench(runner, name)
        self.keys = self._bench.keys
        self.run = runner.run

    def take(self) -> Granted:
        (granted,) = self.take_many(1)
        return granted

    def take_many(self, number: int) -> tuple[Granted, ...]:
        return self._bench.pop(number, worker="hand")

    def finish(self, result: Any = None, *, raw: bytes | None = None) -> str:
        """Take a task and end it with a result."""
        held = self.take()
        self.end(held, result=result, raw=raw)
        return held.task_id

    def end(self, *held: Granted, result: Any = None, raw: bytes | None = None) -> None:
        """End tasks with a result."""
        self._bench.finish(*held, result=json.dumps(result).encode() if raw is None else raw)

    def report(self, held: Granted, done: float, total: float | None = None, message: str = "") -> None:
        """Report the progress of a task."""
        reported = Progress(done, total, message, attempt=held.attempt)
        self.run(progress(self.keys, [Reported(held.task_id, held.token, reported)]))

    def finish_all(self, result: Any, most: int = 1_000_000) -> None:
        """Take all tasks, or the given number, and end them with a result."""
        while most and (held := self.take_many(min(100, most))):
            self.end(*held, result=result)
            most -= len(held)

    def fail(self, error: Any, verdict: Verdict = "dead") -> str:
        """Take a task and end it with an error."""
        held = self.take()
        self._bench.fail(held, verdict=verdict, pause_ms=0, error=json.dumps(error).encode())
        return held.task_id

    def fail_all(self, error: Any) -> None:
        """Take all tasks and fail them finally."""
        while held := self.take_many(100):
            self._bench.fail(*held, verdict="dead", error=json.dumps(error).encode())


class InThread(threading.Thread):
    """Calls a function in a thread and keeps what it returns or raises."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again when it is read
            self._error = error

    def outcome(self) -> Any:
        """Its return value; raises the exception that it raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread still waits"
        if self._error is not None:
            raise self._error
        return self._value


class Spy:
    """Wraps the runner of a link and records the scripts that were answered, and the errors."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.scripts: list[str] = []
        self.errors: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def run(self, call: Call[Any]) -> Any:
        with self._noting(call):
            return self._runner.run(call)

    def receive(self, sent: Any) -> Any:
        with self._noting(sent.packet.calls[0]):
            return self._runner.receive(sent)

    @contextmanager
    def _noting(self, call: Call[Any]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(type(error).__name__)
            raise
        self.scripts.append(call.script)


class AsyncSpy(Spy):
    """Wraps an asynchronous runner like `Spy`."""

    async def run(self, call: Call[Any]) -> Any:
        with self._noting(call):
            return await self._runner.run(call)

    async def receive(self, sent: Any) -> Any:
        with self._noting(sent.packet.calls[0]):
            return await self._runner.receive(sent)


@pytest.fixture
def settings(fairque_server_url: str, fairque_queue_name: str) -> ClientSettings:
    return ClientSettings(
        redis=RedisSection(url=fairque_server_url),
        queue=QueueSection(name=fairque_queue_name),
        client=ClientSection(default_user_id="ann"),
    )


@pytest.fixture
def queue(settings: ClientSettings) -> Iterator[TaskQueue]:
    with TaskQueue(settings) as queue:
        yield queue


@pytest.fixture
async def async_queue(settings: ClientSettings) -> AsyncIterator[AsyncTaskQueue]:
    async with AsyncTaskQueue(settings) as queue:
        yield queue


@pytest.fixture
def worker(settings: ClientSettings) -> Iterator[HandWorker]:
    runner = Runner(settings.redis)
    yield HandWorker(runner, settings.queue.name)
    runner.close()


@pytest.fixture
def spy_on() -> Callable[[TaskQueue], Spy]:
    """Puts a spy into a queue object."""

    def spy_on(queue: TaskQueue) -> Spy:
        spy = Spy(queue._link._runner)
        queue._link._runner = spy  # type: ignore[assignment]  # it has what the link uses
        return spy

    return spy_on


@pytest.fixture
def spy(queue: TaskQueue, spy_on: Callable[[TaskQueue], Spy]) -> Spy:
    return spy_on(queue)


@pytest.fixture
def async_spy(async_queue: AsyncTaskQueue) -> Spy:
    spy = AsyncSpy(async_queue._link._runner)
    async_queue._link._runner = spy  # type: ignore[assignment]  # it has what the link uses
    return spy


@pytest.fixture
def in_thread() -> type[InThread]:
    return InThread


@pytest.fixture
def server(fairque_server_url: str) -> Iterator["redis.Redis"]:
    """A plain client, for operations that fairque does not have."""
    with redis.Redis.from_url(fairque_server_url) as client:
        yield client


@pytest.fixture
def run_python() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a separate Python process with the same packages."""

    def run(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join(entry for entry in sys.path if entry)
        return subprocess.run(  # noqa: S603 - our own words
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )

    return run
