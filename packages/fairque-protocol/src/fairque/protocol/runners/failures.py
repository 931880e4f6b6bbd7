"""What errors of a server mean, when a call may be sent again, and when a silent connection is dead; no I/O."""

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
from fairque.protocol.runners.causes import Cause, cause_of, inner, text_of, words_of

__all__ = ["Attempts", "NoAnswer", "Silence", "denied", "replaced", "translated", "unclear"]

#: What is said by a server that is no longer the one that the address should lead to, after a failover.
_REPLACED = (ReadOnlyError, MasterDownError)

#: What is in an answer that is an error of a script, and not of the server.
_OF_SCRIPT = " script: "

#: Rows of the table after which it is worth to see for oneself what is at the address.
_UNCLEAR = ("connection lost", "no connection in time", "no answer in time", "another protocol", "TLS failed")


class Attempts:
    """Counts the attempts of one idempotent call and says how long to wait before the next."""

    def __init__(self, settings: RedisSection) -> None:
        self._settings = settings
        self._made = 0

    def is_last(self, error: RedisError) -> bool:
        """Whether there will be no further attempt after this error."""
        cause = cause_of(words_of(error))
        return cause is None or not cause.passes or self._made >= self._settings.retries

    def pause_seconds(self, error: RedisError, seen: str = "") -> float:
        """Return the jittered pause before the next attempt.

        Args:
            error: What ended this one.
            seen: See `translated`.

        Raises:
            FairqueError: There is no next attempt; the error says what stands in the way.
        """
        if self.is_last(error):
            raise translated(error, self._settings, seen) from inner(error)
        self._made += 1
        return random.uniform(0, min(1.0, 0.05 * 4**self._made))  # noqa: S311 - jitter is not a secret


class NoAnswer(RedisTimeoutError):
    """The server did not confirm a subscription in time."""

    def __init__(self) -> None:
        super().__init__("it did not answer in time")


class Silence:
    """Tells a channel on which nothing is said from a connection that is dead: it has the other side asked.

    Args:
        seconds: How long silence may last before the other side is asked, and how long it may take to answer.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._asked_at: float | None = None

    def asks_after(self, message: object | None) -> bool:
        """Take down what came in the last ``seconds``, and say whether to ask now.

        Raises:
            NoAnswer: It was asked, and said nothing.
        """
        if message is not None:
            self._asked_at = None
            return False
        if self._asked_at is None:
            self._asked_at = monotonic()
            return True
        # redis-py asks now and then, too, and hides the answer: that ends a wait too early.
        if monotonic() - self._asked_at >= self.seconds:
            raise NoAnswer
        return False


def denied(error: RedisError) -> bool:
    """Whether the user of the connection may not do what was asked for."""
    cause = cause_of(words_of(error))
    return cause is not None and cause.name == "NOPERM"


def replaced(error: RedisError) -> bool:
    """Whether connections that are open lead to a server that others have replaced: only new ones can find those."""
    return isinstance(inner(error), _REPLACED)


def unclear(error: RedisError) -> bool:
    """Whether an error does not tell what is at the address, so that it is worth to look (`visit`)."""
    cause = cause_of(words_of(error))
    return cause is not None and cause.name in _UNCLEAR


def translated(error: RedisError, settings: RedisSection, seen: str = "") -> FairqueError:
    """Return what an error of redis-py means: nothing above the runners sees those.

    Args:
        error: The error.
        settings: The address to tell of.
        seen: What `visit` found at the address, where the error is `unclear`.
    """
    error = inner(error)
    answer = seen or words_of(error)
    cause = cause_of(answer)
    where = mask_url(settings.url)
    if cause is not None:
        what = cause.what.replace("{database}", _database(settings.url))
        return _told(cause, f"Redis at {where} {what}", answer.removeprefix("SEEN ") if seen else text_of(error))
    if isinstance(error, DataError) or _OF_SCRIPT in str(error):
        return ProtocolError(f"a script failed at Redis {where}: {text_of(error)}")
    return ServerUnsuitable(f"Redis at {where} answered with an error: {text_of(error)}")


def _told(cause: Cause, what: str, answer: str) -> FairqueError:
    said = f": {' '.join(answer.split()).rstrip('.')}" if cause.quoted else ""
    text = f"{what}{said}. {cause.fix}"
    if cause.kind is QueueFull:
        return QueueFull(text, 1.0, "server")
    if cause.kind is ConfigurationError:
        return ConfigurationError([text])
    if cause.kind is RedisUnavailable:
        return RedisUnavailable(text, passes=cause.passes)
    if cause.kind is ServerUnsuitable:
        return ServerUnsuitable(text, denied=cause.name == "NOPERM")
    return cause.kind(text)


def _database(url: str) -> str:
    return "" if url.startswith("embedded:") else str(read_address(url).database)
