"""Calls that were sent, and the answers to them."""

from typing import Any, Generic, TypeVar

from attrs import frozen
from redis.exceptions import RedisError

from fairque.protocol.runners.packing import Packet

__all__ = ["Sent", "last_of"]

E = TypeVar("E")


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
