"""What a queue and its handles share: the runner, and one subscription on which the server tells of ended tasks."""

import asyncio
import math
import queue
import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence
from contextlib import aclosing, closing, suppress
from datetime import timedelta
from typing import Any, TypeVar

from fairque.client.outcomes import Missing
from fairque.client.settings import ClientSettings
from fairque.client.steps import Steps, carried_out
from fairque.client.waiting import Event, News, Wait, Waiters
from fairque.protocol import clock
from fairque.protocol.calls.progress import read_progress
from fairque.protocol.calls.watch import MAX_WATCH_TASKS, Outcome, watch_many
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.forks import inherits
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.model.progress import Progress
from fairque.protocol.runners import Runner, Subscription
from fairque.protocol.runners.aio import AsyncRunner, AsyncSubscription
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["AsyncLink", "Link", "seconds_of"]

T = TypeVar("T")

#: Seconds for the word that nobody waits any more.
_LEAVE_SECONDS = 1.0

#: Calls of one round trip: a server that is asked for more in one go keeps others waiting.
_CHUNK = 100


class _Shared:
    """What needs no I/O and is the same for `Link` and `AsyncLink`."""

    def __init__(self, settings: ClientSettings) -> None:
        given: object = settings
        if not isinstance(given, ClientSettings):
            kind = type(given).__name__
            raise TypeError(
                f"a queue object is made of ClientSettings, not of {kind}: TaskQueue.from_url(...) takes a URL"
            )
        self.settings = settings
        self.keys = QueueKeys(settings.queue.name)
        self.result_ttl_ms = to_ms(settings.queue.result_ttl, "result_ttl")
        self._waiters = Waiters()
        self._listener = ""
        self._closed = False
        inherits(self)

    def start_over(self) -> None:
        """Have no channel of one's own yet, in a forked child: who waits there hears on another one than the parent."""
        self._listener = ""
        self._waiters.start_over()

    def _check_open(self) -> None:
        if self._closed:
            raise FairqueError(
                f"this queue object ({self.keys.name!r}) is closed: use it and its handles before close(), "
                "or inside the with block"
            )

    def _new_channel(self) -> str:
        self._listener = new_nonce()
        return self.keys.done(self._listener)


