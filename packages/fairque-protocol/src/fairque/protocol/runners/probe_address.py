"""Finds out what is at an address whose connections fail without an explanation, if it is not the expected server."""

import contextlib
import socket
import ssl
from typing import Final

from redis.exceptions import RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.config.address import Address, read_address
from fairque.protocol.runners.causes import cause_of
from fairque.protocol.runners.failures import unclear

__all__ = ["probe_address", "probe_if_unclear"]

_LONGEST_SECONDS: Final = 1.0
#: Seconds for a greeting: servers that refuse a connection send one, and so do most other protocols.
_GREETING_SECONDS: Final = 0.1
_SHOWN: Final = 60
_ALERT: Final = b"\x15\x03"


def probe_if_unclear(error: RedisError, settings: RedisSection) -> str:
    """Return what is at the address, for `Attempts`, if an error leaves that open."""
    return probe_address(settings) if unclear(error) else ""


def probe_address(settings: RedisSection) -> str:
    """Connect once, send a PING, and return what was found, as a text for `cause_of`.

    Returns:
        The text; empty if nothing is wrong with the server, or there is no connection.
    """
    if settings.url.startswith("embedded:"):
        return ""
    address = read_address(settings.url)
    if address.tls and (refusal := _certificate_refusal(address, settings)):
        return refusal
    try:
        received = _first_bytes(address, settings)
    except TimeoutError:
        return "FOUND mute" if address.tls or not _speaks_tls(address, settings) else "FOUND tls"
    except OSError:
        return ""
    return _describe(received, address, settings)


def _describe(received: bytes, address: Address, settings: RedisSection) -> str:
    line = received.partition(b"\r\n")[0].decode("ascii", "replace")
    if line.startswith(("+", "-")):
        if address.tls:
            return "FOUND plain"
        return line[1:] if line.startswith("-") and cause_of(line[1:]) else ""
    if received and not received.startswith(_ALERT):
        return f"FOUND other {line[:_SHOWN]!r}"
    if _speaks_tls(address, settings):
        return "" if address.tls else "FOUND tls"
    return "FOUND closed"


def _first_bytes(address: Address, settings: RedisSection) -> bytes:
    """Return the first bytes that are received; empty if the other side closes instead.

    Raises:
        TimeoutError: There is a connection, but nothing is received.
        OSError: There is no connection.
    """
    try:
        connection = _connect(address, settings)
    except TimeoutError as error:
        raise ConnectionError from error
    with connection:
        seconds = connection.gettimeout()
        try:
            connection.settimeout(_GREETING_SECONDS)
            with contextlib.suppress(TimeoutError):
                return connection.recv(1024)
            connection.settimeout(seconds)
            connection.sendall(b"PING\r\n")
            return connection.recv(1024)
        except ConnectionError:
            return b""


def _connect(address: Address, settings: RedisSection) -> socket.socket:
    seconds = min(_LONGEST_SECONDS, settings.connect_timeout)
    if address.path:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(seconds)
            connection.connect(address.path)
        except BaseException:
            connection.close()
            raise
    else:
        connection = socket.create_connection((address.host, address.port), seconds)
    connection.settimeout(min(_LONGEST_SECONDS, settings.socket_timeout))
    return connection


def _certificate_refusal(address: Address, settings: RedisSection) -> str:
    """Return what the server says of the client's certificate; empty if it accepts it.

    In TLS 1.3 it says so only after the handshake. A connection that writes first may fail before it can read that.
    """
    options = address.tls_options
    context = _unverified()
    try:
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password") or "")
        with _connect(address, settings) as connection, context.wrap_socket(connection) as encrypted:
            encrypted.settimeout(_GREETING_SECONDS)
            encrypted.recv(1)
    except ssl.SSLError as error:
        text = f"TLS {error}"
        cause = cause_of(text)
        return text if cause is not None and cause.name == "certificate required" else ""
    except (OSError, ValueError):
        return ""
    return ""


def _unverified() -> ssl.SSLContext:
    # Nothing is sent to the server, so it does not matter whether it is trusted.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _speaks_tls(address: Address, settings: RedisSection) -> bool:
    try:
        with _connect(address, settings) as connection, _unverified().wrap_socket(connection):
            return True
    except (OSError, ValueError):
        return False
