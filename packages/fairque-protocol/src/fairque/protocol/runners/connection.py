"""What both runners share and no I/O: connection options, and the check of the server."""

import inspect
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis.asyncio.retry
import redis.connection
import redis.retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError

from fairque.protocol.config import RedisSection, mask_url
from fairque.protocol.config.address import Address, read_address
from fairque.protocol.errors import ConfigurationError, ServerUnsuitable
from fairque.protocol.runners.checks import MUSTS, findings_of
from fairque.protocol.runners.forks import dropped_by_forks
from fairque.protocol.wire.call import Argument, Call
from fairque.protocol.wire.scripts import script

__all__ = [
    "CONCURRENT_CALLS",
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

#: Seconds of silence after which the kernel asks whether the other side is still there, between two such questions,
#: and how many of them remain without an answer before it gives up; where the system lets a program say so.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


#: No name of a library: redis-py would read its version from a file for each connection, which fails when no more files
#: can be opened, and would tell it in two round trips.
_NAMELESS: dict[str, None] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(redis.connection.AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)


def options(settings: RedisSection, address: Address) -> dict[str, Any]:
    """Return the keyword arguments of a connection of redis-py: all that matters, and nothing of the URL unread.

    Time limits always, keepalive where there is one, and of a server with TLS the certificate must be for its host.
    """
    given: dict[str, Any] = {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "client_name": address.client_name,
        "socket_timeout": settings.socket_timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "health_check_interval": 30,
        # Not the defaults of every redis-py that may be installed. The second version needs no handshake, which old
        # proxies do not know, and answers in the form that the calls read.
        "protocol": 2,
        "decode_responses": False,
        **_NAMELESS,
    }
    if address.path:
        return {**given, "path": address.path}
    keepalive = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
    given |= {"host": address.host, "port": address.port}
    given |= {"socket_keepalive": True, "socket_keepalive_options": keepalive}
    return {**given, **_tls_options(address)} if address.tls else given


def _tls_options(address: Address) -> dict[str, Any]:
    trusting = address.tls_options.get("ssl_cert_reqs") == "none"
    # Of a certificate that nobody looks at, the name is not looked at either.
    return {"ssl_cert_reqs": "required", **address.tls_options} | {
        "ssl_check_hostname": not trusting and address.tls_options.get("ssl_check_hostname", True)
    }


def _check_tls(given: Mapping[str, Any]) -> None:
    """See that the files that a TLS connection needs can be read: a client would call that a server without answer.

    Raises:
        ValueError: One cannot be used.
    """
    steps: dict[str, Callable[[ssl.SSLContext], object]] = {
        "ssl_ca_certs": lambda context: context.load_verify_locations(cafile=given["ssl_ca_certs"]),
        "ssl_ca_path": lambda _: list(Path(given["ssl_ca_path"]).iterdir()),
        # Without a password at all, OpenSSL would ask for it on the terminal.
        "ssl_certfile": lambda context: context.load_cert_chain(
            given["ssl_certfile"], given.get("ssl_keyfile"), given.get("ssl_password", "")
        ),
        "ssl_ciphers": lambda context: context.set_ciphers(given["ssl_ciphers"]),
    }
    for name, step in steps.items():
        if name in given:
            try:
                step(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            except (OSError, ValueError) as error:
                raise ValueError(f"{name} cannot be used: {error}") from None


def command(call: Call[Any]) -> tuple[Argument, ...]:
    """Return the command that runs a call by the hash of its script."""
    return ("EVALSHA", script(call.script).sha, 1, call.keys.meta, *call.args)


def script_text(call: Call[Any]) -> str:
    """Return the source that SCRIPT LOAD takes when the server does not know the script of a call."""
    return script(call.script).text


def client_of(library: Any, settings: RedisSection, url: str, retry: object, **more: object) -> Any:
    """Return a client of redis-py that has not connected yet.

    Args:
        library: The module whose client it is: `redis` or `redis.asyncio`.
        settings: Its time limits, and the address to tell of.
        url: The address of the server itself.
        retry: The policy of `no_retry` or `no_retry_async`.
        **more: Other arguments of its connections, which win.

    Raises:
        ConfigurationError: The address cannot be used, or a file that it names.
    """
    try:
        address = read_address(url)
        given = options(settings, address)
        if address.tls:
            _check_tls(address.tls_options)
        kind = _kind(library, address)
        # Made once for nothing: an older redis-py may lack an option of TLS, and would say so at the first call.
        kind(**given)
    except TypeError as error:
        problem = f"the redis-py that is installed lacks an option: {error}. Upgrade it"
        raise ConfigurationError([f"redis.url {mask_url(settings.url)!r}: {problem}"]) from None
    except ValueError as error:
        raise ConfigurationError([f"redis.url {mask_url(settings.url)!r}: {error}"]) from None
    pool = library.ConnectionPool(connection_class=dropped_by_forks(kind), retry=retry, **{**given, **more})
    return library.Redis.from_pool(pool)


def _kind(library: Any, address: Address) -> Any:
    kinds = library.connection
    if address.path:
        return kinds.UnixDomainSocketConnection
    return kinds.SSLConnection if address.tls else kinds.Connection


def check_server(info: Mapping[str, Any], settings: RedisSection) -> None:
    """Refuse a server that must not hold a queue.

    Args:
        info: Its answer to INFO.
        settings: With ``allow_eviction``, eviction is the operator's own risk.

    Raises:
        ServerUnsuitable: It is a Sentinel, too old, or may evict keys; the error says what to do.
        ReadOnlyError: It is a replica, which may be the primary again soon.
    """
    for one in findings_of(info, settings, MUSTS):
        if one.severity != "error":
            continue
        if one.check == "role":
            raise ReadOnlyError(one.what)
        raise ServerUnsuitable(
            f"the server at {mask_url(settings.url)}: {one.what}, so {one.why}. What to do: {one.fix}"
        )


def no_retry_async() -> redis.asyncio.retry.Retry:
    """Return the same as `no_retry` for the asynchronous client."""
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def no_retry() -> redis.retry.Retry:
    """Return the policy that leaves retries to `Attempts`."""
    return redis.retry.Retry(NoBackoff(), 0)
