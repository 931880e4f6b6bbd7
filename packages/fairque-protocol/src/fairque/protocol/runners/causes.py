"""The table of causes: what errors of a server or of the network mean, whether they are temporary, and how to fix them.

The README of this package shows the same table, and a test compares the two.
"""

import errno
import re
import socket
import ssl
from typing import Final

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ExecAbortError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fairque.protocol.errors import (
    ServerUnsuitable,
)
from fairque.protocol.runners.answers import ANSWERS, Cause

__all__ = ["CAUSES", "Cause", "cause_of", "code_and_text", "text_of", "unwrapped"]

_LONGEST_ANSWER: Final = 300
#: The part of the call that a server quotes when it does not know a command.
_ARGUMENTS: Final = re.compile(r",? with args beginning with:.*")
_ADDRESS: Final = "(FAIRQUE_REDIS_URL, --url or redis.url in the configuration)"

#: The first row whose pattern matches applies.
CAUSES: Final[tuple[Cause, ...]] = (
    *ANSWERS,
    # TLS.
    Cause(
        name="certificate has expired",
        pattern=r"certificate has expired|certificate is not yet valid",
        what="is not trusted: its certificate is out of date, or a clock is wrong",
        fix="Renew the certificate of the server; compare the clocks of both machines",
        temporary=False,
    ),
    Cause(
        name="certificate verify failed",
        pattern=r"CERTIFICATE_VERIFY_FAILED",
        what="is not trusted",
        fix="Its certificate must be signed by an authority that is known here (?ssl_ca_certs=FILE in the address) "
        "and be made out to the host in the address",
        temporary=False,
    ),
    Cause(
        name="certificate required",
        pattern=r"(?i)CERTIFICATE_REQUIRED|alert (unknown ca|bad certificate|handshake failure|certificate)"
        r"|ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|HANDSHAKE_FAILURE)|SSLV3_ALERT_CERTIFICATE",
        what="did not accept this client's certificate, or requires one",
        fix="Name a certificate that the server trusts (?ssl_certfile=FILE&ssl_keyfile=FILE in the address)",
        temporary=False,
    ),
    Cause(
        name="no TLS at this port",
        pattern=r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST"
        r"|UNEXPECTED_MESSAGE|^FOUND plain",
        what="does not use TLS on this port",
        fix=f"Write redis:// instead of rediss://, or use the server's TLS port (tls-port) {_ADDRESS}",
        temporary=False,
        quoted=False,
    ),
    Cause(
        name="TLS versions",
        pattern=r"(?i)PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|NO_SHARED_CIPHER|NO_CIPHERS",
        what="and this program have no version or cipher of TLS in common",
        fix="Compare tls-protocols and tls-ciphers of the server with ssl_min_version and ssl_ciphers in the address",
        temporary=False,
    ),
    Cause(
        name="TLS failed",
        pattern=r"^TLS ",
        what="does not answer: the TLS handshake failed",
        fix=f"Does it use TLS on this port, and is the address right? {_ADDRESS}",
        temporary=True,
    ),
    # What was found at the address, see `runners.probe_address`.
    Cause(
        name="TLS at this port",
        pattern=r"^FOUND tls",
        what="uses TLS on this port",
        fix=f"Write rediss:// instead of redis:// {_ADDRESS}",
        temporary=False,
        quoted=False,
    ),
    Cause(
        name="another protocol",
        pattern=r"^FOUND other",
        what="is not Redis: another program answers on this port",
        fix=f"Correct host and port {_ADDRESS}",
        temporary=False,
    ),
    Cause(
        name="closes at once",
        pattern=r"^FOUND closed",
        what="closes every connection immediately",
        fix="It may be a proxy without a server behind it, or a server that is shutting down or refuses this machine",
        temporary=True,
        quoted=False,
    ),
    Cause(
        name="says nothing",
        pattern=r"^FOUND mute",
        what="does not answer in time: it accepts the connection but sends nothing",
        fix="It may be stalled (swapping, stopped, a slow disk, one long command), or not be Redis. See its log and "
        "SLOWLOG GET; redis.socket_timeout is how long an answer may take",
        temporary=True,
        quoted=False,
    ),
    # The network, and this process.
    Cause(
        name="too many open files",
        pattern=r"^(EMFILE|ENFILE) ",
        what="was not contacted, since this process can open no more files",
        fix="Raise the limit (ulimit -n, LimitNOFILE), and look for what leaves files open: ls /proc/PID/fd",
        temporary=True,
    ),
    Cause(
        name="no more connections of this process",
        pattern=r"^MAXCONNECTIONS ",
        what="was not contacted: this process has as many connections as one pool holds",
        fix="Run fewer waits at the same time",
        temporary=True,
    ),
    Cause(
        name="no memory or ports here",
        pattern=r"^(ENOMEM|ENOBUFS|EADDRNOTAVAIL) ",
        what="was not contacted, since this machine has no memory or no free port for a connection",
        fix="Look at free memory and at open connections (ss -s) of this machine",
        temporary=True,
    ),
    Cause(
        name="unknown host",
        pattern=r"^DNS |Name or service not known|No address associated|nodename nor servname",
        what="cannot be found: its host has no address",
        fix=f"Is the name right {_ADDRESS}, and does this machine's DNS know it?",
        temporary=True,
    ),
    Cause(
        name="connection refused",
        pattern=r"^(ECONNREFUSED|ENOENT|ENOTSOCK|EPROTOTYPE) ",
        what="does not answer: nothing listens there",
        fix=f"Is it running, and is the address right? {_ADDRESS}",
        temporary=True,
    ),
    Cause(
        name="permission denied",
        pattern=r"^(EACCES|EPERM) ",
        what="cannot be reached: this user may not open its socket, or a firewall forbids it",
        fix="Look at the rights of the socket (unixsocketperm), or at the rules of the firewall",
        temporary=True,
    ),
    Cause(
        name="unreachable",
        pattern=r"^(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EAFNOSUPPORT|EINVAL) ",
        what="cannot be reached: no route leads to its host",
        fix=f"Is the address right {_ADDRESS}, and do the network and the firewall allow this machine to connect?",
        temporary=True,
    ),
    Cause(
        name="no connection in time",
        pattern=r"^(TIMEOUT.*connecting|ETIMEDOUT )",
        what="does not answer: no connection was established in time",
        fix=f"Is the address right {_ADDRESS}? A firewall may drop the packets; redis.connect_timeout is "
        "how long it may take",
        temporary=True,
    ),
    Cause(
        name="no answer in time",
        pattern=r"^TIMEOUT ",
        what="does not answer in time",
        fix="Is it running, or busy with one long command (SLOWLOG GET)? redis.socket_timeout is how long an "
        "answer may take",
        temporary=True,
    ),
    Cause(
        name="unreadable answer",
        pattern=r"^PROTOCOL ",
        what="is not Redis: its answer cannot be read",
        fix=f"Correct host and port {_ADDRESS}",
        temporary=False,
        kind=ServerUnsuitable,
    ),
    Cause(
        name="connection lost",
        pattern=r"^(LOST|E[A-Z0-9]+) ",
        what="does not answer: the connection was lost",
        fix=f"Is it running, and is the address right? {_ADDRESS}",
        temporary=True,
    ),
)

