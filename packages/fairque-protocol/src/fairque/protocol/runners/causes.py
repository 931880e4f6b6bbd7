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

__all__ = ["CAUSES", "Cause", "cause_of", "inner", "text_of", "words_of"]

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
        passes=False,
    ),
    Cause(
        name="certificate verify failed",
        pattern=r"CERTIFICATE_VERIFY_FAILED",
        what="is not trusted",
        fix="Its certificate must be signed by an authority that is known here (?ssl_ca_certs=FILE in the address) "
        "and be made out to the host in the address",
        passes=False,
    ),
    Cause(
        name="certificate required",
        pattern=r"(?i)CERTIFICATE_REQUIRED|alert (unknown ca|bad certificate|handshake failure|certificate)"
        r"|ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|HANDSHAKE_FAILURE)|SSLV3_ALERT_CERTIFICATE",
        what="did not accept this client's certificate, or requires one",
        fix="Name a certificate that the server trusts (?ssl_certfile=FILE&ssl_keyfile=FILE in the address)",
        passes=False,
    ),
    Cause(
        name="no TLS at this port",
        pattern=r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST"
        r"|UNEXPECTED_MESSAGE|^SEEN plain",
        what="does not use TLS on this port",
        fix=f"Write redis:// instead of rediss://, or use the server's TLS port (tls-port) {_ADDRESS}",
        passes=False,
        quoted=False,
    ),
    Cause(
        name="TLS versions",
        pattern=r"(?i)PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|NO_SHARED_CIPHER|NO_CIPHERS",
        what="and this program have no version or cipher of TLS in common",
        fix="Compare tls-protocols and tls-ciphers of the server with ssl_min_version and ssl_ciphers in the address",
        passes=False,
    ),
    Cause(
        name="TLS failed",
        pattern=r"^TLS ",
        what="does not answer: the TLS handshake failed",
        fix=f"Does it use TLS on this port, and is the address right? {_ADDRESS}",
        passes=True,
    ),
    # What was found at the address, see `runners.visit`.
    Cause(
        name="TLS at this port",
        pattern=r"^SEEN tls",
        what="uses TLS on this port",
        fix=f"Write rediss:// instead of redis:// {_ADDRESS}",
        passes=False,
        quoted=False,
    ),
    Cause(
        name="another protocol",
        pattern=r"^SEEN other",
        what="is not Redis: another program answers on this port",
        fix=f"Correct host and port {_ADDRESS}",
        passes=False,
    ),
    Cause(
        name="closes at once",
        pattern=r"^SEEN closed",
        what="closes every connection immediately",
        fix="It may be a proxy without a server behind it, or a server that is shutting down or refuses this machine",
        passes=True,
        quoted=False,
    ),
    Cause(
        name="says nothing",
        pattern=r"^SEEN mute",
        what="does not answer in time: it accepts the connection but sends nothing",
        fix="It may be stalled (swapping, stopped, a slow disk, one long command), or not be Redis. See its log and "
        "SLOWLOG GET; redis.socket_timeout is how long an answer may take",
        passes=True,
        quoted=False,
    ),
    # The network, and this process.
    Cause(
        name="too many open files",
        pattern=r"^(EMFILE|ENFILE) ",
        what="was not asked, since this process can open no more files",
        fix="Raise the limit (ulimit -n, LimitNOFILE), and look for what leaves files open: ls /proc/PID/fd",
        passes=True,
    ),
    Cause(
        name="no more connections of this process",
        pattern=r"^MAXCONNECTIONS ",
        what="was not asked: this process has as many connections as one pool holds",
        fix="Run fewer waits at the same time",
        passes=True,
    ),
    Cause(
        name="no memory or ports here",
        pattern=r"^(ENOMEM|ENOBUFS|EADDRNOTAVAIL) ",
        what="was not asked, since this machine has no memory or no free port for a connection",
        fix="Look at free memory and at open connections (ss -s) of this machine",
        passes=True,
    ),
    Cause(
        name="unknown host",
        pattern=r"^DNS |Name or service not known|No address associated|nodename nor servname",
        what="cannot be found: its host has no address",
        fix=f"Is the name right {_ADDRESS}, and does this machine's DNS know it?",
        passes=True,
    ),
    Cause(
        name="connection refused",
        pattern=r"^(ECONNREFUSED|ENOENT|ENOTSOCK|EPROTOTYPE) ",
        what="does not answer: nothing listens there",
        fix=f"Is it running, and is the address right? {_ADDRESS}",
        passes=True,
    ),
    Cause(
        name="permission denied",
        pattern=r"^(EACCES|EPERM) ",
        what="cannot be reached: this user may not open its socket, or a firewall forbids it",
        fix="Look at the rights of the socket (unixsocketperm), or at the rules of the firewall",
        passes=True,
    ),
    Cause(
        name="unreachable",
        pattern=r"^(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EAFNOSUPPORT|EINVAL) ",
        what="cannot be reached: no route leads to its host",
        fix=f"Is the address right {_ADDRESS}, and do the network and the firewall allow this machine to connect?",
        passes=True,
    ),
    Cause(
        name="no connection in time",
        pattern=r"^(TIMEOUT.*connecting|ETIMEDOUT )",
        what="does not answer: no connection was established in time",
        fix=f"Is the address right {_ADDRESS}? A firewall may drop the packets; redis.connect_timeout is "
        "how long it may take",
        passes=True,
    ),
    Cause(
        name="no answer in time",
        pattern=r"^TIMEOUT ",
        what="does not answer in time",
        fix="Is it running, or busy with one long command (SLOWLOG GET)? redis.socket_timeout is how long an "
        "answer may take",
        passes=True,
    ),
    Cause(
        name="unreadable answer",
        pattern=r"^PROTOCOL ",
        what="is not Redis: its answer cannot be read",
        fix=f"Correct host and port {_ADDRESS}",
        passes=False,
        kind=ServerUnsuitable,
    ),
    Cause(
        name="connection lost",
        pattern=r"^(LOST|E[A-Z0-9]+) ",
        what="does not answer: the connection was lost",
        fix=f"Is it running, and is the address right? {_ADDRESS}",
        passes=True,
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


def cause_of(words: str) -> Cause | None:
    """Return the row for an error, given the result of `words_of`; None if there is none."""
    return next((cause for cause in CAUSES if re.search(cause.pattern, words)), None)


def words_of(error: RedisError) -> str:
    """Return the code and the text of an error, or of the one that it wraps, in one line."""
    error = inner(error)
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


def inner(error: RedisError) -> RedisError:
    """Return the error itself: redis.asyncio wraps the answers of a server while it connects to a unix socket."""
    return error.__cause__ if isinstance(error.__cause__, RedisError) else error


def _of_system(error: BaseException) -> str | None:
    """Return the code of the operating system's error behind one of redis-py: of the last one, if there are several."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, socket.gaierror):
            return "DNS"
        if isinstance(seen, ssl.SSLError):
            return "TLS"
        if isinstance(seen, OSError) and seen.errno is not None and seen.errno in errno.errorcode:
            return errno.errorcode[seen.errno]
        seen = seen.__cause__ or seen.__context__
    return None
