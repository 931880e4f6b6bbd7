"""The synchronous runner: sends calls and listens on a channel."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    no_retry,
)
from fairque.protocol.runners.failures import Attempts, closed_error, denied, replaced
from fairque.protocol.runners.packing import Packet, pack, pack_again
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.pool import Exchange, Pool, Sent, last_of
from fairque.protocol.runners.subscription import Subscription
from fairque.protocol.runners.turns import Turns
from fairque.protocol.runners.visit import visit_if_unclear
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["Runner"]

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
        self._closed = False
        self.start_over()
        inherits(self)

    def start_over(self) -> None:
        """Reset to no connections: at first, and in a forked child."""
        self._permits = Permits(self.settings)
        self._loaded: set[str] = set()
        self._pool: Pool | None = None
        # The handler of a signal may call this runner while its thread does.
        self._lock = threading.RLock()
        self._turns = Turns(CONCURRENT_CALLS)

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

    def begin(self, calls: Sequence[Call[Any]]) -> Sent[Exchange]:
        """Send several calls without waiting for their answers, for which `land` waits, or `abandon` does not.

        If they cannot be sent now, `land` sends them again, and reports an error.

        Raises:
            ServerUnsuitable: The user may not run them. Nothing was sent.
        """
        if self._check:
            self._see_permits(calls)
        packet = pack(calls, self._loaded)
        # Only for the sending: the caller may do anything before it lands them, also call this runner.
        with self._turns:
            try:
                return Sent(packet, self._opened().send(packet.commands, packet.number))
            except RedisError as error:
                return Sent(packet, None, error)

    def land(self, sent: Sent[Exchange]) -> list[Any]:
        """Return the decoded answers to calls that were sent by `begin`, in order.

        Raises:
            FairqueError: As `run_all`.
        """
        packet = sent.packet
        try:
            answers = self._landed(sent)
        except RedisError as error:
            attempts = Attempts(self.settings)
            self._pause(error, attempts)
            answers = self._asked(partial(self._exchange, packet), attempts)
        return [call.decode(answer) for call, answer in zip(packet.calls, answers, strict=True)]

    def abandon(self, sent: Sent[Exchange]) -> None:
        """Do not wait for the answers to calls that were sent by `begin`. They may have been run."""
        if sent.exchange is not None:
            sent.exchange.abandon()

    def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered: for calls that may be lost."""
        with contextlib.suppress(RedisError, FairqueError, OSError, ValueError), self._turns:
            self._exchange(pack((call,)))
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
        found: Mapping[str, Any] = self._asked(lambda: self._opened().info())
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
            cursor, page = self._asked(partial(self._page, cursor or 0, f"{prefix}*", most))
            yield page

    def texts(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of strings, in order; None for a key that is missing or is not a string.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        found: list[Any] = self._asked(lambda: self._connected().mget(keys))
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
                for (key, _), page in zip(
                    list(cursors.items()), self._asked(partial(self._pages, cursors, most)), strict=True
                ):
                    cursors[key], members = page
                    yield from ((key, member) for member, _ in members)
                cursors = {key: cursor for key, cursor in cursors.items() if cursor}

    def scan_fields(self, key: bytes, most: int = 500) -> Iterator[bytes]:
        """Return the fields of a hash; as `scan`. A key that is not a hash has none.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        cursor: int | None = None
        while cursor != 0:
            cursor, fields = self._asked(partial(self._fields, key, cursor or 0, most))
            yield from fields

    def close(self) -> None:
        """Close all connections. Calls that are under way get their answers; later ones, and retries, are refused."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        if self._check:
            self._see_permits(calls)
        # So that none of several calls runs after those that follow it, scripts that the server may lack come first.
        packet = pack(calls, self._loaded if len(calls) > 1 else None)
        return self._asked(partial(self._exchange, packet))

    def _see_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            self._read_permits(keys)

    def _read_permits(self, keys: QueueKeys) -> None:
        question = self._permits.question(keys)
        try:
            allowed = question.decode(self._asked(partial(self._exchange, pack((question,))))[0])
        except (SchemaMismatch, ProtocolError):
            self._permits.skip(keys)
        else:
            self._permits.note(keys, allowed)

    def _asked(self, ask: Callable[[], T], attempts: Attempts | None = None) -> T:
        """Send an idempotent request, with retries."""
        while True:
            try:
                with self._turns:
                    return ask()
            except RedisError as error:
                attempts = attempts or Attempts(self.settings)
                self._pause(error, attempts)

    def _pause(self, error: RedisError, attempts: Attempts) -> None:
        """Wait before the next attempt.

        Raises:
            FairqueError: There is none; the error says why.
        """
        if denied(error):
            self._permits.forget()
        pause = attempts.pause_seconds(error, visit_if_unclear(error, self.settings) if attempts.is_last(error) else "")
        if replaced(error) and (pool := self._pool) is not None:
            pool.close_idle()
        time.sleep(pause)

    def _exchange(self, packet: Packet) -> list[Any]:
        """Send calls and return their answers.

        Raises:
            RedisError: The connection failed, or an answer is an error.
        """
        pool = self._opened()
        return self._checked(pool, packet, pool.ask(packet.commands, packet.number))

    def _landed(self, sent: Sent[Exchange]) -> list[Any]:
        if sent.exchange is None:
            raise sent.error or RuntimeError("calls were neither sent nor refused")
        return self._checked(sent.exchange.pool, sent.packet, sent.exchange.answers())

    def _checked(self, pool: Pool, packet: Packet, answers: list[Any]) -> list[Any]:
        """Return the answers of calls, of which those with a script that the server does not have are sent again."""
        if packet.loads:
            del answers[: len(packet.loads)]
            self._loaded.update(packet.loads)
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                self._loaded.clear()
                answers[index] = last_of(pool.ask(*pack_again(packet.calls[index])))
            elif isinstance(answer, RedisError):
                raise answer
        if len(answers) == 1:
            self._loaded.add(packet.calls[0].script)
        return answers

    def _connected(self) -> redis.Redis:
        return self._opened().client

    def _opened(self) -> Pool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            self._check_open()
            return self._pool or self._kept(self._new_pool())

    def _new_pool(self) -> Pool:
        pool = Pool(client_of(redis, self.settings, resolve_url(self.settings.url), no_retry()))
        try:
            if self._check:
                check_server(pool.info(), self.settings)
        except BaseException:
            pool.close()
            raise
        return pool

    def _kept(self, pool: Pool) -> Pool:
        """Keep a new pool, unless the handler of a signal has made one meanwhile, or has closed the runner."""
        if self._closed or self._pool is not None:
            pool.close()
        self._check_open()
        self._pool = self._pool or pool
        return self._pool

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.settings)

    def _page(self, cursor: int, pattern: str, most: int) -> Any:
        return self._connected().scan(cursor, match=pattern, count=most)

    def _fields(self, key: bytes, cursor: int, most: int) -> tuple[int, Iterable[bytes]]:
        try:
            found: Any = self._connected().hscan(key, cursor, count=most)
        except RedisError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return 0, ()
        return found[0], found[1]

    def _pages(self, cursors: Mapping[bytes, int], most: int) -> list[Any]:
        with self._connected().pipeline(transaction=False) as pipeline:
            for key, cursor in cursors.items():
                pipeline.zscan(key, cursor, count=most)
            pages = pipeline.execute(raise_on_error=False)
        for place, page in enumerate(pages):
            if isinstance(page, RedisError):
                if "WRONGTYPE" not in str(page):
                    raise page
                pages[place] = (0, [])
        return list(pages)
