"""Reads the answers to commands from connections of redis-py: with hiredis if it is installed, else by `Replies`."""

import asyncio
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import HIREDIS_AVAILABLE

from fairque.protocol.clock import monotonic
from fairque.protocol.runners.redis_private import error_parser_of, reader_of, socket_of
from fairque.protocol.runners.replies import Incomplete, Replies

__all__ = ["read_answers", "read_answers_async"]

_BYTES: Final = 131_072
_CLOSED: Final = "Connection closed by server."


def read_answers(connection: Any, number: int) -> list[Any]:
    """Return the answers to so many commands, in order; an error answer is returned, not raised.

    Raises:
        RedisError: The connection failed, or must not be used again.
    """
    if HIREDIS_AVAILABLE:
        return [_answer(connection) for _ in range(number)]
    replies = Replies(error_parser_of(connection))
    answers: list[Any] = []
    while len(answers) < number:
        try:
            answers.append(_checked(replies.take()))
        except Incomplete:
            replies.feed(_received(connection))
    _note_use(connection, monotonic())
    return answers


async def read_answers_async(connection: Any, number: int) -> list[Any]:
    """Return the answers to commands on an asynchronous connection; see `read_answers`."""
    if HIREDIS_AVAILABLE:
        return [await _answer_async(connection) for _ in range(number)]
    replies = Replies(error_parser_of(connection))
    answers: list[Any] = []
    while len(answers) < number:
        try:
            answers.append(_checked(replies.take()))
        except Incomplete:
            replies.feed(await _received_async(connection))
    _note_use(connection, asyncio.get_running_loop().time())
    return answers


def _received(connection: Any) -> bytes:
    """Wait for bytes and return them. Errors have the types and texts of redis-py."""
    sock = socket_of(connection)
    try:
        data: bytes = sock.recv(_BYTES) if sock is not None else b""
    except TimeoutError:
        raise RedisTimeoutError("Timeout reading from socket") from None
    except OSError as error:
        raise RedisConnectionError(f"Error while reading from socket: {error.args}") from error
    if not data:
        raise RedisConnectionError(_CLOSED)
    return data


async def _received_async(connection: Any) -> bytes:
    reader = reader_of(connection)
    try:
        async with asyncio.timeout(connection.socket_timeout):
            data: bytes = await reader.read(_BYTES) if reader is not None else b""
    except TimeoutError:
        raise RedisTimeoutError("Timeout reading from socket") from None
    except OSError as error:
        raise RedisConnectionError(f"Error while reading from socket: {error.args}") from error
    if not data:
        raise RedisConnectionError(_CLOSED)
    return data


def _checked(answer: Any) -> Any:
    # As in redis-py: after such an answer, for example while the server loads its data, the connection is closed.
    if isinstance(answer, RedisConnectionError):
        raise answer
    return answer


def _note_use(connection: Any, now: float) -> None:
    """Note that a connection was used now: only one that was not is checked by a PING before its next use."""
    if connection.health_check_interval:
        connection.next_health_check = now + connection.health_check_interval


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


async def _answer_async(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
