"""The connections of a runner: packed commands are sent in one write, and their answers are read later or at once.

Connections are those of redis-py, with its authentication, TLS, timeouts and health checks; its pool and its commands
cost more than a short script does.
"""

import select
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define, frozen
from redis.exceptions import RedisError

from fairque.protocol.runners.packing import Packet
from fairque.protocol.runners.reading import read_answers

if TYPE_CHECKING:
    import redis

__all__ = ["Exchange", "Pool", "Sent", "is_stale", "last_of"]

E = TypeVar("E")

_CAN_POLL: Final = hasattr(select, "poll")


def is_stale(end: socket.socket) -> bool:
    """Whether the socket of an idle connection was closed by the server, or has data that nobody asked for."""
    if not _CAN_POLL:
        return False
    number = end.fileno()
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, select.POLLIN)
    try:
        return bool(poll.poll(0))
    except OSError:  # the limit of open files was lowered: a connection that is already open can still be used
        return False


class Pool:
    """Connections of one client of redis-py. Threads may share it; the caller limits how many use it at a time.

    Args:
        client: Makes the connections; they are not those of its own pool.

    Attributes:
        client: For everything but calls.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self.client = client
        self._idle: deque[Any] = deque()
        self._closed = False

    def ask(self, commands: bytes, number: int) -> list[Any]:
        """Send commands and return their answers, in order; an error answer is returned, not raised.

        Args:
            commands: The packed commands.
            number: How many commands they are.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        connection = self._connected()
        try:
            connection.send_packed_command((commands,))
            answers = read_answers(connection, number)
        except BaseException:
            self.drop(connection)
            raise
        self.keep(connection)
        return answers

    def send(self, commands: bytes, number: int) -> "Exchange":
        """Send commands without waiting for their answers; see `ask`.

        Every exchange must end with `Exchange.answers` or `Exchange.abandon`.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        connection = self._connected()
        try:
            connection.send_packed_command((commands,))
        except BaseException:
            self.drop(connection)
            raise
        return Exchange(self, connection, number)

    def info(self) -> dict[str, Any]:
        """Return the server's answer to INFO.

        Raises:
            RedisError: The connection failed, or the server refused.
        """
        connection = self._connected()
        try:
            connection.send_command("INFO")
            answer: dict[str, Any] = self.client.parse_response(connection, "INFO")
        except BaseException:
            self.drop(connection)
            raise
        self.keep(connection)
        return answer

    def close_idle(self) -> None:
        """Close all connections that are not in use, also those of the client; later calls open new ones."""
        self.client.connection_pool.disconnect(inuse_connections=False)
        self._close_idle()

    def close(self) -> None:
        """Close all connections and those of the client. One that is in use is closed once its answers are read."""
        self._closed = True
        self._close_idle()
        self.client.close()

    def keep(self, connection: Any) -> None:
        """Take a connection back on which all answers were read."""
        self._idle.append(connection)
        if self._closed:  # only now, so that either this thread or the one that closes finds the connection
            self._close_idle()

    def drop(self, connection: Any) -> None:
        """Take a connection back that must not be used as it is: it connects again when it is used."""
        connection.disconnect()
        self._idle.append(connection)

    def _close_idle(self) -> None:
        for _ in range(len(self._idle)):
            with suppress(IndexError):
                self.drop(self._idle.popleft())

    def _connected(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            end = connection._sock  # noqa: SLF001 - redis-py has no public name for it
            if end is not None and is_stale(end):
                connection.disconnect()
                end = None
            if end is None:
                connection.connect()
                # What a server says that refuses a client after the handshake of TLS; to write would fail without it.
                connection.can_read()
        except BaseException:
            self.drop(connection)
            raise
        return connection


@define
class Exchange:
    """Commands that were sent, and whose answers were not read yet.

    Attributes:
        pool: The connections.
    """

    pool: Pool
    _connection: Any
    _number: int

    def answers(self) -> list[Any]:
        """Wait for the answers and return them, in order; an error answer is returned, not raised.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        try:
            answers = read_answers(self._connection, self._number)
        except BaseException:
            self.pool.drop(self._connection)
            raise
        self.pool.keep(self._connection)
        return answers

    def abandon(self) -> None:
        """Close the connection without reading the answers. The commands may have been run."""
        self.pool.drop(self._connection)


@frozen
class Sent(Generic[E]):
    """Calls whose answers were not read yet.

    Attributes:
        packet: The calls, as they were sent.
        exchange: The connection that will have the answers; None if they could not be sent.
        error: Why they could not be sent.
    """

    packet: Packet
    exchange: E | None
    error: RedisError | None = None


def last_of(answers: list[Any]) -> Any:
    """Return the last of several answers.

    Raises:
        RedisError: The first of them that is an error.
    """
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
    return answers[-1]
