"""The connections of an asynchronous runner; see `pool`."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from fairque.protocol.runners.pool import is_stale
from fairque.protocol.runners.reading import read_answers_async

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["AsyncExchange", "AsyncPool"]

#: Commands up to this size are left to the transport. To wait until larger ones are written, redis-py makes a task.
_SMALL_BYTES: Final = 65_536


class AsyncPool:
    """Connections of one asynchronous client of redis-py; see `Pool`."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self.client = client
        self._idle: deque[Any] = deque()
        self._closed = False

    async def ask(self, commands: bytes, number: int) -> list[Any]:
        """Send commands and return their answers; see `Pool.ask`."""
        connection = await self._connected()
        try:
            await self._send(connection, commands)
            answers = await read_answers_async(connection, number)
        except BaseException:
            await self.drop(connection)
            raise
        await self.keep(connection)
        return answers

    async def send(self, commands: bytes, number: int) -> "AsyncExchange":
        """Send commands without waiting for their answers; see `Pool.send`."""
        connection = await self._connected()
        try:
            await self._send(connection, commands)
        except BaseException:
            await self.drop(connection)
            raise
        return AsyncExchange(self, connection, number)

    async def info(self) -> dict[str, Any]:
        """Return the server's answer to INFO; see `Pool.info`."""
        connection = await self._connected()
        try:
            await connection.send_command("INFO")
            answer: dict[str, Any] = await self.client.parse_response(connection, "INFO")
        except BaseException:
            await self.drop(connection)
            raise
        await self.keep(connection)
        return answer

    async def close_idle(self) -> None:
        """Close all connections that are not in use; see `Pool.close_idle`."""
        await self.client.connection_pool.disconnect(inuse_connections=False)
        await self._close_idle()

    async def close(self) -> None:
        """Close all connections; see `Pool.close`."""
        self._closed = True
        await self._close_idle()
        await self.client.aclose()

    async def keep(self, connection: Any) -> None:
        """Take a connection back on which all answers were read."""
        self._idle.append(connection)
        if self._closed:
            await self._close_idle()

    async def drop(self, connection: Any) -> None:
        """Take a connection back that must not be used as it is: it connects again when it is used."""
        self._idle.append(connection)
        await connection.disconnect(nowait=True)

    async def _close_idle(self) -> None:
        for connection in [self._idle.popleft() for _ in range(len(self._idle))]:
            await self.drop(connection)

    @staticmethod
    async def _send(connection: Any, commands: bytes) -> None:
        await connection.check_health()
        if len(commands) > _SMALL_BYTES:
            await connection.send_packed_command(commands, check_health=False)
        else:
            connection._writer.write(commands)  # noqa: SLF001 - redis-py has no public name for it

    async def _connected(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            if connection.is_connected and is_stale(connection._writer.get_extra_info("socket")):  # noqa: SLF001 - as above
                await connection.disconnect(nowait=True)
            if not connection.is_connected:
                await connection.connect()
                # So that what was sent has left this process, even if the event loop does not run meanwhile.
                connection._writer.transport.set_write_buffer_limits(high=0)  # noqa: SLF001 - as above
        except BaseException:
            await self.drop(connection)
            raise
        return connection


@define
class AsyncExchange:
    """Commands that were sent, and whose answers were not read yet; see `Exchange`.

    Attributes:
        pool: The connections.
    """

    pool: AsyncPool
    _connection: Any
    _number: int

    async def answers(self) -> list[Any]:
        """Wait for the answers and return them; see `Exchange.answers`."""
        try:
            answers = await read_answers_async(self._connection, self._number)
        except BaseException:
            await self.pool.drop(self._connection)
            raise
        await self.pool.keep(self._connection)
        return answers

    async def abandon(self) -> None:
        """Close the connection without reading the answers; see `Exchange.abandon`."""
        await self.pool.drop(self._connection)
