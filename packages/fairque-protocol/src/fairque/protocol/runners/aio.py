"""The asynchronous runner: the same calls as `Runner`, with an await."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import resolve_url
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.forks import inherits
from fairque.protocol.runners.aio_pool import AsyncExchange, AsyncPool
from fairque.protocol.runners.cancelation import cancelable
from fairque.protocol.runners.connection import (
    CONCURRENT_CALLS,
    check_server,
    client_of,
    no_retry_async,
)
from fairque.protocol.runners.failures import Attempts, NoAnswer, Silence, closed_error, denied, replaced, unclear
from fairque.protocol.runners.packing import Packet, pack, pack_again
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.pool import Sent, last_of
from fairque.protocol.runners.visit import visit
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["AsyncRunner", "AsyncSubscription"]

T = TypeVar("T")


class AsyncRunner:
    """Runs calls on one server from one event loop; it connects at the first call.

    Args:
        settings: The address of the server, and timeouts.
    """

    def __init__(self, settings: RedisSection) -> None:
        self.settings = settings
        self._closed = False
        self.start_over()
        inherits(self)

    def start_over(self) -> None:
        """Reset to no connections and no event loop: at first, and in a forked child."""
        self._permits = Permits(self.settings)
        self._loaded: set[str] = set()
        self._pool: AsyncPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._turns = asyncio.Semaphore(CONCURRENT_CALLS)

    async def run(self, call: Call[T]) -> T:
        """Send one call and return its decoded answer.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
            ServerUnsuitable: The server must not hold a queue.
            FairqueError: The error that the answer reports.
        """
        return call.decode((await self._answers([call]))[0])

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send several calls in one round trip and return their decoded answers, in order.

        Raises:
            FairqueError: As `run`; the first call that failed decides, the others may have been run.
        """
        return [call.decode(answer) for call, answer in zip(calls, await self._answers(calls), strict=True)]

    @cancelable
    async def begin(self, calls: Sequence[Call[Any]]) -> Sent[AsyncExchange]:
        """Send several calls without waiting for their answers; see `Runner.begin`.

        Raises:
            ServerUnsuitable: The user may not run them. Nothing was sent.
        """
        self.check_loop()
        await self._see_permits(calls)
        packet = pack(calls, self._loaded)
        async with self._turns:
            try:
                pool = await self._opened()
                return Sent(packet, await pool.send(packet.commands, packet.number))
            except RedisError as error:
                return Sent(packet, None, error)

    @cancelable
    async def land(self, sent: Sent[AsyncExchange]) -> list[Any]:
        """Return the decoded answers to calls that were sent by `begin`; see `Runner.land`.

        Raises:
            FairqueError: As `run_all`.
        """
        packet = sent.packet
        try:
            answers = await self._landed(sent)
        except RedisError as error:
            attempts = Attempts(self.settings)
            await self._pause(error, attempts)
            answers = await self._asked(partial(self._exchange, packet), attempts)
        return [call.decode(answer) for call, answer in zip(packet.calls, answers, strict=True)]

    async def abandon(self, sent: Sent[AsyncExchange]) -> None:
        """Do not wait for the answers to calls that were sent by `begin`; see `Runner.abandon`."""
        if sent.exchange is not None:
            await sent.exchange.abandon()

    @cancelable
    async def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered; see `Runner.try_once`."""
        with contextlib.suppress(RedisError, FairqueError, OSError, ValueError):
            self.check_loop()
            async with self._turns:
                await self._exchange(pack((call,)))
            return True
        return False

    async def listen(
        self, channel: str, on_message: Callable[[bytes], None], on_ready: Callable[[], None]
    ) -> "AsyncSubscription":
        """Subscribe to a channel and return once the server has confirmed it; see `Runner.listen`.

        Raises:
            RedisUnavailable: The server did not answer.
            FairqueError: This is not the event loop of earlier calls.
        """
        self.check_loop()
        subscription = AsyncSubscription(self._connected, self.settings, channel, on_message, on_ready)
        await subscription.start()
        return subscription

    @property
    def connected(self) -> bool:
        """Whether it has connections, which belong to one event loop of one process."""
        return self._pool is not None

    def check_loop(self) -> None:
        """Check that this is the event loop of the first call.

        Raises:
            FairqueError: It is another one, such as that of a second ``asyncio.run``, or none, as in a forked child.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            raise FairqueError(
                "no event loop runs here: a forked child cannot continue on the event loop of its parent, so start a "
                "new one with asyncio.run(), which may use the same queue object"
            ) from None
        self._loop = self._loop or running
        if self._loop is not running:
            raise FairqueError(
                "this queue object was used on another event loop, to which its connections belong: create an "
                "AsyncTaskQueue inside each asyncio.run(), and close it there"
            )

    async def close(self) -> None:
        """Close all connections; see `Runner.close`.

        Raises:
            FairqueError: They belong to another event loop.
        """
        pool = self._pool
        if pool is not None:
            self.check_loop()
        self._closed = True
        self._pool = self._loop = None
        if pool is not None:
            await pool.close()

    @cancelable
    async def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        self.check_loop()
        await self._see_permits(calls)
        # See `Runner._answers`.
        packet = pack(calls, self._loaded if len(calls) > 1 else None)
        return await self._asked(partial(self._exchange, packet))

    async def _see_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            await self._read_permits(keys)

    async def _read_permits(self, keys: QueueKeys) -> None:
        question = self._permits.question(keys)
        try:
            answers = await self._asked(partial(self._exchange, pack((question,))))
            allowed = question.decode(answers[0])
        except (SchemaMismatch, ProtocolError):
            self._permits.skip(keys)
        else:
            self._permits.note(keys, allowed)

    async def _asked(self, ask: Callable[[], Awaitable[T]], attempts: Attempts | None = None) -> T:
        """Send an idempotent request, with retries."""
        while True:
            try:
                async with self._turns:
                    return await ask()
            except RedisError as error:
                attempts = attempts or Attempts(self.settings)
                await self._pause(error, attempts)

    async def _pause(self, error: RedisError, attempts: Attempts) -> None:
        """Wait before the next attempt; see `Runner._pause`."""
        if denied(error):
            self._permits.forget()
        pause = attempts.pause_seconds(error, await _seen(error, self.settings) if attempts.is_last(error) else "")
        if replaced(error) and (pool := self._pool) is not None:
            await pool.close_idle()
        await asyncio.sleep(pause)

    async def _exchange(self, packet: Packet) -> list[Any]:
        """Send calls and return their answers; see `Runner._exchange`."""
        pool = await self._opened()
        return await self._checked(pool, packet, await pool.ask(packet.commands, packet.number))

    async def _landed(self, sent: Sent[AsyncExchange]) -> list[Any]:
        if sent.exchange is None:
            raise sent.error or RuntimeError("calls were neither sent nor refused")
        return await self._checked(sent.exchange.pool, sent.packet, await sent.exchange.answers())

    async def _checked(self, pool: AsyncPool, packet: Packet, answers: list[Any]) -> list[Any]:
        """Return the answers of calls; see `Runner._checked`."""
        if packet.loads:
            del answers[: len(packet.loads)]
            self._loaded.update(packet.loads)
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                self._loaded.clear()
                answers[index] = last_of(await pool.ask(*pack_again(packet.calls[index])))
            elif isinstance(answer, RedisError):
                raise answer
        if len(answers) == 1:
            self._loaded.add(packet.calls[0].script)
        return answers

    async def _connected(self) -> redis.asyncio.Redis:
        pool = await self._opened()
        return pool.client

    async def _opened(self) -> AsyncPool:
        pool = self._pool
        if pool is not None:
            return pool
        async with self._lock:
            self._check_open()
            if self._pool is None:
                url = await asyncio.to_thread(resolve_url, self.settings.url)
                pool = AsyncPool(client_of(redis.asyncio, self.settings, url, no_retry_async()))
                try:
                    check_server(await pool.info(), self.settings)
                    self._check_open()
                except BaseException:
                    await pool.close()
                    raise
                self._pool = pool
            return self._pool

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.settings)


