"""What errors of a server mean, when a call may be sent again, and when a silent connection is dead; no I/O."""

import random

from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    DataError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fairque.protocol.clock import monotonic
from fairque.protocol.config import RedisSettings, mask_url
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    ProtocolError,
    QueueFull,
    RedisUnavailable,
    ServerUnsuitable,
)

__all__ = ["Attempts", "NoAnswer", "Silence", "denied", "replaced", "translated"]

_RETRYABLE = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    # The server was made to forget its scripts again, just after it had got this one.
    NoScriptError,
    ReadOnlyError,
    TryAgainError,
)
_FINAL = (AuthenticationError, NoPermissionError)

#: How an answer begins when the server cannot do now what it is asked: nothing is wrong with the call.
_PASSING = ("BUSY ", "MISCONF ", "NOREPLICAS ", "UNBLOCKED ")

#: What is said by a server that is no longer the one that the address should lead to, after a failover.
_REPLACED = (ReadOnlyError, MasterDownError)

#: In an error of the connection when no further try can help: the server is not who it should be.
_NOT_TRUSTED = "CERTIFICATE_VERIFY_FAILED"

#: What is in an answer that is an error of a script, and not of the server.
_OF_SCRIPT = " script: "

#: What is in an answer when the user of the connection may not do what a script does.
_DENIED_IN_SCRIPT = "The user executing the script can't"

#: What a server says, in small letters, of a database that it does not have.
_NO_DATABASE = "db index is out of range"


class Attempts:
    """Counts the attempts of one idempotent call and says how long to wait before the next."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._made = 0

    def pause_seconds(self, error: RedisError) -> float:
        """Return the jittered pause before the next attempt.

        Raises:
            FairqueError: There is no next attempt; the error says what stands in the way.
        """
        self._made += 1
        error = _inner(error)
        if not _may_pass(error) or self._made > self._settings.retries:
            raise translated(error, self._settings) from error
        return random.uniform(0, min(1.0, 0.05 * 4**self._made))  # noqa: S311 - jitter is no secret


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
    error = _inner(error)
    return isinstance(error, NoPermissionError) or _DENIED_IN_SCRIPT in str(error)


def replaced(error: RedisError) -> bool:
    """Whether connections that are open lead to a server that others have replaced: only new ones can find those."""
    return isinstance(_inner(error), _REPLACED)


def translated(error: RedisError, settings: RedisSettings) -> FairqueError:
    """Return what an error of redis-py means: nothing above the runners sees those."""
    return _translated(_inner(error), settings)


def _inner(error: RedisError) -> RedisError:
    # redis.asyncio hides in a ConnectionError what the server answers while connecting, a refused password too.
    while isinstance(error.__cause__, RedisError):
        error = error.__cause__
    return error


def _may_pass(error: RedisError) -> bool:
    if isinstance(error, _FINAL) or _NOT_TRUSTED in str(error):
        return False
    return isinstance(error, _RETRYABLE) or str(error).startswith(_PASSING)


def _translated(error: RedisError, settings: RedisSettings) -> FairqueError:
    where = mask_url(settings.url)
    if isinstance(error, OutOfMemoryError):
        return QueueFull("the Redis server is out of memory (maxmemory): nothing was stored", 1.0)
    if denied(error):
        mend = "Grant it by the server's ACL (fairque-worker doctor says what a worker lacks), or be a user who may"
        return ServerUnsuitable(f"the user at Redis {where} may not do this: {str(error).rstrip('.')}. {mend}")
    if why := _why_unavailable(error):
        return RedisUnavailable(f"Redis at {where} {why}")
    if _NO_DATABASE in str(error).lower():
        problem = f"redis.url {where!r}: the server has no database number {_database(settings.url)}"
        return ConfigurationError([f"{problem}. The first is 0; CONFIG GET databases says how many there are"])
    if isinstance(error, DataError) or _OF_SCRIPT in str(error):
        return ProtocolError(f"a script failed at Redis {where}: {error}")
    return ServerUnsuitable(f"Redis at {where} answered with an error: {error}")


def _why_unavailable(error: RedisError) -> str:
    if isinstance(error, AuthenticationError):
        return f"refused the user or password: {error}"
    if isinstance(error, NoScriptError) or str(error).startswith(_PASSING):
        return f"cannot do this now: {error}"
    if _NOT_TRUSTED in str(error):
        return (
            f"is not trusted: {error}. Its certificate must be signed by an authority that is known here "
            "(?ssl_ca_certs=FILE in the address) and be made out to the host in the address"
        )
    if isinstance(error, _RETRYABLE):
        return (
            f"does not answer: {str(error).rstrip('.')}. Is it running, and is the address right? "
            "(FAIRQUE__REDIS__URL, --url or redis.url in the configuration)"
        )
    return ""


def _database(url: str) -> int:
    return int(parse_url(url).get("db", 0))
