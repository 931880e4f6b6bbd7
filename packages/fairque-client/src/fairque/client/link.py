"""What a queue and its handles share: the runner, and one subscription on which the server tells of ended tasks."""

import asyncio
import math
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeAlias, TypeVar

from fairque.client.settings import ClientSettings
from fairque.protocol.calls import Outcome
from fairque.protocol.clock import monotonic
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import to_ms
from fairque.protocol.runners import Runner, Subscription
from fairque.protocol.runners.aio import AsyncRunner, AsyncSubscription
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["AsyncLink", "Link", "News", "Waiters", "seconds_of"]

T = TypeVar("T")

#: How a task ended; None asks the waiter to look at the server itself.
News: TypeAlias = Outcome | None

#: Seconds until a wait looks again when the server, which had answered before, does not.
_AGAIN_SECONDS = 1.0


class Waiters:
    """Who waits for which task in this process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_task: dict[str, list[Callable[[News], None]]] = {}

    @contextmanager
    def waiting(self, task_id: str, tell: Callable[[News], None]) -> Iterator[None]:
        """Have ``tell`` called with the news of a task while the context lasts; it must not block."""
        with self._lock:
            self._by_task.setdefault(task_id, []).append(tell)
        try:
            yield
        finally:
            with self._lock:
                told = self._by_task[task_id]
                told.remove(tell)
                if not told:
                    del self._by_task[task_id]

    def hear(self, message: bytes) -> None:
        """Pass on a message of the server: task id, state, and 1 with what the task left, or 0 if that is too large."""
        task_id, state, left = message.split(b"\n", 2)
        news = Outcome(TaskState(state.decode()), left[1:]) if left[:1] == b"1" else None
        with self._lock:
            told = tuple(self._by_task.get(task_id.decode(), ()))
        for tell in told:
            tell(news)

    def rouse(self) -> None:
        """Ask everybody to look at the server: something may have been missed."""
        with self._lock:
            told = [tell for waiters in self._by_task.values() for tell in waiters]
        for tell in told:
            tell(None)


class _Shared:
    """What needs no I/O and is the same for `Link` and `AsyncLink`."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.keys = QueueKeys(settings.queue.name)
        self.result_ttl_ms = to_ms(settings.queue.result_ttl_seconds, "result_ttl_seconds")
        self._waiters = Waiters()
        self._listener = ""
        self._listening_in = 0
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise FairqueError(
                f"this queue object ({self.keys.name!r}) is closed: use it and its handles before close(), "
                "or inside the with block"
            )

    def _new_channel(self) -> str:
        # A forked child has neither the parent's thread nor a right to its channel.
        self._listener = new_nonce()
        self._listening_in = os.getpid()
        return self.keys.done(self._listener)


class Link(_Shared):
    """The synchronous link. Threads may share it."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._runner = Runner(settings.redis)
        self._subscribing = threading.Lock()
        self._subscription: Subscription | None = None

    def run(self, call: Call[T]) -> T:
        """Send a call.

        Raises:
            FairqueError: The queue object is closed, or as `Runner.run` says.
        """
        self._check_open()
        return self._runner.run(call)

    def wait(self, task_id: str, look: Callable[[str], Outcome], timeout: float | None) -> Outcome:
        """Return the outcome of a task as soon as it has ended, or what it is after ``timeout`` seconds.

        Args:
            task_id: The task.
            look: Asks the server for its outcome and, if it has none yet, to tell the listener of that name.
            timeout: Seconds; None waits for ever.
        """
        until = _until(timeout)
        if until <= monotonic():
            return look("")
        listener = self._listen()
        news: queue.SimpleQueue[News] = queue.SimpleQueue()
        answered = False
        with self._waiters.waiting(task_id, news.put):
            while True:
                left = until - monotonic()
                try:
                    outcome = look(listener)
                    answered = True
                    if outcome.state.terminal:
                        return outcome
                except RedisUnavailable:
                    if not answered:
                        raise
                    left = min(left, _AGAIN_SECONDS)
                try:
                    told = news.get(timeout=_finite(left))
                except queue.Empty:
                    told = None
                if told is not None:
                    return told
                if until <= monotonic():
                    return look("")

    def close(self) -> None:
        """Close the connections; who waits is told."""
        self._closed = True
        self._waiters.rouse()
        with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        self._runner.close()

    def _listen(self) -> str:
        with self._subscribing:
            self._check_open()
            if self._subscription is None or self._listening_in != os.getpid():
                channel = self._new_channel()
                self._subscription = self._runner.listen(channel, self._waiters.hear, self._waiters.rouse)
            return self._listener


class AsyncLink(_Shared):
    """The asynchronous link, for one event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._runner = AsyncRunner(settings.redis)
        self._subscribing = asyncio.Lock()
        self._subscription: AsyncSubscription | None = None

    async def run(self, call: Call[T]) -> T:
        """Send a call; see `Link.run`."""
        self._check_open()
        return await self._runner.run(call)

    async def wait(
        self,
        task_id: str,
        look: Callable[[str], Awaitable[Outcome]],
        timeout: float | None,  # noqa: ASYNC109 - at its end comes a last look, not an error
    ) -> Outcome:
        """Return the outcome of a task, or what it is after ``timeout`` seconds; see `Link.wait`."""
        until = _until(timeout)
        if until <= monotonic():
            return await look("")
        listener = await self._listen()
        news: asyncio.Queue[News] = asyncio.Queue()
        answered = False
        with self._waiters.waiting(task_id, news.put_nowait):
            while True:
                left = until - monotonic()
                try:
                    outcome = await look(listener)
                    answered = True
                    if outcome.state.terminal:
                        return outcome
                except RedisUnavailable:
                    if not answered:
                        raise
                    left = min(left, _AGAIN_SECONDS)
                try:
                    async with asyncio.timeout(_finite(left)):
                        told = await news.get()
                except TimeoutError:
                    told = None
                if told is not None:
                    return told
                if until <= monotonic():
                    return await look("")

    async def close(self) -> None:
        """Close the connections; who waits is told.

        Raises:
            FairqueError: They belong to another event loop.
        """
        self._runner.check_loop()
        self._closed = True
        self._waiters.rouse()
        async with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()
        await self._runner.close()

    async def _listen(self) -> str:
        async with self._subscribing:
            self._check_open()
            if self._subscription is None:
                channel = self._new_channel()
                self._subscription = await self._runner.listen(channel, self._waiters.hear, self._waiters.rouse)
            return self._listener


def seconds_of(timeout: float | timedelta | None) -> float | None:
    """Return how long to wait, in seconds; None is for ever.

    Raises:
        TypeError: It is no time.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and not math.isnan(seconds)
    if seconds is not None and not number:
        raise TypeError(f"timeout must be a number of seconds, a timedelta or None, not {timeout!r:.80}")
    return seconds


def _until(timeout: float | None) -> float:
    return float("inf") if timeout is None else monotonic() + timeout


def _finite(seconds: float) -> float | None:
    return max(0.0, seconds) if seconds <= threading.TIMEOUT_MAX else None
