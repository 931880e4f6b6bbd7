"""What a queue and its handles share: the runner, and one subscription to the endings of tasks."""

import asyncio
import math
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import aclosing, closing, suppress
from datetime import timedelta
from typing import TypeVar

from fairque.client.group_commit import AsyncGroupCommit, GroupCommit
from fairque.client.link_state import LinkState, chunks, unsubscribe_calls
from fairque.client.outcomes import Missing
from fairque.client.settings import ClientSettings
from fairque.client.steps import Steps, run_steps
from fairque.client.waiting import Event, News, Wait, received, received_async
from fairque.protocol.calls.progress import read_progress
from fairque.protocol.calls.push import Batch, Pushed
from fairque.protocol.calls.watch import Outcome, watch_many
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.progress import Progress
from fairque.protocol.runners import Runner, Subscription
from fairque.protocol.runners.aio import AsyncRunner, AsyncSubscription
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Call

__all__ = ["AsyncLink", "Link", "seconds_of"]

T = TypeVar("T")

#: Seconds for unsubscribing on behalf of a canceled wait.
_UNSUBSCRIBE_SECONDS = 1.0


class Link(LinkState):
    """The synchronous link. Threads may share it; in a forked child, the copy behaves like an unconnected link."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._runner = Runner(settings.redis)
        self._subscribing = threading.Lock()
        self._subscription: Subscription | None = None
        self._pushes = GroupCommit(lambda batch: self.run(self._push_call(batch)))

    def start_over(self) -> None:
        """See `LinkState.start_over`; a wait that continues in the child checks all its tasks again."""
        super().start_over()
        self._subscribing = threading.Lock()
        self._subscription = None
        self._waiters.wake_all()

    def run(self, call: Call[T]) -> T:
        """Send a call and return its answer.

        Raises:
            FairqueError: The queue object is closed; or an error of `Runner.run`.
        """
        self._check_open()
        return self._runner.run(call)

    def run_all(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send any number of calls, many per round trip, and return their answers.

        Raises:
            FairqueError: As `run`: the error of the first call that failed; others may have taken effect.
        """
        self._check_open()
        return [answer for chunk in chunks(calls) for answer in self._runner.run_all(chunk)]

    def push(self, batch: Batch) -> list[Pushed]:
        """Push tasks in one atomic step, and return the answers for each; pushes at the same time may go together.

        Raises:
            FairqueError: As `run`.
        """
        return self._pushes.push(batch)

    def push_while(self, batch: Batch, meanwhile: Callable[[], None]) -> list[Pushed]:
        """Push tasks as `push` does, and call a function between sending them and waiting for the answer.

        Raises:
            FairqueError: As `run`.
        """
        self._check_open()
        sent = self._runner.send([self._push_call(batch)])
        try:
            meanwhile()
        except BaseException:
            self._runner.abandon(sent)
            raise
        pushed: list[Pushed] = self._runner.receive(sent)[0]
        return pushed

    def work(self, steps: Steps[T]) -> T:
        """Run steps in order and return their result."""
        return run_steps(self.run, self.run_all, steps)

    def follow(
        self, task_ids: Iterable[str], until: float, *, progress: bool = False
    ) -> Generator[tuple[str, Event], None, None]:
        """Yield the outcome of each task as soon as it has ended; at the deadline, the current state of the others.

        The server notifies it. It reads all tasks together once at the start, and again after a lost connection. An
        unknown task yields `Missing`.

        Args:
            task_ids: The tasks; duplicates are ignored.
            until: The deadline, on the monotonic clock.
            progress: Also yield the progress of each task, at first and at each report.
        """
        wait = Wait(task_ids, until, progress=progress)
        if subscribes := bool(wait.open) and not wait.expired:
            news: queue.SimpleQueue[News] = queue.SimpleQueue()
            try:
                with self._waiters.waiting(wait.open, news.put, progress=progress):
                    while wait.open and not wait.expired:
                        yield from self._read_tasks(wait)
                        if wait.open:
                            yield from wait.receive(received(news, wait.seconds()))
            except RedisUnavailable:
                raise
            except BaseException:
                self._unsubscribe(tuple(wait.open))
                raise
        yield from self._read_last(wait, subscribed=subscribes)

    def outcomes(self, task_ids: Iterable[str], until: float) -> Generator[tuple[str, Outcome | Missing], None, None]:
        """Yield outcomes as `follow` does, without progress."""
        with closing(self.follow(task_ids, until)) as events:
            for task_id, event in events:
                if not isinstance(event, Progress):
                    yield task_id, event

    def close(self) -> None:
        """Close the connections and wake everyone who is waiting."""
        if not self._closed:
            self._unsubscribe(self._waiters.task_ids())
        self._closed = True
        self._waiters.wake_all()
        with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        self._runner.close()

    def _read_tasks(self, wait: Wait) -> list[tuple[str, Event]]:
        """Read the tasks that are pending in a wait, and subscribe to their endings."""
        events: list[tuple[str, Event]] = []
        try:
            while batch := wait.next_batch():
                outcomes = self.run(watch_many(self.keys, batch, self._listen()))
                events += wait.record(batch, outcomes, self._read_progress(wait, batch))
        except RedisUnavailable:
            # The wait survives an outage, but a server that has never answered is reported at once.
            if not wait.answered:
                raise
        return events

    def _read_last(self, wait: Wait, *, subscribed: bool) -> Iterator[tuple[str, Event]]:
        """Yield the current state of the tasks that have not ended, and unsubscribe from them."""
        wait.recheck_all()
        listener = self._listener if subscribed else ""
        while batch := wait.next_batch():
            outcomes = self.run(watch_many(self.keys, batch, listener, ttl_ms=0))
            if subscribed:
                self._waiters.recheck(batch)
            yield from wait.record(batch, outcomes, self._read_progress(wait, batch), last=True)

    def _read_progress(self, wait: Wait, batch: Sequence[str]) -> Sequence[Progress | None]:
        return self.run(read_progress(self.keys, batch)) if wait.progress else ()

    def _unsubscribe(self, task_ids: Sequence[str]) -> None:
        """Unsubscribe from these tasks. Tried only once: subscriptions expire on the server."""
        if self._listener and not self._closed:
            all(map(self._runner.try_once, unsubscribe_calls(self.keys, task_ids, self._listener)))
            self._waiters.recheck(task_ids)

    def _listen(self) -> str:
        with self._subscribing:
            self._check_open()
            if self._subscription is not None and self._subscription.ended:
                ended, self._subscription = self._subscription, None
                ended.close()
            if self._subscription is None:
                channel = self._new_channel()
                self._subscription = self._runner.listen(channel, self._waiters.dispatch, self._waiters.wake_all)
            return self._listener


