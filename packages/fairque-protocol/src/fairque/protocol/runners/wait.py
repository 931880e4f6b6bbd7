"""A wait for a wake-up and the call after it, as one request with a late answer, for which no thread blocks."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import resolve_url
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.runners.connection import client_of, command, no_retry, script_text
from fairque.protocol.runners.failures import replaced, translated
from fairque.protocol.wire.call import Call

__all__ = ["WaitLine"]

T = TypeVar("T")


class WaitLine(Generic[T]):
    """One connection with at most one wait under way. For one thread.

    `begin` sends the wait, a selector on `fileno` notices the answer, and `land` reads it.

    Args:
        settings: The address of the server, and timeouts.
    """

    def __init__(self, settings: RedisSection) -> None:
        self.settings = settings
        self._connection: Any = None
        self._loaded: set[str] = set()
        self._call: Call[T] | None = None

    @property
    def busy(self) -> bool:
        """Whether a wait is under way."""
        return self._call is not None

    def fileno(self) -> int:
        """Return the descriptor of the connection, which is readable when the wait has been answered."""
        return int(self._connection._sock.fileno())  # noqa: SLF001 - redis-py has no public name for it

    def begin(self, keys: Sequence[str], seconds: float, call: Call[T], *, clear: str) -> None:
        """Wait until one of the lists has an element and take it, or for ``seconds``; then run a call.

        All of it takes one round trip.

        Args:
            keys: The lists; earlier ones take precedence.
            seconds: How long to wait.
            call: The call that runs after the wait, whatever ended it.
            clear: A key that is deleted between the two.

        Raises:
            FairqueError: The request could not be sent.
        """
        # For Redis, 0 means forever.
        commands = [("BLPOP", *keys, max(seconds, 0.01)), ("DEL", clear), command(call)]
        try:
            if self._connection is None:
                self._connection = self._made()
            if call.script not in self._loaded:
                # Answered before the wait begins, so that the next answer is that of the wait.
                self._connection.send_command("SCRIPT LOAD", script_text(call))
                self._connection.read_response()
                self._loaded.add(call.script)
            self._connection.send_packed_command(self._connection.pack_commands(commands))
        except RedisError as error:
            self.close()
            raise translated(error, self.settings) from error
        self._call = call

    def land(self, seconds: float) -> tuple[str | None, T]:
        """Return the list that had an element, if any, and the decoded answer of the call.

        Args:
            seconds: How long to wait for the answer.

        Raises:
            RedisUnavailable: There is no answer; the call may have been run: send it again.
            FairqueError: The error that the answer reports.
        """
        call = self._call
        if call is None:
            raise RuntimeError("no wait is under way: begin one before you land it")
        try:
            if not self._connection.can_read(timeout=max(seconds, 0.0)):
                raise redis.TimeoutError("a wait was not answered in time")  # noqa: TRY301 - translated below
            answers = [self._read() for _ in range(3)]
        except BaseException as error:
            self.close()
            if isinstance(error, RedisError):
                raise translated(error, self.settings) from error
            if isinstance(error, (OSError, ValueError)):
                raise RedisUnavailable(f"the connection failed: {error}") from error
            raise
        self._call = None
        return self._meaning(call, *answers)

    def close(self) -> None:
        """Close the connection; a wait under way gets no answer. The next wait opens a new connection."""
        connection, self._connection, self._call = self._connection, None, None
        self._loaded.clear()
        if connection is not None:
            connection.disconnect()

    def _meaning(self, call: Call[T], taken: Any, cleared: Any, answer: Any) -> tuple[str | None, T]:
        if isinstance(answer, NoScriptError):
            self._loaded.clear()
        for failed in (taken, cleared, answer):
            if isinstance(failed, RedisError):
                if replaced(failed):
                    self.close()
                raise translated(failed, self.settings) from failed
        return None if taken is None else bytes(taken[0]).decode(), call.decode(answer)

    def _read(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as error:
            return error

    def _made(self) -> Any:
        client = client_of(redis, self.settings, resolve_url(self.settings.url), no_retry())
        return client.connection_pool.make_connection()
