"""The asynchronous runner: the same calls as `Runner`, with an await."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import resolve_url
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.forks import inherits
from fairque.protocol.runners.cancelation import cancelable
from fairque.protocol.runners.connection import (
    CONCURRENT_CALLS,
    check_server,
    client_of,
    command,
    no_retry_async,
    script_text,
)
from fairque.protocol.runners.failures import Attempts, NoAnswer, Silence, denied, replaced, unclear
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.visit import visit
from fairque.protocol.wire.call import Call

__all__ = ["AsyncRunner", "AsyncSubscription"]

T = TypeVar("T")


class AsyncRunner:
    """Runs calls on one server from one event loop; it connects at the first call.

    Args:
        settings: The address of the server, and timeouts.
    """

    def __init__(self, settings: RedisSection) -> None:
        self.settings = settings
        self.start_over()
        inherits(self)

    def start_over(self) -> None:
        """Reset to no connections and no event loop: at first, and in a forked child."""
        self._permits = Permits(self.settings)
        self._loaded: set[str] = set()
        self._client: redis.asyncio.Redis | None = None
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
    async def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered; see `Runner.try_once`."""
        with contextlib.suppress(RedisError, FairqueError, OSError, ValueError):
            self.check_loop()
            async with self._turns:
                await self._send(await self._connected(), call)
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
        return self._client is not None

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
        """Close all connections. A later call opens new ones.

        Raises:
            FairqueError: They belong to another event loop.
        """
        client = self._client
        if client is None:
            return
        self.check_loop()
        self._client = self._loop = None
        await client.aclose()

    @cancelable
    async def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        self.check_loop()
        await self._see_permits(calls)
        return await self._asked(calls)

    async def _see_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            question = self._permits.question(keys)
            try:
                allowed = question.decode((await self._asked([question]))[0])
            except (SchemaMismatch, ProtocolError):
                self._permits.skip(keys)
            else:
                self._permits.note(keys, allowed)

    async def _asked(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send calls, with retries."""
        attempts = Attempts(self.settings)
        while True:
            try:
                async with self._turns:
                    client = await self._connected()
                    if len(calls) == 1:
                        return [await self._send(client, calls[0])]
                    return await self._send_all(client, calls)
            except RedisError as error:
                if denied(error):
                    self._permits.forget()
                seen = await _seen(error, self.settings) if attempts.is_last(error) else ""
                pause = attempts.pause_seconds(error, seen)
                if replaced(error) and (stale := self._client) is not None:
                    await stale.connection_pool.disconnect(inuse_connections=False)
                await asyncio.sleep(pause)

    @staticmethod
    async def _send(client: redis.asyncio.Redis, call: Call[Any]) -> Any:
        try:
            return await client.execute_command(*command(call))
        except NoScriptError:
            await client.script_load(script_text(call))
            return await client.execute_command(*command(call))

    async def _send_all(self, client: redis.asyncio.Redis, calls: Sequence[Call[Any]]) -> list[Any]:
        # See `Runner._send_all`.
        unknown = {call.script: call for call in calls if call.script not in self._loaded}
        async with client.pipeline(transaction=False) as pipeline:
            for call in unknown.values():
                pipeline.script_load(script_text(call))
            for call in calls:
                pipeline.execute_command(*command(call))
            answers = (await pipeline.execute(raise_on_error=False))[len(unknown) :]
        self._loaded.update(unknown)
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                self._loaded.clear()
                answers[index] = await self._send(client, calls[index])
            elif isinstance(answer, RedisError):
                raise answer
        return list(answers)

    async def _connected(self) -> redis.asyncio.Redis:
        client = self._client
        if client is not None:
            return client
        async with self._lock:
            if self._client is None:
                url = await asyncio.to_thread(resolve_url, self.settings.url)
                client = client_of(redis.asyncio, self.settings, url, no_retry_async())
                try:
                    check_server(await client.info(), self.settings)
                except BaseException:
                    await client.aclose()
                    raise
                self._client = client
            return self._client


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
