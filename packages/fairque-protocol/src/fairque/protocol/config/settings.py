"""The settings that every fairque process shares: the server and the queue."""

from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import in_

from fairque.protocol.config.address import embedded_folder, read_address
from fairque.protocol.config.masking import mask_url
from fairque.protocol.config.seconds import Seconds, seconds
from fairque.protocol.config.validators import at_least, between, boolean, duration, matches, positive
from fairque.protocol.limits import QUEUE_NAME

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["MESSAGE_LIMIT_MAX", "LogSection", "QueueSection", "RedisSection"]

MESSAGE_LIMIT_MAX = 1_048_576
"""Bytes: no queue takes a larger message, whatever its settings say."""


def _usable_url(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    # The messages never show the URL: its password would reach a log.
    try:
        if isinstance(value, str) and value.startswith("embedded://") and not any(map(str.isspace, value)):
            embedded_folder(value)
        else:
            read_address(value)
    except ValueError as error:
        raise ValueError(f"{attribute.name}: {error}") from None


def _shown_url(url: str) -> str:
    return repr(mask_url(url))


@frozen(kw_only=True)
class RedisSection:
    """How to reach the Redis or Valkey server. The representation masks the password.

    Attributes:
        url: Address: ``redis://``, ``rediss://`` (TLS) or ``unix://``; or a server of its own, ``embedded:///folder``
            for all processes that name the folder, ``embedded://`` in memory for this one alone. Its parameters are
            those of `fairque.protocol.config.address.PARAMETERS`; all others are refused.
        connect_timeout: How long to wait for a connection.
        socket_timeout: How long to wait for an answer.
        retries: Further tries after a lost connection; every fairque call is safe to repeat.
        allow_eviction: Accept a server whose memory policy may drop tasks.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    url: str = field(default="redis://localhost:6379/0", validator=_usable_url, repr=_shown_url)
    socket_timeout: Seconds = field(default=5.0, converter=seconds, validator=positive)
    connect_timeout: Seconds = field(default=5.0, converter=seconds, validator=positive)
    retries: int = field(default=3, validator=at_least(0))
    allow_eviction: bool = field(default=False, validator=boolean)


@frozen(kw_only=True)
class QueueSection:
    """One queue and the limits that all its producers and workers keep.

    Attributes:
        name: Name of the queue: letters, digits and ``_ . @ -``, at most 64.
        message_limit: Bytes of one encoded task, at most ``MESSAGE_LIMIT_MAX``.
        input_limit: Bytes of all that one task takes from others; a worker holds as much for each task at a time.
        result_ttl: How long the record of an ended task is kept.
        dead_letter_ttl: How long a dead letter is kept.
        max_lost_workers: How many workers a task may lose before it is a dead letter.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    name: str = field(
        default="default",
        validator=matches(QUEUE_NAME, "1 to 64 ASCII letters, digits or the signs _ . @ -"),
    )
    message_limit: int = field(default=262_144, validator=between(1, MESSAGE_LIMIT_MAX))
    input_limit: int = field(default=67_108_864, validator=at_least(1))
    result_ttl: Seconds = field(default=86_400.0, converter=seconds, validator=duration)
    dead_letter_ttl: Seconds = field(default=1_209_600.0, converter=seconds, validator=duration)
    max_lost_workers: int = field(default=5, validator=at_least(1))


@frozen(kw_only=True)
class LogSection:
    """What the commands of the services write to standard error. A program of your own sets up logging itself.

    Attributes:
        level: Lowest level shown.
        format: Text for humans or JSON for machines; auto is text on a terminal.

    Raises:
        ValueError: A value is not one of the choices; the message names the field.
    """

    level: Literal["debug", "info", "warning", "error"] = field(
        default="info", validator=in_(("debug", "info", "warning", "error"))
    )
    format: Literal["auto", "text", "json"] = field(default="auto", validator=in_(("auto", "text", "json")))