class AsyncLink(LinkState):
    """The asynchronous link, for one event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._runner = AsyncRunner(settings.redis)
        self._subscribing = asyncio.Lock()
        self._subscription: AsyncSubscription | None = None
        self._pushes = AsyncGroupCommit(self._push_now)

    def start_over(self) -> None:
        """See `LinkState.start_over`."""
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
        return [answer for chunk in chunks(calls) for answer in await self._runner.run_all(chunk)]

    async def push(self, batch: Batch) -> list[Pushed]:
        """Push tasks in one atomic step; see `Link.push`."""
        self._check_open()
        self._runner.check_loop()
        return await self._pushes.push(batch)

    async def push_while(self, batch: Batch, meanwhile: Callable[[], None]) -> list[Pushed]:
        """Push tasks and call a function meanwhile; see `Link.push_while`."""
        self._check_open()
        sent = await self._runner.send([self._push_call(batch)])
        try:
            meanwhile()
        except BaseException:
            await self._runner.abandon(sent)
            raise
        pushed: list[Pushed] = (await self._runner.receive(sent))[0]
        return pushed

    async def _push_now(self, batch: Batch) -> list[Pushed]:
        return await self.run(self._push_call(batch))

    async def work(self, steps: Steps[T]) -> T:
        """Run steps in order and return their result."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await (self.run(step) if isinstance(step, Call) else self.run_all(step))
                except Exception as error:  # noqa: BLE001 - the steps decide how to handle it
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def follow(
        self, task_ids: Iterable[str], until: float, *, progress: bool = False
    ) -> AsyncGenerator[tuple[str, Event], None]:
        """Yield the outcome of each task as soon as it has ended; at the deadline, the current state of the others.

        See `Link.follow`.
        """
        wait = Wait(task_ids, until, progress=progress)
        if subscribes := bool(wait.open) and not wait.expired:
            news: asyncio.Queue[News] = asyncio.Queue()
            try:
                with self._waiters.waiting(wait.open, news.put_nowait, progress=progress):
                    while wait.open and not wait.expired:
                        for event in await self._read_tasks(wait):
                            yield event
                        if wait.open:
                            for event in wait.receive(await received_async(news, wait.seconds())):
                                yield event
            except RedisUnavailable:
                raise
            except BaseException:
                await self._unsubscribe(tuple(wait.open))
                raise
        async with aclosing(self._read_last(wait, subscribed=subscribes)) as last:
            async for event in last:
                yield event

    async def outcomes(
        self, task_ids: Iterable[str], until: float
    ) -> AsyncGenerator[tuple[str, Outcome | Missing], None]:
        """Yield outcomes as `follow` does, without progress."""
        async with aclosing(self.follow(task_ids, until)) as events:
            async for task_id, event in events:
                if not isinstance(event, Progress):
                    yield task_id, event

    async def close(self) -> None:
        """Close the connections and wake everyone who is waiting.

        Raises:
            FairqueError: They belong to another event loop.
        """
        if self._runner.connected:
            self._runner.check_loop()
            await self._unsubscribe(self._waiters.task_ids())
        self._closed = True
        self._waiters.wake_all()
        async with self._subscribing:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()
        await self._runner.close()

    async def _read_tasks(self, wait: Wait) -> list[tuple[str, Event]]:
        """See `Link._read_tasks`."""
        events: list[tuple[str, Event]] = []
        try:
            while batch := wait.next_batch():
                outcomes = await self.run(watch_many(self.keys, batch, await self._listen()))
                events += wait.record(batch, outcomes, await self._read_progress(wait, batch))
        except RedisUnavailable:
            if not wait.answered:
                raise
        return events

    async def _read_last(self, wait: Wait, *, subscribed: bool) -> AsyncGenerator[tuple[str, Event], None]:
        """See `Link._read_last`."""
        wait.recheck_all()
        listener = self._listener if subscribed else ""
        while batch := wait.next_batch():
            outcomes = await self.run(watch_many(self.keys, batch, listener, ttl_ms=0))
            if subscribed:
                self._waiters.recheck(batch)
            for event in wait.record(batch, outcomes, await self._read_progress(wait, batch), last=True):
                yield event

    async def _read_progress(self, wait: Wait, batch: Sequence[str]) -> Sequence[Progress | None]:
        return await self.run(read_progress(self.keys, batch)) if wait.progress else ()

    async def _unsubscribe(self, task_ids: Sequence[str]) -> None:
        """See `Link._unsubscribe`."""
        if not self._listener or self._closed:
            return
        with suppress(TimeoutError):
            # A canceled coroutine should not wait for a server that cannot be reached.
            async with asyncio.timeout(_UNSUBSCRIBE_SECONDS):
                for call in unsubscribe_calls(self.keys, task_ids, self._listener):
                    if not await self._runner.try_once(call):
                        break
        self._waiters.recheck(task_ids)

    async def _listen(self) -> str:
        async with self._subscribing:
            self._check_open()
            if self._subscription is not None and self._subscription.ended:
                ended, self._subscription = self._subscription, None
                await ended.close()
            if self._subscription is None:
                channel = self._new_channel()
                self._subscription = await self._runner.listen(channel, self._waiters.dispatch, self._waiters.wake_all)
            return self._listener


def seconds_of(timeout: float | timedelta | None) -> float | None:
    """Return a timeout in seconds; None means no limit, and so does a value longer than threads can wait.

    Raises:
        TypeError: If `timeout` is not a number of seconds or a timedelta.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and not math.isnan(seconds)
    if seconds is not None and not number:
        raise TypeError(f"timeout must be a number of seconds, a timedelta or None, not {safe_repr(timeout)}")
    return None if seconds is None or seconds > threading.TIMEOUT_MAX else seconds
