"""The asynchronous runner: the same calls as `Runner`, with an await."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError
from fairque.protocol.runners._async.caller import AsyncCaller
from fairque.protocol.runners._async.io import probe_if_unclear
from fairque.protocol.runners.cancelation import cancelable
from fairque.protocol.runners.failures import Attempts, NoAnswer, Silence

__all__ = ["AsyncRunner", "AsyncSubscription"]


class AsyncRunner(AsyncCaller):
    """Runs calls on one server from one event loop; it connects at the first call.

    Args:
        settings: The address of the server, and timeouts.
        check: As of `Runner`.
    """

    def start_over(self) -> None:
        """Reset to no connections and no event loop: at first, and in a forked child."""
        super().start_over()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def listen(
        self, channel: str, on_message: Callable[[bytes], None], on_ready: Callable[[], None]
    ) -> "AsyncSubscription":
        """Subscribe to a channel and return once the server has confirmed it; see `Runner.listen`.

        Raises:
            RedisUnavailable: The server did not answer.
            FairqueError: This is not the event loop of earlier calls.
        """
        self.check_loop()
        subscription = AsyncSubscription(self._get_client, self.settings, channel, on_message, on_ready)
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

    def _begin_use(self) -> None:
        self.check_loop()


class AsyncSubscription:
    """A channel that a task of the event loop listens to; it reconnects by itself after a lost connection."""

    def __init__(
        self,
        get_client: Callable[[], Awaitable[Any]],
        settings: RedisSection,
        channel: str,
        on_message: Callable[[bytes], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._get_client = get_client
        self._settings = settings
        self._channel = channel
        self._on_message = on_message
        self._on_ready = on_ready
        self._pubsub: Any = None
        self._listener: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it no longer listens: code that cancels all tasks of the loop cancels its task, too."""
        return self._listener is not None and self._listener.done()

    async def start(self) -> None:
        """Subscribe, and start to listen.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        self._pubsub = await self._subscribed()
        self._listener = asyncio.create_task(self._listen(), name="fairque-listener")
        # Those that still wait then subscribe again.
        self._listener.add_done_callback(lambda _: self._on_ready())

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
                pubsub = (await self._get_client()).pubsub()
                await pubsub.subscribe(self._channel)
                if await pubsub.get_message(timeout=self._settings.socket_timeout) is None:
                    raise NoAnswer  # noqa: TRY301 - retried below
            except RedisError as error:
                if pubsub is not None:
                    await pubsub.aclose()
                found = await probe_if_unclear(error, self._settings) if attempts.is_last(error) else ""
                await asyncio.sleep(attempts.pause_seconds(error, found))
            except BaseException:  # it is canceled
                if pubsub is not None:
                    await pubsub.aclose()
                raise
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
