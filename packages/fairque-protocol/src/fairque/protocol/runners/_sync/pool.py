# Generated from _async/pool.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The connections of a runner: packed commands are sent in one write, and their answers are read later or at once.

Connections are those of redis-py, with its authentication, TLS, timeouts and health checks; its pool and its commands
cost more than a short script does.
"""

from collections import deque
from contextlib import suppress
from typing import Any

from attrs import define

from fairque.protocol.runners._sync.io import connect, disconnect, read_answers, write

__all__ = ["Exchange", "Pool"]


class Pool:
    """Connections of one client of redis-py, shared by all callers, who limit how many use it at a time.

    Args:
        client: Makes the connections; they are not those of its own pool.

    Attributes:
        client: For everything but calls.
    """

    def __init__(self, client: Any) -> None:
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
        connection = self._take()
        try:
            write(connection, commands)
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
        connection = self._take()
        try:
            write(connection, commands)
        except BaseException:
            self.drop(connection)
            raise
        return Exchange(self, connection, number)

    def info(self) -> dict[str, Any]:
        """Return the server's answer to INFO.

        Raises:
            RedisError: The connection failed, or the server refused.
        """
        connection = self._take()
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
        if self._closed:  # only now, so that either this caller or the one that closes finds the connection
            self._close_idle()

    def drop(self, connection: Any) -> None:
        """Take a connection back that must not be used as it is: it connects again when it is used."""
        try:
            disconnect(connection)
        finally:
            self._idle.append(connection)

    def _close_idle(self) -> None:
        for _ in range(len(self._idle)):
            with suppress(IndexError):
                self.drop(self._idle.popleft())

    def _take(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            connect(connection)
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
