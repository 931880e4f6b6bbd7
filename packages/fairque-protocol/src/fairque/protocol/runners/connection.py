"""What both runners share and no I/O: connection options, the check of the server, errors, and when to try again."""

import random
import re
from collections.abc import Mapping
from typing import Any

import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff
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

from fairque.protocol.config import RedisSettings, mask_url
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    ProtocolError,
    QueueFull,
    RedisUnavailable,
    ServerUnsuitable,
)
from fairque.protocol.wire.call import Argument, Call
from fairque.protocol.wire.scripts import script

__all__ = [
    "CONCURRENT_CALLS",
    "INFO",
    "Attempts",
    "check_server",
    "client_of",
    "command",
    "no_retry",
    "no_retry_async",
    "options",
    "script_text",
    "translated",
]

#: Calls of one runner at a time; others wait their turn. A pool holds 100 connections and refuses the next; the rest
#: is for subscriptions.
CONCURRENT_CALLS = 64

#: Sections of INFO that `check_server` reads.
INFO = ("server", "memory")

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
_PASSING = ("BUSY ", "MISCONF ", "NOREPLICAS ")

#: What is in an answer that is an error of a script, and not of the server.
_OF_SCRIPT = " script: "

#: What a server says, in small letters, of a database that it does not have.
_NO_DATABASE = "db index is out of range"

#: How Python tells of a parameter of the address that redis-py does not have.
_UNKNOWN_PARAMETER = re.compile(r"unexpected keyword argument ('.+')")

#: Oldest servers with what the scripts need: flags on scripts, and replication of their effects.
_OLDEST = {"redis": (7, 0), "valkey": (7, 2)}


def options(settings: RedisSettings, url: str) -> dict[str, Any]:
    """Return the keyword arguments of a redis-py client for a URL: time limits always, keepalive where there is one."""
    limits: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout_seconds,
        "socket_connect_timeout": settings.connect_timeout_seconds,
        "health_check_interval": 30,
    }
    return limits if url.startswith("unix:") else {**limits, "socket_keepalive": True}


def command(call: Call[Any]) -> tuple[Argument, ...]:
    """Return the command that runs a call by the hash of its script."""
    return ("EVALSHA", script(call.script).sha, 1, call.keys.meta, *call.args)


def script_text(call: Call[Any]) -> str:
    """Return the source that SCRIPT LOAD takes when the server does not know the script of a call."""
    return script(call.script).text


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
        retryable = isinstance(error, _RETRYABLE) and not isinstance(error, _FINAL)
        if not retryable or self._made > self._settings.retries:
            raise translated(error, self._settings) from error
        return random.uniform(0, min(1.0, 0.05 * 4**self._made))  # noqa: S311 - jitter is no secret


def translated(error: RedisError, settings: RedisSettings) -> FairqueError:
    """Return what an error of redis-py means: nothing above the runners sees those."""
    return _translated(_inner(error), settings)


def _inner(error: RedisError) -> RedisError:
    # redis.asyncio hides in a ConnectionError what the server answers while connecting, a refused password too.
    return error.__cause__ if isinstance(error.__cause__, RedisError) else error


def _translated(error: RedisError, settings: RedisSettings) -> FairqueError:
    where = mask_url(settings.url)
    if isinstance(error, OutOfMemoryError):
        return QueueFull("the Redis server is out of memory (maxmemory): nothing was stored", 1.0)
    if isinstance(error, AuthenticationError):
        return RedisUnavailable(f"Redis at {where} refused the user or password: {error}")
    if isinstance(error, NoPermissionError):
        return ServerUnsuitable(f"the user at Redis {where} may not do this: {error}. Grant it by the server's ACL")
    if isinstance(error, NoScriptError) or str(error).startswith(_PASSING):
        return RedisUnavailable(f"Redis at {where} cannot do this now: {error}")
    if isinstance(error, _RETRYABLE):
        return RedisUnavailable(
            f"Redis at {where} does not answer: {error}. Is it running, and is the address right? "
            "(FAIRQUE__REDIS__URL, --url or redis.url in the configuration)"
        )
    if _NO_DATABASE in str(error).lower():
        problem = f"redis.url {where!r}: the server has no database number {_database(settings.url)}"
        return ConfigurationError([f"{problem}. The first is 0; CONFIG GET databases says how many there are"])
    if isinstance(error, DataError) or _OF_SCRIPT in str(error):
        return ProtocolError(f"a script failed at Redis {where}: {error}")
    return ServerUnsuitable(f"Redis at {where} answered with an error: {error}")


def _database(url: str) -> int:
    return int(parse_url(url).get("db", 0))


def client_of(kind: Any, settings: RedisSettings, url: str, retry: object, **more: object) -> Any:
    """Return a client of redis-py that has not connected yet.

    Args:
        kind: Its class, with or without asyncio.
        settings: Its time limits, and the address to tell of.
        url: The address of the server itself.
        retry: The policy of `no_retry` or `no_retry_async`.
        **more: Other arguments, which win.

    Raises:
        ConfigurationError: The address cannot be read, or has a parameter that there is none of.
    """
    try:
        client = kind.from_url(url, retry=retry, **{**options(settings, url), **more})
        # redis-py looks at the parameters when it makes the first connection only; made here, it is thrown away.
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, AttributeError, RedisError) as error:
        unknown = _UNKNOWN_PARAMETER.search(str(error))
        why = f"there is no parameter {unknown[1]}" if unknown else error
        raise ConfigurationError(
            [f"redis.url {mask_url(settings.url)!r} is no address of a Redis server: {why}"]
        ) from None
    return client


def check_server(info: Mapping[str, Any], settings: RedisSettings) -> None:
    """Refuse a server that must not hold a queue.

    Args:
        info: Its answer to INFO server memory.
        settings: With ``allow_eviction``, eviction is the operator's own risk.

    Raises:
        ServerUnsuitable: It is too old, or it may evict keys; the error says the command that mends it.
    """
    kind = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{kind}_version", "0"))
    oldest = _OLDEST[kind]
    if _numbers(version) < oldest:
        raise ServerUnsuitable(
            f"{kind} {version} at {mask_url(settings.url)} is too old: fairque needs Redis 7.0 or Valkey 7.2 at least"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and not settings.allow_eviction:
        raise ServerUnsuitable(
            f"the server at {mask_url(settings.url)} may evict keys (maxmemory-policy {policy}), so tasks can vanish. "
            "Mend it with: CONFIG SET maxmemory-policy noeviction (and in its configuration file), "
            "or set redis.allow_eviction: true and accept the loss"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def no_retry_async() -> redis.asyncio.retry.Retry:
    """Return the same as `no_retry` for the asynchronous client."""
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def no_retry() -> redis.retry.Retry:
    """Return the policy that leaves retries to `Attempts`."""
    return redis.retry.Retry(NoBackoff(), 0)
