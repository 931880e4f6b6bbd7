"""Sends calls on pooled connections, and retries them; the runners add what only one of the two kinds has."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.forks import inherits
from fairque.protocol.runners._async.io import Lock, Turns, library, no_retry, probe_if_unclear, resolve, sleep
from fairque.protocol.runners._async.pool import AsyncExchange, AsyncPool
from fairque.protocol.runners.cancelation import cancelable
from fairque.protocol.runners.connection import CONCURRENT_CALLS, check_server, client_of
from fairque.protocol.runners.failures import Attempts, closed_error, denied, replaced
from fairque.protocol.runners.packing import Packet, pack, pack_again
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.sent import Sent, last_of
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["AsyncCaller"]

T = TypeVar("T")


class AsyncCaller:
    """Runs calls on one server; it connects at the first call.

    Every call is idempotent, so a call whose answer was lost is retried a few times.

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
        self._pool: AsyncPool | None = None
        self._lock = Lock()
        self._turns = Turns(CONCURRENT_CALLS)

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
    async def send(self, calls: Sequence[Call[Any]]) -> Sent[AsyncExchange]:
        """Send several calls without waiting for their answers, for which `receive` waits, or `abandon` does not.

        If they cannot be sent now, `receive` sends them again, and reports an error.

        Raises:
            ServerUnsuitable: The user may not run them. Nothing was sent.
        """
        self._begin_use()
        if self._check:
            await self._check_permits(calls)
        packet = pack(calls, self._loaded)
        # Only for the sending: before it reads the answers, the caller may do anything, also call this runner.
        async with self._turns:
            try:
                pool = await self._get_pool()
                return Sent(packet, await pool.send(packet.commands, packet.number))
            except RedisError as error:
                return Sent(packet, None, error)

    @cancelable
    async def receive(self, sent: Sent[AsyncExchange]) -> list[Any]:
        """Return the decoded answers to calls that were sent by `send`, in order.

        Raises:
            FairqueError: As `run_all`.
        """
        packet = sent.packet
        try:
            answers = await self._read_answers(sent)
        except RedisError as error:
            attempts = Attempts(self.settings)
            await self._pause(error, attempts)
            answers = await self._with_retries(partial(self._exchange, packet), attempts)
        return [call.decode(answer) for call, answer in zip(packet.calls, answers, strict=True)]

    async def abandon(self, sent: Sent[AsyncExchange]) -> None:
        """Do not wait for the answers to calls that were sent by `send`. They may have been run."""
        if sent.exchange is not None:
            await sent.exchange.abandon()

    @cancelable
    async def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered: for calls that may be lost."""
        with suppress(RedisError, FairqueError, OSError, ValueError):
            self._begin_use()
            async with self._turns:
                await self._exchange(pack((call,)))
            return True
        return False

    def _begin_use(self) -> None:
        """Check that the connections may be used here.

        Raises:
            FairqueError: They belong to others.
        """

    @cancelable
    async def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        self._begin_use()
        if self._check:
            await self._check_permits(calls)
        # So that none of several calls runs after those that follow it, scripts that the server may lack come first.
        packet = pack(calls, self._loaded if len(calls) > 1 else None)
        return await self._with_retries(partial(self._exchange, packet))

    async def _check_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            await self._read_permits(keys)

    async def _read_permits(self, keys: QueueKeys) -> None:
        question = self._permits.question(keys)
        try:
            answers = await self._with_retries(partial(self._exchange, pack((question,))))
            allowed = question.decode(answers[0])
        except (SchemaMismatch, ProtocolError):
            self._permits.skip(keys)
        else:
            self._permits.note(keys, allowed)

    async def _with_retries(self, request: Callable[[], Awaitable[T]], attempts: Attempts | None = None) -> T:
        """Send an idempotent request, with retries."""
        while True:
            try:
                async with self._turns:
                    return await request()
            except RedisError as error:
                attempts = attempts or Attempts(self.settings)
                await self._pause(error, attempts)

    async def _pause(self, error: RedisError, attempts: Attempts) -> None:
        """Wait before the next attempt.

        Raises:
            FairqueError: There is none; the error says why.
        """
        if denied(error):
            self._permits.forget()
        found = await probe_if_unclear(error, self.settings) if attempts.is_last(error) else ""
        pause = attempts.pause_seconds(error, found)
        if replaced(error) and (pool := self._pool) is not None:
            await pool.close_idle()
        await sleep(pause)

    async def _exchange(self, packet: Packet) -> list[Any]:
        """Send calls and return their answers.

        Raises:
            RedisError: The connection failed, or an answer is an error.
        """
        pool = await self._get_pool()
        return await self._check_answers(pool, packet, await pool.ask(packet.commands, packet.number))

    async def _read_answers(self, sent: Sent[AsyncExchange]) -> list[Any]:
        if sent.exchange is None:
            raise sent.error or RuntimeError("calls were neither sent nor refused")
        return await self._check_answers(sent.exchange.pool, sent.packet, await sent.exchange.answers())

    async def _check_answers(self, pool: AsyncPool, packet: Packet, answers: list[Any]) -> list[Any]:
        """Return the answers of calls, of which those with a script that the server does not have are sent again."""
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

    async def _get_client(self) -> Any:
        """Return the client of redis-py, for everything but calls."""
        return (await self._get_pool()).client

    async def _get_pool(self) -> AsyncPool:
        pool = self._pool
        if pool is not None:
            return pool
        async with self._lock:
            self._check_open()
            return self._pool or await self._keep(await self._new_pool())

    async def _new_pool(self) -> AsyncPool:
        pool = AsyncPool(client_of(library, self.settings, await resolve(self.settings.url), no_retry()))
        try:
            if self._check:
                check_server(await pool.info(), self.settings)
        except BaseException:
            await pool.close()
            raise
        return pool

    async def _keep(self, pool: AsyncPool) -> AsyncPool:
        """Keep a new pool, unless one was made meanwhile, by the handler of a signal, or the runner was closed."""
        if self._closed or self._pool is not None:
            await pool.close()
        self._check_open()
        self._pool = self._pool or pool
        return self._pool

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.settings)
