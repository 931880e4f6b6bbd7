"""What the asynchronous runner does in its own way; the module of this name in `_sync` is the synchronous way."""

import asyncio
from typing import Any, Final

import redis.asyncio as library
import redis.exceptions
from redis.exceptions import RedisError

from fairque.protocol.clock import timeout
from fairque.protocol.config import RedisSection
from fairque.protocol.embedded.urls import resolve_url
from fairque.protocol.runners.connection import no_retry_async as no_retry
from fairque.protocol.runners.failures import unclear
from fairque.protocol.runners.probe_address import probe_address
from fairque.protocol.runners.reading import read_answers_async as read_answers
from fairque.protocol.runners.redis_private import writer_of
from fairque.protocol.runners.stale import is_stale

__all__ = [
    "Lock",
    "Turns",
    "connect",
    "disconnect",
    "library",
    "no_retry",
    "probe_if_unclear",
    "read_answers",
    "resolve",
    "sleep",
    "write",
]

#: Commands up to this size are left to the transport; the others are waited for until they are written.
_SMALL_BYTES: Final = 65_536

Lock = asyncio.Lock
Turns = asyncio.Semaphore
sleep = asyncio.sleep


async def connect(connection: Any) -> None:
    """Connect a connection that is not connected, or no longer to a server.

    Raises:
        RedisError: The server does not answer, or refuses.
    """
    if connection.is_connected and is_stale(writer_of(connection).get_extra_info("socket")):
        await disconnect(connection)
    if not connection.is_connected:
        await connection.connect()
        # So that what was sent has left this process, even if the event loop does not run meanwhile.
        writer_of(connection).transport.set_write_buffer_limits(high=0)


async def disconnect(connection: Any) -> None:
    """Close a connection; it connects again when it is used."""
    writer = writer_of(connection)
    await connection.disconnect(nowait=True)
    if writer is not None:
        # TLS would wait for the server's farewell, and an event loop that ends meanwhile leave the socket open.
        writer.transport.abort()


async def write(connection: Any, commands: bytes) -> None:
    """Send commands.

    Raises:
        RedisError: The connection failed. The commands may be run.
    """
    await connection.check_health()
    writer = writer_of(connection)
    # Not by `writelines`, as redis-py does: on Python 3.12.1 and 3.13.0, `drain` does not wait after it.
    writer.write(commands)
    if len(commands) <= _SMALL_BYTES:
        return
    try:
        async with timeout(connection.socket_timeout):
            await writer.drain()
    except TimeoutError as error:
        raise redis.exceptions.TimeoutError("Timeout writing to socket") from error
    except OSError as error:
        raise redis.exceptions.ConnectionError(f"Error while writing to socket: {error}") from error


async def resolve(url: str) -> str:
    """Return the address of the server, which is started if it is an embedded one."""
    return await asyncio.to_thread(resolve_url, url)


async def probe_if_unclear(error: RedisError, settings: RedisSection) -> str:
    """Return what is at the address, if an error leaves that open; see `probe_address`."""
    return await asyncio.to_thread(probe_address, settings) if unclear(error) else ""