#: By class, since redis-py removes the code from the text.
_CODES: Final[tuple[tuple[type[RedisError], str], ...]] = (
    (OutOfMemoryError, "OOM"),
    (NoPermissionError, "NOPERM"),
    (BusyLoadingError, "LOADING"),
    (NoScriptError, "NOSCRIPT"),
    (ReadOnlyError, "READONLY"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (ClusterCrossSlotError, "CROSSSLOT"),
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (TryAgainError, "TRYAGAIN"),
    (ExecAbortError, "EXECABORT"),
    (InvalidResponse, "PROTOCOL"),
    (RedisTimeoutError, "TIMEOUT"),
    (RedisConnectionError, "LOST"),
)


def cause_of(text: str) -> Cause | None:
    """Return the row for an error, given the result of `code_and_text`; None if there is none."""
    return next((cause for cause in CAUSES if re.search(cause.pattern, text)), None)


def code_and_text(error: RedisError) -> str:
    """Return the code and the text of an error, or of the one that it wraps, in one line."""
    error = unwrapped(error)
    text = text_of(error)[:_LONGEST_ANSWER]
    if type(error).__name__ == "MaxConnectionsError" or text == "Too many connections":
        return f"MAXCONNECTIONS {text}"
    # An answer of the server is more specific than the error of the system before it.
    if type(error) in (RedisConnectionError, RedisTimeoutError):
        code = _of_system(error)
        if code is not None:
            return f"{code} {text}"
    for kind, name in _CODES:
        if isinstance(error, kind):
            return f"{name} {text}"
    return text


def text_of(error: RedisError) -> str:
    """Return the text of an error in one line, without the arguments of the call, which must not appear in a log."""
    return _ARGUMENTS.sub("", " ".join(str(error).split()))


def unwrapped(error: RedisError) -> RedisError:
    """Return the error itself: redis.asyncio wraps the answers of a server while it connects to a unix socket."""
    return error.__cause__ if isinstance(error.__cause__, RedisError) else error


def _of_system(error: BaseException) -> str | None:
    """Return the code of the operating system's error behind one of redis-py: of the last one, if there are several."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "DNS"
        if isinstance(cause, ssl.SSLError):
            return "TLS"
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return errno.errorcode[cause.errno]
        cause = cause.__cause__ or cause.__context__
    return None
