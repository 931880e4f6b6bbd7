"""The synchronous runner: sends calls and listens on a channel."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import redis
from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import resolve_url
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.forks import inherits
from fairque.protocol.runners.connection import (
    CONCURRENT_CALLS,
    check_server,
    client_of,
    command,
    no_retry,
    script_text,
)
from fairque.protocol.runners.failures import Attempts, NoAnswer, Silence, denied, replaced, unclear
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.visit import visit
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["Runner", "Subscription"]

T = TypeVar("T")


class Runner:
    """Runs calls on one server. Threads may share it; it connects at the first call.

    Every call is idempotent, so a call whose answer was lost is retried a few times. A forked child may use the runner
    as well, with its own connections.

    Args:
        settings: The address of the server, and timeouts.
        check: Whether to refuse a server that must not hold a queue, and a call that the user may not run completely.
    """

    def __init__(self, settings: RedisSection, *, check: bool = True) -> None:
        self.settings = settings
        self._check = check
        self.start_over()
        inherits(self)

    def start_over(self) -> None:
        """Reset to no connections: at first, and in a forked child."""
        self._permits = Permits(self.settings)
        self._loaded: set[str] = set()
        self._client: redis.Redis | None = None
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(CONCURRENT_CALLS)

    def run(self, call: Call[T]) -> T:
        """Send one call and return its decoded answer.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
            ServerUnsuitable: The server must not hold a queue.
            FairqueError: The error that the answer reports.
        """
        return call.decode(self._answers([call])[0])

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send several calls in one round trip and return their decoded answers, in order.

        Raises:
            FairqueError: As `run`; the first call that failed decides, the others may have been run.
        """
        return [call.decode(answer) for call, answer in zip(calls, self._answers(calls), strict=True)]

    def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered: for calls that may be lost."""
        with contextlib.suppress(RedisError, FairqueError, OSError, ValueError), self._turns:
            self._send(self._connected(), call)
            return True
        return False

    def require(self, keys: QueueKeys, role: str) -> None:
        """Check at the start that the user of the connection has all rights that a role needs.

        Args:
            keys: The queue.
            role: A role of `ROLES`, such as ``worker``.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
            ServerUnsuitable: Rights are missing; the error says which, and how to grant them.
        """
        self._see_permits([Permits.question(keys)])
        self._permits.require(keys, role)

    def listen(self, channel: str, on_message: Callable[[bytes], None], on_ready: Callable[[], None]) -> "Subscription":
        """Subscribe to a channel in a new thread and return once the server has confirmed it.

        Args:
            channel: The channel.
            on_message: Called in that thread with each message.
            on_ready: Called there after every subscription, also after a lost connection: messages in between were
                missed.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        return Subscription(self._connected, self.settings, channel, on_message, on_ready)

    def info(self) -> Mapping[str, Any]:
        """Return the fields of all sections of INFO.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        found: Mapping[str, Any] = self._asked(lambda client: client.info())
        return found

    def scan(self, prefix: str, most: int = 1_000) -> Iterator[list[bytes]]:
        """Return the keys with a prefix, page by page; keys may be repeated, and keys created meanwhile may be missed.

        Args:
            prefix: The prefix, without the special characters of a pattern of Redis.
            most: About how many keys the server examines for one page.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        cursor: int | None = None
        while cursor != 0:
            cursor, page = self._asked(partial(_page, cursor or 0, f"{prefix}*", most))
            yield page

    def texts(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of strings, in order; None for a key that is missing or is not a string.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        found: list[Any] = self._asked(lambda client: client.mget(keys))
        return found

    def scan_indexes(self, keys: Sequence[bytes], most: int = 500) -> Iterator[tuple[bytes, bytes]]:
        """Return all members of sorted sets, each with its key; as `scan`. One page of many sets is one round trip.

        A key that is not a sorted set has no members.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        for first in range(0, len(keys), most):
            cursors = dict.fromkeys(keys[first : first + most], 0)
            while cursors:
                for (key, _), page in zip(list(cursors.items()), self._asked(_pages(cursors, most)), strict=True):
                    cursors[key], members = page
                    yield from ((key, member) for member, _ in members)
                cursors = {key: cursor for key, cursor in cursors.items() if cursor}

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        if self._check:
            self._see_permits(calls)
        if len(calls) == 1:
            return [self._asked(lambda client: self._send(client, calls[0]))]
        return self._asked(lambda client: self._send_all(client, calls))

    def _see_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            question = self._permits.question(keys)
            try:
                allowed = question.decode(self._asked(lambda client: self._send(client, question)))  # noqa: B023 - used at once
            except (SchemaMismatch, ProtocolError):
                self._permits.skip(keys)
            else:
                self._permits.note(keys, allowed)

    def _asked(self, ask: Callable[["redis.Redis"], T]) -> T:
        """Send an idempotent request, with retries."""
        attempts = Attempts(self.settings)
        while True:
            try:
                with self._turns:
                    return ask(self._connected())
            except RedisError as error:
                if denied(error):
                    self._permits.forget()
                pause = attempts.pause_seconds(error, _seen(error, self.settings) if attempts.is_last(error) else "")
                if replaced(error) and (client := self._client) is not None:
                    client.connection_pool.disconnect(inuse_connections=False)
                time.sleep(pause)

    @staticmethod
    def _send(client: redis.Redis, call: Call[Any]) -> Any:
        try:
            return client.execute_command(*command(call))
        except NoScriptError:
            client.script_load(script_text(call))
            return client.execute_command(*command(call))

    def _send_all(self, client: redis.Redis, calls: Sequence[Call[Any]]) -> list[Any]:
        # Loaded first, so that none runs after those that follow it.
        unknown = {call.script: call for call in calls if call.script not in self._loaded}
        with client.pipeline(transaction=False) as pipeline:
            for call in unknown.values():
                pipeline.script_load(script_text(call))
            for call in calls:
                pipeline.execute_command(*command(call))
            answers = pipeline.execute(raise_on_error=False)[len(unknown) :]
        self._loaded.update(unknown)
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                self._loaded.clear()
                answers[index] = self._send(client, calls[index])
            elif isinstance(answer, RedisError):
                raise answer
        return list(answers)

    def _connected(self) -> redis.Redis:
        client = self._client
        if client is not None:
            return client
        with self._lock:
            if self._client is None:
                client = self._new_client()
                try:
                    if self._check:
                        check_server(client.info(), self.settings)
                except BaseException:
                    client.close()
                    raise
                self._client = client
            return self._client

    def _new_client(self) -> redis.Redis:
        client: redis.Redis = client_of(redis, self.settings, resolve_url(self.settings.url), no_retry())
        return client


def _seen(error: RedisError, settings: RedisSection) -> str:
    return visit(settings) if unclear(error) else ""


def _page(cursor: int, pattern: str, most: int, client: "redis.Redis") -> Any:
    return client.scan(cursor, match=pattern, count=most)


def _pages(cursors: Mapping[bytes, int], most: int) -> Callable[["redis.Redis"], list[Any]]:
    def ask(client: "redis.Redis") -> list[Any]:
        with client.pipeline(transaction=False) as pipeline:
            for key, cursor in cursors.items():
                pipeline.zscan(key, cursor, count=most)
            pages = pipeline.execute(raise_on_error=False)
        for place, page in enumerate(pages):
            if isinstance(page, RedisError):
                if "WRONGTYPE" not in str(page):
                    raise page
                pages[place] = (0, [])
        return list(pages)

    return ask


class Subscription:
    """A channel that a thread listens to until it is closed; it reconnects by itself after a lost connection.

    A forked child does not listen: it makes its own subscriptions.
    """

    def __init__(
        self,
        connected: Callable[[], redis.Redis],
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
        self._closed = threading.Event()
        self._pubsub = self._subscribed()
        self._inherited = False
        inherits(self)
        self._thread = threading.Thread(target=self._listen, name="fairque-listener", daemon=True)
        self._thread.start()

    def start_over(self) -> None:
        """Note that this is the copy in a forked child, which does not listen: the connection belongs to the parent."""
        self._inherited = True

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._inherited:
            return
        self._closed.set()
        if self._thread is not threading.current_thread():
            with contextlib.suppress(RedisError, OSError):
                self._pubsub.unsubscribe()
            self._thread.join(timeout=5)
        self._pubsub.close()

    def _subscribed(self) -> Any:
        attempts = Attempts(self._settings)
        while True:
            pubsub = None
            try:
                pubsub = self._connected().pubsub()
                pubsub.subscribe(self._channel)
                if pubsub.get_message(timeout=self._settings.socket_timeout) is None:
                    raise NoAnswer
            except RedisError as error:
                if pubsub is not None:
                    pubsub.close()
                seen = _seen(error, self._settings) if attempts.is_last(error) else ""
                time.sleep(attempts.pause_seconds(error, seen))
            else:
                return pubsub

    def _listen(self) -> None:
        silence = Silence(self._settings.socket_timeout)
        while not self._closed.is_set():
            try:
                message = self._pubsub.get_message(timeout=silence.seconds)
                if silence.asks_after(message):
                    self._pubsub.ping()
                if message is not None and message["type"] == "message":
                    self._hear(message["data"])
            except Exception:  # noqa: BLE001 - if the listener died, waits would never end
                self._reconnect()
                silence = Silence(self._settings.socket_timeout)

    def _hear(self, data: bytes) -> None:
        try:
            self._on_message(data)
        except Exception:  # noqa: BLE001 - an unreadable message must not end the listener: each wait checks again
            self._on_ready()

    def _reconnect(self) -> None:
        while not self._closed.is_set():
            try:
                self._pubsub.close()
                self._pubsub = self._subscribed()
                self._on_ready()
            except Exception:  # noqa: BLE001 - whatever it is, the listener must survive it and retry
                self._closed.wait(0.5)
            else:
                return
