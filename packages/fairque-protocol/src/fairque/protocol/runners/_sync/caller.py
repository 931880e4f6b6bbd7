# Generated from _async/caller.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""Sends calls on pooled connections, and retries them; the runners add what only one of the two kinds has."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.forks import inherits
from fairque.protocol.runners._sync.io import Lock, Turns, library, no_retry, probe_if_unclear, resolve, sleep
from fairque.protocol.runners._sync.pool import Exchange, Pool
from fairque.protocol.runners.connection import CONCURRENT_CALLS, check_server, client_of
from fairque.protocol.runners.failures import Attempts, closed_error, denied, replaced
from fairque.protocol.runners.packing import Packet, pack, pack_again
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.sent import Sent, last_of
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["Caller"]

T = TypeVar("T")


class Caller:
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
        self._pool: Pool | None = None
        self._lock = Lock()
        self._turns = Turns(CONCURRENT_CALLS)

    def run(self, call: Call[T]) -> T:
        """Send one call and return its decoded answer.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
            ServerUnsuitable: The server must not hold a queue.
            FairqueError: The error that the answer reports.
        """
        return call.decode((self._answers([call]))[0])

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send several calls in one round trip and return their decoded answers, in order.

        Raises:
            FairqueError: As `run`; the first call that failed decides, the others may have been run.
        """
        return [call.decode(answer) for call, answer in zip(calls, self._answers(calls), strict=True)]

    def send(self, calls: Sequence[Call[Any]]) -> Sent[Exchange]:
        """Send several calls without waiting for their answers, for which `receive` waits, or `abandon` does not.

        If they cannot be sent now, `receive` sends them again, and reports an error.

        Raises:
            ServerUnsuitable: The user may not run them. Nothing was sent.
        """
        self._begin_use()
        if self._check:
            self._check_permits(calls)
        packet = pack(calls, self._loaded)
        # Only for the sending: before it reads the answers, the caller may do anything, also call this runner.
        with self._turns:
            try:
                pool = self._get_pool()
                return Sent(packet, pool.send(packet.commands, packet.number))
            except RedisError as error:
                return Sent(packet, None, error)

    def receive(self, sent: Sent[Exchange]) -> list[Any]:
        """Return the decoded answers to calls that were sent by `send`, in order.

        Raises:
            FairqueError: As `run_all`.
        """
        packet = sent.packet
        try:
            answers = self._read_answers(sent)
        except RedisError as error:
            attempts = Attempts(self.settings)
            self._pause(error, attempts)
            answers = self._with_retries(partial(self._exchange, packet), attempts)
        return [call.decode(answer) for call, answer in zip(packet.calls, answers, strict=True)]

    def abandon(self, sent: Sent[Exchange]) -> None:
        """Do not wait for the answers to calls that were sent by `send`. They may have been run."""
        if sent.exchange is not None:
            sent.exchange.abandon()

    def try_once(self, call: Call[Any]) -> bool:
        """Send one call without retries, and return whether it was answered: for calls that may be lost."""
        with suppress(RedisError, FairqueError, OSError, ValueError):
            self._begin_use()
            with self._turns:
                self._exchange(pack((call,)))
            return True
        return False

    def _begin_use(self) -> None:
        """Check that the connections may be used here.

        Raises:
            FairqueError: They belong to others.
        """

    def _answers(self, calls: Sequence[Call[Any]]) -> list[Any]:
        self._begin_use()
        if self._check:
            self._check_permits(calls)
        # So that none of several calls runs after those that follow it, scripts that the server may lack come first.
        packet = pack(calls, self._loaded if len(calls) > 1 else None)
        return self._with_retries(partial(self._exchange, packet))

    def _check_permits(self, calls: Sequence[Call[Any]]) -> None:
        """Check that the user may run all calls completely, before the first of them is sent."""
        while (keys := self._permits.unknown(calls)) is not None:
            self._read_permits(keys)

    def _read_permits(self, keys: QueueKeys) -> None:
        question = self._permits.question(keys)
        try:
            answers = self._with_retries(partial(self._exchange, pack((question,))))
            allowed = question.decode(answers[0])
        except (SchemaMismatch, ProtocolError):
            self._permits.skip(keys)
        else:
            self._permits.note(keys, allowed)

    def _with_retries(self, request: Callable[[], T], attempts: Attempts | None = None) -> T:
        """Send an idempotent request, with retries."""
        while True:
            try:
                with self._turns:
                    return request()
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
        found = probe_if_unclear(error, self.settings) if attempts.is_last(error) else ""
        pause = attempts.pause_seconds(error, found)
        if replaced(error) and (pool := self._pool) is not None:
            pool.close_idle()
        sleep(pause)

    def _exchange(self, packet: Packet) -> list[Any]:
        """Send calls and return their answers.

        Raises:
            RedisError: The connection failed, or an answer is an error.
        """
        pool = self._get_pool()
        return self._check_answers(pool, packet, pool.ask(packet.commands, packet.number))

    def _read_answers(self, sent: Sent[Exchange]) -> list[Any]:
        if sent.exchange is None:
            raise sent.error or RuntimeError("calls were neither sent nor refused")
        return self._check_answers(sent.exchange.pool, sent.packet, sent.exchange.answers())

    def _check_answers(self, pool: Pool, packet: Packet, answers: list[Any]) -> list[Any]:
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

    def _get_client(self) -> Any:
        """Return the client of redis-py, for everything but calls."""
        return (self._get_pool()).client

    def _get_pool(self) -> Pool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            self._check_open()
            return self._pool or self._keep(self._new_pool())

    def _new_pool(self) -> Pool:
        pool = Pool(client_of(library, self.settings, resolve(self.settings.url), no_retry()))
        try:
            if self._check:
                check_server(pool.info(), self.settings)
        except BaseException:
            pool.close()
            raise
        return pool

    def _keep(self, pool: Pool) -> Pool:
        """Keep a new pool, unless one was made meanwhile, by the handler of a signal, or the runner was closed."""
        if self._closed or self._pool is not None:
            pool.close()
        self._check_open()
        self._pool = self._pool or pool
        return self._pool

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.settings)
