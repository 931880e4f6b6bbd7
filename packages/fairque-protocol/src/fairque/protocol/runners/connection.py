"""Shared by both runners, without I/O: connection options, and the check of the server."""

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
from fairque.protocol.forks import dropped_by_forks
from fairque.protocol.runners.checks import REQUIRED_CHECKS, findings_of
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

#: Most calls of one runner at a time; others wait. A pool has at most 100 connections, and refuses the next; the rest
#: is for subscriptions.
CONCURRENT_CALLS = 64

#: Keepalive of TCP: seconds of silence before the first probe, seconds between probes, and how many may remain without
#: an answer; on systems that support it.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


#: No library name: redis-py would read its version from a file for each connection, which fails when no more files can
#: be checked, and would send it in two round trips.
_NAMELESS: dict[str, None] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(redis.connection.AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)


def options(settings: RedisSection, address: Address) -> dict[str, Any]:
    """Return the keyword arguments of a connection of redis-py, so that redis-py does not read the URL itself.

    Timeouts are always set, keepalive if possible, and with TLS the certificate must be for the host.
    """
    given: dict[str, Any] = {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "client_name": address.client_name,
        "socket_timeout": settings.socket_timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "health_check_interval": 30,
        # The defaults differ between versions of redis-py. Protocol 2 needs no handshake, which old proxies do not
        # support, and its answers have the form that the calls decode.
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
    # If the certificate is not checked, its host name is not checked either.
    return {"ssl_cert_reqs": "required", **address.tls_options} | {
        "ssl_check_hostname": not trusting and address.tls_options.get("ssl_check_hostname", True)
    }


def _check_tls(given: Mapping[str, Any]) -> None:
    """Check that the files for TLS can be read: a client would report a failure as a server that does not answer.

    Raises:
        ValueError: One cannot be used.
    """
    steps: dict[str, Callable[[ssl.SSLContext], object]] = {
        "ssl_ca_certs": lambda context: context.load_verify_locations(cafile=given["ssl_ca_certs"]),
        "ssl_ca_path": lambda _: list(Path(given["ssl_ca_path"]).iterdir()),
        # Without a password OpenSSL would ask for one on the terminal.
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
    """Return the source of a call's script, for SCRIPT LOAD."""
    return script(call.script).text


def client_of(library: Any, settings: RedisSection, url: str, retry: object, **more: object) -> Any:
    """Return a client of redis-py that has not connected yet.

    Args:
        library: The module of the client: `redis` or `redis.asyncio`.
        settings: The timeouts, and the address for errors.
        url: The resolved address of the server.
        retry: The result of `no_retry` or `no_retry_async`.
        **more: Other arguments of its connections, which take precedence.

    Raises:
        ConfigurationError: The address, or a file that it names, cannot be used.
    """
    try:
        address = read_address(url)
        given = options(settings, address)
        if address.tls:
            _check_tls(address.tls_options)
        kind = _kind(library, address)
        # Created once as a check: an older redis-py may lack an option of TLS, and would only fail at the first call.
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
        info: The server's answer to INFO.
        settings: With ``allow_eviction``, a server that may evict keys is accepted.

    Raises:
        ServerUnsuitable: It is a Sentinel, too old, or may evict keys; the error says what to do.
        ReadOnlyError: It is a replica, which may be the primary again soon.
    """
    for finding in findings_of(info, settings, REQUIRED_CHECKS):
        if finding.severity != "error":
            continue
        if finding.check == "role":
            raise ReadOnlyError(finding.what)
        raise ServerUnsuitable(
            f"the server at {mask_url(settings.url)}: {finding.what}, so {finding.why}. What to do: {finding.fix}"
        )


def no_retry_async() -> redis.asyncio.retry.Retry:
    """Return the policy of `no_retry` for the asynchronous client."""
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def no_retry() -> redis.retry.Retry:
    """Return the policy that leaves retries to `Attempts`."""
    return redis.retry.Retry(NoBackoff(), 0)
