"""What both runners share and no I/O: connection options, and the check of the server."""

import re
import socket
from collections.abc import Mapping
from typing import Any

import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fairque.protocol.config import RedisSettings, mask_url
from fairque.protocol.doctor.server import MUSTS, findings_of
from fairque.protocol.errors import ConfigurationError, ServerUnsuitable
from fairque.protocol.runners.forks import dropped_by_forks

from fairque.protocol.wire.call import Argument, Call
from fairque.protocol.wire.scripts import script

__all__ = [
    "CONCURRENT_CALLS",
    "INFO",
    "check_server",
    "client_of",
    "command",
    "no_retry",
    "no_retry_async",
    "options",
    "script_text",
]

#: Calls of one runner at a time; others wait their turn. A pool holds 100 connections and refuses the next; the rest
#: is for subscriptions.
CONCURRENT_CALLS = 64

#: Sections of INFO that `check_server` reads.
INFO = ("server", "memory")

#: Seconds of silence after which the kernel asks whether the other side is still there, between two such questions,
#: and how many of them remain without an answer before it gives up; where the system lets a program say so.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

#: How Python tells of a parameter of the address that redis-py does not have.
_UNKNOWN_PARAMETER = re.compile(r"unexpected keyword argument ('.+')")


def options(settings: RedisSettings, url: str) -> dict[str, Any]:
    """Return the keyword arguments of a redis-py client for a URL.

    Time limits always, keepalive where there is one, and of a server with TLS the certificate must be for its host.
    """
    limits: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout_seconds,
        "socket_connect_timeout": settings.connect_timeout_seconds,
        "health_check_interval": 30,
    }
    if url.startswith("unix:"):
        return limits
    keepalive = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
    limits |= {"socket_keepalive": True, "socket_keepalive_options": keepalive}
    # Not the default of every redis-py that may be installed.
    return {**limits, "ssl_check_hostname": True} if url.startswith("rediss:") else limits


def command(call: Call[Any]) -> tuple[Argument, ...]:
    """Return the command that runs a call by the hash of its script."""
    return ("EVALSHA", script(call.script).sha, 1, call.keys.meta, *call.args)


def script_text(call: Call[Any]) -> str:
    """Return the source that SCRIPT LOAD takes when the server does not know the script of a call."""
    return script(call.script).text


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
        pool.connection_class = dropped_by_forks(pool.connection_class)
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
    for one in findings_of(info, settings, MUSTS):
        if one.severity == "error":
            raise ServerUnsuitable(
                f"the server at {mask_url(settings.url)}: {one.what}, so {one.why}. Mend it with: {one.mend}"
            )


def no_retry_async() -> redis.asyncio.retry.Retry:
    """Return the same as `no_retry` for the asynchronous client."""
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def no_retry() -> redis.retry.Retry:
    """Return the policy that leaves retries to `Attempts`."""
    return redis.retry.Retry(NoBackoff(), 0)