async def _seen(error: RedisError, settings: RedisSection) -> str:
    return await asyncio.to_thread(visit, settings) if unclear(error) else ""


class AsyncSubscription:
    """A channel that a task of the event loop listens to; it reconnects by itself after a lost connection."""

    def __init__(
        self,
        connected: Callable[[], Awaitable[redis.asyncio.Redis]],
        settings: RedisSection,
        channel: str,
        on_message: Callable[[bytes], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._connected = connected
        self._settings = settings
        self._channel = channel
        self._on_message = on_message
        self._on_ready = on_ready
        self._pubsub: Any = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe, and start to listen.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        self._pubsub = await self._subscribed()
        self._listener = asyncio.create_task(self._listen(), name="fairque-listener")

    async def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._pubsub.aclose()

    @cancelable
    async def _subscribed(self) -> Any:
        attempts = Attempts(self._settings)
        while True:
            pubsub = None
            try:
                pubsub = (await self._connected()).pubsub()
                await pubsub.subscribe(self._channel)
                if await pubsub.get_message(timeout=self._settings.socket_timeout) is None:
                    raise NoAnswer
            except RedisError as error:
                if pubsub is not None:
                    await pubsub.aclose()
                seen = await _seen(error, self._settings) if attempts.is_last(error) else ""
                await asyncio.sleep(attempts.pause_seconds(error, seen))
            else:
                return pubsub

    async def _listen(self) -> None:
        silence = Silence(self._settings.socket_timeout)
        while True:
            try:
                await self._hear_next(silence)
            except Exception:  # noqa: BLE001 - if the listener died, waits would never end
                await self._reconnect()
                silence = Silence(self._settings.socket_timeout)

    @cancelable
    async def _hear_next(self, silence: Silence) -> None:
        message = await self._pubsub.get_message(timeout=silence.seconds)
        if silence.asks_after(message):
            await self._pubsub.ping()
        if message is not None and message["type"] == "message":
            self._hear(message["data"])

    def _hear(self, data: bytes) -> None:
        try:
            self._on_message(data)
        except Exception:  # noqa: BLE001 - an unreadable message must not end the listener: each wait checks again
            self._on_ready()

    async def _reconnect(self) -> None:
        while True:
            try:
                await self._pubsub.aclose()
                self._pubsub = await self._subscribed()
                self._on_ready()
            except Exception:  # noqa: BLE001 - whatever it is, the listener must survive it and retry
                await asyncio.sleep(0.5)
            else:
                return
