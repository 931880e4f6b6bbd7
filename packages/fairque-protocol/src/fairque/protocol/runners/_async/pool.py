"""The connections of a runner: packed commands are sent in one write, and their answers are read later or at once.

Connections are those of redis-py, with its authentication, TLS, timeouts and health checks; its pool and its commands
cost more than a short script does.
"""

from collections import deque
from contextlib import suppress
from typing import Any

from attrs import define

from fairque.protocol.runners._async.io import connect, disconnect, read_answers, write

__all__ = ["AsyncExchange", "AsyncPool"]


class AsyncPool:
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

    async def ask(self, commands: bytes, number: int) -> list[Any]:
        """Send commands and return their answers, in order; an error answer is returned, not raised.

        Args:
            commands: The packed commands.
            number: How many commands they are.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        connection = await self._take()
        try:
            await write(connection, commands)
            answers = await read_answers(connection, number)
        except BaseException:
            await self.drop(connection)
            raise
        await self.keep(connection)
        return answers

    async def send(self, commands: bytes, number: int) -> "AsyncExchange":
        """Send commands without waiting for their answers; see `ask`.

        Every exchange must end with `AsyncExchange.answers` or `AsyncExchange.abandon`.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        connection = await self._take()
        try:
            await write(connection, commands)
        except BaseException:
            await self.drop(connection)
            raise
        return AsyncExchange(self, connection, number)

    async def info(self) -> dict[str, Any]:
        """Return the server's answer to INFO.

        Raises:
            RedisError: The connection failed, or the server refused.
        """
        connection = await self._take()
        try:
            await connection.send_command("INFO")
            answer: dict[str, Any] = await self.client.parse_response(connection, "INFO")
        except BaseException:
            await self.drop(connection)
            raise
        await self.keep(connection)
        return answer

    async def close_idle(self) -> None:
        """Close all connections that are not in use, also those of the client; later calls open new ones."""
        await self.client.connection_pool.disconnect(inuse_connections=False)
        await self._close_idle()

    async def close(self) -> None:
        """Close all connections and those of the client. One that is in use is closed once its answers are read."""
        self._closed = True
        await self._close_idle()
        await self.client.aclose()

    async def keep(self, connection: Any) -> None:
        """Take a connection back on which all answers were read."""
        self._idle.append(connection)
        if self._closed:  # only now, so that either this caller or the one that closes finds the connection
            await self._close_idle()

    async def drop(self, connection: Any) -> None:
        """Take a connection back that must not be used as it is: it connects again when it is used."""
        try:
            await disconnect(connection)
        finally:
            self._idle.append(connection)

    async def _close_idle(self) -> None:
        for _ in range(len(self._idle)):
            with suppress(IndexError):
                await self.drop(self._idle.popleft())

    async def _take(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            await connect(connection)
        except BaseException:
            await self.drop(connection)
            raise
        return connection


@define
class AsyncExchange:
    """Commands that were sent, and whose answers were not read yet.

    Attributes:
        pool: The connections.
    """

    pool: AsyncPool
    _connection: Any
    _number: int

    async def answers(self) -> list[Any]:
        """Wait for the answers and return them, in order; an error answer is returned, not raised.

        Raises:
            RedisError: The connection failed. The commands may have been run.
        """
        try:
            answers = await read_answers(self._connection, self._number)
        except BaseException:
            await self.pool.drop(self._connection)
            raise
        await self.pool.keep(self._connection)
        return answers

    async def abandon(self) -> None:
        """Close the connection without reading the answers. The commands may have been run."""
        await self.pool.drop(self._connection)
