"""A connection on which requests are sent whose answers are read later, so that no thread blocks for them."""

import select
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError, RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded.urls import resolve_url
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.runners.connection import client_of, no_retry
from fairque.protocol.runners.failures import replaced, translated
from fairque.protocol.runners.packing import pack
from fairque.protocol.runners.reading import read_answers
from fairque.protocol.runners.redis_private import socket_of
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.scripts import script

__all__ = ["Line"]


class Line:
    """One connection with at most one request under way. For one thread.

    `send` sends calls, a selector on `fileno` notices the first answer, and `receive` reads all of them. Nothing is
    retried: a `Runner` sends calls again whose answers were lost.

    Args:
        settings: The address of the server, and timeouts.
    """

    def __init__(self, settings: RedisSection) -> None:
        self.settings = settings
        self._connection: Any = None
        self._loaded: set[str] = set()
        # How many answers of the request under way are still to be read.
        self._due = 0

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._due > 0

    def fileno(self) -> int:
        """Return the descriptor of the connection, which is readable when there is an answer."""
        return int(socket_of(self._connection).fileno())

    def send(self, calls: Sequence[Call[Any]]) -> None:
        """Send calls in one packet.

        Raises:
            FairqueError: They could not be sent; it is unknown whether they will be run.
        """
        self._send(calls, pack(calls).commands, len(calls))

    def receive(self, seconds: float | None = None) -> list[Any]:
        """Return the answers of all calls, in their order and not decoded.

        Args:
            seconds: How long to wait for the first one; None for as long as a call may take.

        Raises:
            RedisUnavailable: There is no answer; the calls may have been run: send them again.
            FairqueError: The server answered one of them with an error.
        """
        answers = self._answers(self._due, seconds)
        self._raise_errors(answers)
        return answers

    def close(self) -> None:
        """Close the connection; a request under way gets no answer. The next one opens a new connection."""
        connection, self._connection, self._due = self._connection, None, 0
        self._loaded.clear()
        if connection is not None:
            connection.disconnect()

    def _send(self, calls: Sequence[Call[Any]], commands: bytes, number: int) -> None:
        """Send commands in one packet, after the scripts of some calls are known to the server."""
        if self._due:
            raise RuntimeError("a request is under way: read its answers before the next one is sent")
        try:
            if self._connection is None:
                self._connection = self._new_connection()
            for name in {call.script for call in calls} - self._loaded:
                # Answered before, so that the next answer is that of the request.
                self._connection.send_command("SCRIPT", "LOAD", script(name).text)
                self._connection.read_response()
                self._loaded.add(name)
            self._connection.send_packed_command((commands,))
        except RedisError as error:
            self.close()
            raise translated(error, self.settings) from error
        self._due = number

    def _answers(self, count: int, seconds: float | None = None) -> list[Any]:
        """Read some of the answers, which may be errors of the server; the first must arrive within ``seconds``."""
        if not self._due:
            raise RuntimeError("no request is under way: send one before its answers are read")
        try:
            if seconds is not None and not self._arrives_within(seconds):
                raise redis.TimeoutError("a wait was not answered in time")  # noqa: TRY301 - translated below
            answers = read_answers(self._connection, count)
        except BaseException as error:
            self.close()
            if isinstance(error, RedisError):
                raise translated(error, self.settings) from error
            if isinstance(error, (OSError, ValueError)):
                raise RedisUnavailable(f"the connection failed: {error}") from error
            raise
        self._due -= count
        return answers

    def _raise_errors(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            if isinstance(answer, RedisError):
                if isinstance(answer, NoScriptError):
                    self._loaded.clear()
                if replaced(answer):
                    self.close()
                raise translated(answer, self.settings) from answer

    def _arrives_within(self, seconds: float) -> bool:
        """Whether an answer arrives within so many seconds."""
        # Not by `can_read` of redis-py, whose parser would keep what has arrived.
        if not hasattr(select, "poll"):
            return bool(select.select([self], [], [], max(seconds, 0.0))[0])
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(max(seconds, 0.0) * 1_000))

    def _new_connection(self) -> Any:
        client = client_of(redis, self.settings, resolve_url(self.settings.url), no_retry())
        return client.connection_pool.make_connection()