class Link(_Shared):
    """The synchronous link. Threads may share it, and a forked child uses its copy as a link that has not connected."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._runner = Runner(settings.redis)
        self._subscribing = threading.Lock()
        self._subscription: Subscription | None = None

    def start_over(self) -> None:
        """See `_Shared.start_over`; a wait that continues in the child looks at all its tasks again."""
        super().start_over()
        self._subscribing = threading.Lock()
        self._subscription = None
        self._waiters.rouse()

    def run(self, call: Call[T]) -> T:
        """Send a call.

        Raises:
            FairqueError: The queue object is closed, or as `Runner.run` says.
        """
        self._check_open()
        return self._runner.run(call)

    def run_all(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send any number of calls, many in a round trip, and return what they come to.

        Raises:
            FairqueError: As `run`; the first call that failed decides, and others may have been run.
        """
        self._check_open()
        return [answer for chunk in _chunks(calls) for answer in self._runner.run_all(chunk)]

    def work(self, steps: Steps[T]) -> T:
        """Carry out steps one after the other, and return their result."""
        return carried_out(self.run, self.run_all, steps)

    def follow(
        self, task_ids: Iterable[str], until: float, *, progress: bool = False
    ) -> Generator[tuple[str, Event], None, None]:
        """Give the outcome of each task as soon as it has ended, and of the others what it is in the end.

        It is woken by the server, and asks it of all tasks together: once, and again after a lost connection. `Missing`
        stands for the outcome of a task that is not known.

        Args:
            task_ids: The tasks; each counts once.
            until: When to give up, on the monotonic clock.
            progress: Give also how far each task has come, at first and whenever that is told.
        """
        wait = Wait(task_ids, until, progress=progress)
        if listens := bool(wait.open) and not wait.over:
            news: queue.SimpleQueue[News] = queue.SimpleQueue()
            try:
                with self._waiters.waiting(wait.open, news.put, progress=progress):
                    while wait.open and not wait.over:
                        yield from self._ask(wait)
                        if wait.open:
                            yield from wait.hear(_news(news, wait.seconds()))
            except RedisUnavailable:
                raise
            except BaseException:
                self._take_back(tuple(wait.open))
                raise
        yield from self._look_last(wait, listened=listens)

    def outcomes(self, task_ids: Iterable[str], until: float) -> Generator[tuple[str, Outcome | Missing], None, None]:
        """Give the same without progress."""
        with closing(self.follow(task_ids, until)) as events:
            for task_id, event in events:
                if not isinstance(event, Progress):
                    yield task_id, event

    def close(self) -> None:
        """Close the connections; who waits is told."""
        if not self._closed:
            self._take_back(self._waiters.task_ids())
        self._closed = True
        self._waiters.rouse()
        with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        self._runner.close()

    def _ask(self, wait: Wait) -> list[tuple[str, Event]]:
        """Ask the server what a wait wants to know, and to tell of the endings that are to come."""
        told: list[tuple[str, Event]] = []
        try:
            while asked := wait.question():
                found = self.run(watch_many(self.keys, asked, self._listen()))
                told += wait.answer(asked, found, self._words(wait, asked))
        except RedisUnavailable:
            # It comes back; but who has never heard of it should know at once.
            if not wait.answered:
                raise
        return told

    def _look_last(self, wait: Wait, *, listened: bool) -> Iterator[tuple[str, Event]]:
        """Return the tasks that have not ended, and unsubscribe from them."""
        wait.ask_all()
        listener = self._listener if listened else ""
        while asked := wait.question():
            found = self.run(watch_many(self.keys, asked, listener, ttl_ms=0))
            if listened:
                self._waiters.look_again(asked)
            yield from wait.answer(asked, found, self._words(wait, asked), last=True)

    def _words(self, wait: Wait, asked: Sequence[str]) -> Sequence[Progress | None]:
        return self.run(read_progress(self.keys, asked)) if wait.progress else ()

    def _take_back(self, task_ids: Sequence[str]) -> None:
        """Unsubscribe from these tasks. Tried once: the server forgets subscriptions in time by itself."""
        if self._listener and not self._closed:
            all(map(self._runner.try_once, _leavings(self.keys, task_ids, self._listener)))
            self._waiters.look_again(task_ids)

    def _listen(self) -> str:
        with self._subscribing:
            self._check_open()
            if self._subscription is None:
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

    def start_over(self) -> None:
        """See `_Shared.start_over`."""
        super().start_over()
        self._subscribing = asyncio.Lock()
        self._subscription = None

    async def run(self, call: Call[T]) -> T:
        """Send a call; see `Link.run`."""
        self._check_open()
        return await self._runner.run(call)

    async def run_all(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send any number of calls; see `Link.run_all`."""
        self._check_open()
        return [answer for chunk in _chunks(calls) for answer in await self._runner.run_all(chunk)]

    async def work(self, steps: Steps[T]) -> T:
        """Carry out steps one after the other, and return their result."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await (self.run(step) if isinstance(step, Call) else self.run_all(step))
                except Exception as error:  # noqa: BLE001 - the steps decide what it means to them
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def follow(
        self, task_ids: Iterable[str], until: float, *, progress: bool = False
    ) -> AsyncGenerator[tuple[str, Event], None]:
        """Give the outcome of each task as soon as it has ended, and of the others what it is in the end.

        See `Link.follow`.
        """
        wait = Wait(task_ids, until, progress=progress)
        if listens := bool(wait.open) and not wait.over:
            news: asyncio.Queue[News] = asyncio.Queue()
            try:
                with self._waiters.waiting(wait.open, news.put_nowait, progress=progress):
                    while wait.open and not wait.over:
                        for ended in await self._ask(wait):
                            yield ended
                        if wait.open:
                            for event in wait.hear(await _async_news(news, wait.seconds())):
                                yield event
            except RedisUnavailable:
                raise
            except BaseException:
                await self._take_back(tuple(wait.open))
                raise
        async with aclosing(self._look_last(wait, listened=listens)) as last:
            async for told in last:
                yield told

    async def outcomes(
        self, task_ids: Iterable[str], until: float
    ) -> AsyncGenerator[tuple[str, Outcome | Missing], None]:
        """Give the same without progress."""
        async with aclosing(self.follow(task_ids, until)) as events:
            async for task_id, event in events:
                if not isinstance(event, Progress):
                    yield task_id, event

    async def close(self) -> None:
        """Close the connections; who waits is told.

        Raises:
            FairqueError: They belong to another event loop.
        """
        if self._runner.connected:
            self._runner.check_loop()
            await self._take_back(self._waiters.task_ids())
        self._closed = True
        self._waiters.rouse()
        async with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()
        await self._runner.close()

    async def _ask(self, wait: Wait) -> list[tuple[str, Event]]:
        """See `Link._ask`."""
        told: list[tuple[str, Event]] = []
        try:
            while asked := wait.question():
                found = await self.run(watch_many(self.keys, asked, await self._listen()))
                told += wait.answer(asked, found, await self._words(wait, asked))
        except RedisUnavailable:
            if not wait.answered:
                raise
        return told

    async def _look_last(self, wait: Wait, *, listened: bool) -> AsyncGenerator[tuple[str, Event], None]:
        """See `Link._look_last`."""
        wait.ask_all()
        listener = self._listener if listened else ""
        while asked := wait.question():
            found = await self.run(watch_many(self.keys, asked, listener, ttl_ms=0))
            if listened:
                self._waiters.look_again(asked)
            for told in wait.answer(asked, found, await self._words(wait, asked), last=True):
                yield told

    async def _words(self, wait: Wait, asked: Sequence[str]) -> Sequence[Progress | None]:
        return await self.run(read_progress(self.keys, asked)) if wait.progress else ()

    async def _take_back(self, task_ids: Sequence[str]) -> None:
        """See `Link._take_back`."""
        if not self._listener or self._closed:
            return
        with suppress(TimeoutError):
            # Who was canceled should not wait for a server that is away.
            async with asyncio.timeout(_LEAVE_SECONDS):
                for call in _leavings(self.keys, task_ids, self._listener):
                    if not await self._runner.try_once(call):
                        break
        self._waiters.look_again(task_ids)

    async def _listen(self) -> str:
        async with self._subscribing:
            self._check_open()
            if self._subscription is None:
                channel = self._new_channel()
                self._subscription = await self._runner.listen(channel, self._waiters.hear, self._waiters.rouse)
            return self._listener


def _leavings(keys: QueueKeys, task_ids: Sequence[str], listener: str) -> Iterator[Call[Any]]:
    """Give the calls after which the server does not tell a listener of tasks any more."""
    for first in range(0, len(task_ids), MAX_WATCH_TASKS):
        yield watch_many(keys, task_ids[first : first + MAX_WATCH_TASKS], listener, ttl_ms=0)


def seconds_of(timeout: float | timedelta | None) -> float | None:
    """Return how long to wait, in seconds; None is forever, and so is what no clock of a process reaches.

    Raises:
        TypeError: It is not a number of seconds or a timedelta.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and not math.isnan(seconds)
    if seconds is not None and not number:
        raise TypeError(f"timeout must be a number of seconds, a timedelta or None, not {shown(timeout)}")
    return None if seconds is None or seconds > threading.TIMEOUT_MAX else seconds


def _chunks(calls: Sequence[Call[T]]) -> Iterator[Sequence[Call[T]]]:
    return (calls[first : first + _CHUNK] for first in range(0, len(calls), _CHUNK))


def _news(news: "queue.SimpleQueue[News]", seconds: float | None) -> list[News]:
    """Wait for news, and return all that there are; none after so many seconds."""
    told: list[News] = []
    with suppress(queue.Empty):
        told.append(news.get(timeout=seconds))
        while True:
            told.append(news.get_nowait())
    return told


async def _async_news(news: "asyncio.Queue[News]", seconds: float | None) -> list[News]:
    told: list[News] = []
    with suppress(TimeoutError, asyncio.QueueEmpty):
        async with clock.timeout(seconds):
            told.append(await news.get())
        while True:
            told.append(news.get_nowait())
    return told
