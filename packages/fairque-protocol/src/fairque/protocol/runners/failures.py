"""Translates errors of a server, decides when to retry a call, and detects dead connections; no I/O."""

import random

from redis.exceptions import DataError, MasterDownError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fairque.protocol.clock import monotonic
from fairque.protocol.config import RedisSection, mask_url
from fairque.protocol.config.address import read_address
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    ProtocolError,
    QueueFull,
    RedisUnavailable,
    ServerUnsuitable,
)
from fairque.protocol.runners.causes import Cause, cause_of, code_and_text, text_of, unwrapped

__all__ = ["Attempts", "NoAnswer", "Silence", "denied", "replaced", "translated", "unclear"]

#: Errors of a server that is no longer the primary, after a failover.
_REPLACED = (ReadOnlyError, MasterDownError)

#: Part of the text of an error of a script, in contrast to one of the server.
_OF_SCRIPT = " script: "

#: Rows of the table after which `probe_address` may find out more about the address.
_UNCLEAR = ("connection lost", "no connection in time", "no answer in time", "unreadable answer", "TLS failed")


class Attempts:
    """Counts the attempts of one idempotent call, and computes the pause before the next."""

    def __init__(self, settings: RedisSection) -> None:
        self._settings = settings
        self._made = 0

    def is_last(self, error: RedisError) -> bool:
        """Whether there will be no further attempt after this error."""
        cause = cause_of(code_and_text(error))
        return cause is None or not cause.temporary or self._made >= self._settings.retries

    def pause_seconds(self, error: RedisError, found: str = "") -> float:
        """Return the jittered pause before the next attempt.

        Args:
            error: The error of this attempt.
            found: See `translated`.

        Raises:
            FairqueError: There is no next attempt; the error says why.
        """
        if self.is_last(error):
            raise translated(error, self._settings, found) from unwrapped(error)
        self._made += 1
        return random.uniform(0, min(1.0, 0.05 * 4**self._made))  # noqa: S311 - jitter is not a secret


class NoAnswer(RedisTimeoutError):
    """The server did not confirm a subscription in time."""

    def __init__(self) -> None:
        super().__init__("it did not answer in time")


class Silence:
    """Distinguishes a quiet channel from a dead connection: it requests pings.

    Args:
        seconds: How long silence may last before a ping, and how long the answer may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._asked_at: float | None = None

    def asks_after(self, message: object | None) -> bool:
        """Note the message of the last ``seconds``, if any, and return whether to send a ping now.

        Raises:
            NoAnswer: The ping was not answered in time.
        """
        if message is not None:
            self._asked_at = None
            return False
        if self._asked_at is None:
            self._asked_at = monotonic()
            return True
        # redis-py sends pings, too, and hides the answers: that ends a wait too early.
        if monotonic() - self._asked_at >= self.seconds:
            raise NoAnswer
        return False


def closed_error(settings: RedisSection) -> FairqueError:
    """Return the error of a call that finds its runner closed, before it was sent or when it was to be retried."""
    return FairqueError(
        f"the connections to Redis at {mask_url(settings.url)} are closed: close() was called before this call was "
        "answered. If it was sent before, it may have taken effect"
    )


def denied(error: RedisError) -> bool:
    """Whether the user of the connection lacks a right."""
    cause = cause_of(code_and_text(error))
    return cause is not None and cause.name == "NOPERM"


def replaced(error: RedisError) -> bool:
    """Whether open connections lead to a server that was replaced, so that only new ones can reach its successor."""
    return isinstance(unwrapped(error), _REPLACED)


def unclear(error: RedisError) -> bool:
    """Whether an error leaves open what is at the address, so that `probe_address` may find out."""
    cause = cause_of(code_and_text(error))
    return cause is not None and cause.name in _UNCLEAR


def translated(error: RedisError, settings: RedisSection, found: str = "") -> FairqueError:
    """Return the error of fairque for one of redis-py, which never leaves the runners.

    Args:
        error: The error.
        settings: The address, for the text.
        found: What `probe_address` found at the address, if the error is `unclear`.
    """
    error = unwrapped(error)
    answer = found or code_and_text(error)
    cause = cause_of(answer)
    where = mask_url(settings.url)
    if cause is not None:
        what = cause.what.replace("{database}", _database(settings.url))
        return _error_of(cause, f"Redis at {where} {what}", answer.removeprefix("FOUND ") if found else text_of(error))
    if isinstance(error, DataError) or _OF_SCRIPT in str(error):
        return ProtocolError(f"a script failed at Redis {where}: {text_of(error)}")
    return ServerUnsuitable(f"Redis at {where} answered with an error: {text_of(error)}")


def _error_of(cause: Cause, what: str, answer: str) -> FairqueError:
    quote = f": {' '.join(answer.split()).rstrip('.')}" if cause.quoted else ""
    text = f"{what}{quote}. {cause.fix}"
    if cause.kind is QueueFull:
        return QueueFull(text, 1.0, "server")
    if cause.kind is ConfigurationError:
        return ConfigurationError([text])
    if cause.kind is RedisUnavailable:
        return RedisUnavailable(text, temporary=cause.temporary)
    if cause.kind is ServerUnsuitable:
        return ServerUnsuitable(text, denied=cause.name == "NOPERM")
    return cause.kind(text)


def _database(url: str) -> str:
    return "" if url.startswith("embedded:") else str(read_address(url).database)
