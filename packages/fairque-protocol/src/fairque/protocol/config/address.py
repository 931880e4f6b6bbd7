"""The address of a server: a URL read in full, so that no part of it reaches a client unread.

No message shows a value: any of them may be a secret.
"""

import codecs
import re
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from fairque.protocol.locks import import_lock
from fairque.protocol.suggestion import suggestion

__all__ = ["PARAMETERS", "REFUSED", "Address", "embedded_folder", "read_address"]

SCHEMES: Final = ("redis://", "rediss://", "unix://", "embedded://")
_PORT: Final = 6379
_LONGEST_DATABASE: Final = 9
_LONGEST_LABEL: Final = 63
_LONGEST_SOCKET: Final = 103 if sys.platform == "darwin" else 107
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")

#: What is to be done instead of an address that begins so.
_OTHER_SCHEMES: Final[tuple[tuple[str, str], ...]] = (
    (
        "sentinel",
        "fairque does not ask a Sentinel for the primary: give the primary's own address, redis://HOST:PORT/0",
    ),
    ("cluster", "fairque uses one server, which is not a cluster: give its address, redis://HOST:PORT/0"),
    ("valkeys", "write rediss://, which both Redis and Valkey understand"),
    ("valkey", "write redis://, which both Redis and Valkey understand"),
    ("socket", "write unix:///PATH/OF/THE/SOCKET"),
)


@frozen(kw_only=True)
class Address:
    """What a URL says.

    Attributes:
        host: Name or number; empty for a unix socket.
        port: Of the host.
        path: The unix socket; empty for a host.
        tls: Whether to speak TLS.
        database: Number of the database.
        username: Of the server's user; None for the default one.
        password: Of that user.
        client_name: What the server shows of the connections; None for nothing.
        tls_options: What a client needs to know about TLS, under the names of the parameters.
    """

    host: str = ""
    port: int = _PORT
    path: str = ""
    tls: bool = False
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_name: str | None = None
    tls_options: Mapping[str, Any] = field(factory=dict, repr=False)


def read_address(url: str) -> Address:
    """Return what a ``redis://``, ``rediss://`` or ``unix://`` URL says.

    Raises:
        ValueError: It cannot be used; the message says everything that is wrong with it, and shows none of its values.
    """
    if not isinstance(url, str) or not url.startswith(SCHEMES):
        raise ValueError(f"must start with one of {', '.join(SCHEMES)}{_hint(url)}")
    _refuse_unseen(url)
    parts = _parts(url)
    given, problems = _parameters(parts)
    named: dict[str, Any] = {}
    for name, reading in (("username", parts.username), ("password", parts.password)):
        named[name] = _once(name, reading, given, problems)
    if parts.scheme == "unix":
        place, database = _socket(parts, problems), ""
    else:
        place, database = _host(parts, problems), parts.path.strip("/")
    if database and "db" in given:
        problems.append("the database is given twice, in the path and as the parameter 'db'")
    tls_options = {name: value for name, value in given.items() if name.startswith("ssl_")}
    problems += _problems_of_tls(tls_options, tls=parts.scheme == "rediss")
    if problems:
        raise ValueError("; ".join(problems))
    return Address(
        **place,
        **named,
        tls=parts.scheme == "rediss",
        database=int(database) if database else given.get("db", 0),
        client_name=given.get("client_name"),
        tls_options=MappingProxyType(tls_options),
    )


def embedded_folder(url: str) -> Path | None:
    """Return the folder that an ``embedded://`` URL names; None for a server in memory.

    Raises:
        ValueError: It is neither of the two forms.
    """
    place = url[len("embedded:") :]
    if place == "//":
        return None
    _refuse_unreadable(url)
    path = unquote(place[2:])
    if "\ufffd" in path:
        raise ValueError("the path of the folder is not percent-encoded UTF-8")
    if not place.startswith("///") or not path.strip("/") or {"?", "#"} & {*place} or "\0" in path:
        raise ValueError(
            "write embedded:// for a server in memory, or embedded:///path/of/a/folder with an absolute path for one "
            "on disk (percent-encode ? # and %). It has no user, password or parameters: only this user can reach it"
        )
    return Path("/" + path.lstrip("/")).resolve()


def _refuse_unseen(url: str) -> None:
    _refuse_unreadable(url)
    if not url.isprintable() or " " in url:
        raise ValueError("must not contain spaces, line breaks or other signs that are not seen; look at its end, too")


def _refuse_unreadable(url: str) -> None:
    try:
        url.encode()
    except UnicodeEncodeError:
        # Not from it: that error holds the address.
        raise ValueError("is not valid Unicode text: an environment variable or file holds it in UTF-8") from None


def _hint(url: object) -> str:
    scheme = url.partition("://")[0].lower() if isinstance(url, str) and "://" in url else ""
    return next((f": {hint}" for word, hint in _OTHER_SCHEMES if word in scheme), "")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        several = "," in url.partition("://")[2].rpartition("@")[2].partition("/")[0]
        raise ValueError(
            "host or port cannot be read; the form is redis://USER:PASSWORD@HOST:PORT/DATABASE, special characters of "
            "a password are percent-encoded" + (", and there is one host" if several else "")
        ) from None
    if port == 0:
        raise ValueError("host or port cannot be read: no server has the port 0")
    # urlsplit drops what follows without a colon.
    if not re.search(r"^[^\[]*$|\](:\d*)?$", parts.netloc.rpartition("@")[2]):
        raise ValueError("host or port cannot be read: after [...] comes a colon and the port, such as [::1]:6379")
    # A raw # or ? in a password moves what follows, the host too, to another part.
    if "#" in url or "@" in parts.path:
        raise ValueError("special characters of a user, password or path must be percent-encoded: # is %23, / is %2F")
    return parts


def _host(parts: SplitResult, problems: list[str]) -> dict[str, Any]:
    host, database = unquote(parts.hostname or "localhost"), parts.path.strip("/")
    with import_lock:
        codecs.lookup("idna")  # its first use is an import
    try:
        usable = all(0 < len(label) <= _LONGEST_LABEL for label in host.removesuffix(".").split(".")) and bool(
            host.encode("idna")
        )
    except UnicodeError:
        usable = False
    if "," in host:
        problems.append("there is one host: fairque uses one server, which is not a cluster")
    elif not usable or not host.isprintable() or re.search(r"[/\\@?# ]", host):
        problems.append("no host has such a name")
    # redis-py takes the first database for one that it cannot read.
    if database and not _is_database(database):
        problems.append("after the host comes the number of the database, such as /0")
    return {"host": host, "port": parts.port or _PORT}


def _socket(parts: SplitResult, problems: list[str]) -> dict[str, Any]:
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        problems.append("the path of the socket is not percent-encoded UTF-8")
        return {}
    if parts.netloc.rpartition("@")[2] or not path.strip("/") or "\0" in path:
        problems.append("after unix:// comes the absolute path of the socket, such as unix:///run/redis.sock?db=0")
    elif len(path.encode()) > _LONGEST_SOCKET:
        problems.append(f"the path of a socket has at most {_LONGEST_SOCKET} bytes: put it into a folder further up")
    return {"path": path}


def _once(name: str, before_host: str | None, given: dict[str, Any], problems: list[str]) -> str | None:
    """Return user or password, which may stand before the host or be a parameter."""
    if before_host is None:
        return given.get(name)
    if name in given:
        problems.append(f"the {name} is given twice, before the host and as a parameter")
    try:
        return unquote(before_host, errors="strict") or None
    except UnicodeDecodeError:
        problems.append(f"the {name} is not percent-encoded UTF-8")
        return None


def _parameters(parts: SplitResult) -> tuple[dict[str, Any], list[str]]:
    given: dict[str, Any] = {}
    problems: list[str] = []
    for pair in filter(None, parts.query.split("&")):
        name, _, value = (part.replace("+", " ") for part in pair.partition("="))
        name = unquote(name)
        if name in given:
            problems.append(f"the parameter {name!r} is given twice")
        elif name in PARAMETERS:
            try:
                given[name] = PARAMETERS[name](unquote(value, errors="strict"))
            except UnicodeDecodeError:
                problems.append(f"the parameter {name!r} is not percent-encoded UTF-8")
            except ValueError as error:
                problems.append(f"the parameter {name!r} {error}")
        else:
            problems.append(_why_refused(name))
    return given, problems


def _why_refused(name: str) -> str:
    # A name may be a piece of a password with a raw ? or & in it.
    if not re.fullmatch(r"[a-z_]{1,50}", name):
        return "after ? come parameters as NAME=VALUE; a ? or & of a user, password or path is percent-encoded"
    if name in REFUSED:
        return f"the parameter {name!r} cannot be set in the address: {REFUSED[name]}"
    return f"there is no parameter {name!r} {suggestion(name, PARAMETERS)}"


def _problems_of_tls(options: Mapping[str, Any], *, tls: bool) -> list[str]:
    if options and not tls:
        return [f"{', '.join(sorted(options))}: only an address that begins with rediss:// speaks TLS"]
    if "ssl_certfile" not in options and {"ssl_keyfile", "ssl_password"} & options.keys():
        return ["ssl_keyfile and ssl_password belong to a certificate: give ssl_certfile, too"]
    return []


def _is_database(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_DATABASE


def _text(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("has no value")
    return value


def _database(value: str) -> int:
    if not _is_database(value):
        raise ValueError("must be the number of the database, such as db=0")
    return int(value)


def _client_name(value: str) -> str:
    # What CLIENT SETNAME takes.
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be of ASCII letters, digits and signs, without spaces")
    return value


def _flag(value: str) -> bool:
    if value.lower() not in _TRUE + _FALSE:
        raise ValueError("must be true or false")
    return value.lower() in _TRUE


def _checking(value: str) -> str:
    if value.lower() not in ("required", "optional", "none"):
        raise ValueError("must be required, optional or none")
    return value.lower()


def _least_tls(value: str) -> ssl.TLSVersion:
    known = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    known |= {str(int(version)): version for version in known.values()}
    if value not in known:
        raise ValueError("must be 1.2 or 1.3")
    return known[value]


#: Each parameter that an address may have, and what reads it.
PARAMETERS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "db": _database,
        "username": _text,
        "password": _text,
        "client_name": _client_name,
        "ssl_ca_certs": _text,
        "ssl_ca_path": _text,
        "ssl_certfile": _text,
        "ssl_keyfile": _text,
        "ssl_password": _text,
        "ssl_check_hostname": _flag,
        "ssl_cert_reqs": _checking,
        "ssl_min_version": _least_tls,
        "ssl_ciphers": _text,
    }
)

_TIME_LIMIT = "set redis.socket_timeout"
_RETRIES = "set redis.retries; every call is safe to repeat"
_OWN = """
    auto_close_connection_pool charset command_packer connection_class connection_pool decode_responses encoder_class
    encoding encoding_errors errors health_check_interval legacy_responses max_connections parser_class protocol
    queue_class redis_connect_func single_connection_client socket_keepalive socket_keepalive_options socket_read_size
    socket_type
"""
_UNSUPPORTED = """
    cache cache_config cache_factory driver_info event_dispatcher himport_registry lib_name lib_version
    maint_notifications_config maint_notifications_pool_handler maintenance_notification_hash maintenance_state
    orig_host_address orig_socket_connect_timeout orig_socket_timeout oss_cluster_maint_notifications_handler
    ssl_exclude_verify_flags ssl_include_verify_flags ssl_ocsp_context ssl_ocsp_expected_cert ssl_validate_ocsp
    ssl_validate_ocsp_stapled
"""

#: Parameters that redis-py has, and that an address must not: with what to do instead.
REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "socket_timeout": _TIME_LIMIT,
        "timeout": _TIME_LIMIT,
        "socket_connect_timeout": "set redis.connect_timeout",
        "retry": _RETRIES,
        "retry_on_error": _RETRIES,
        "retry_on_timeout": _RETRIES,
        "host": "write it before the path, redis://HOST:PORT/0",
        "port": "write it before the path, redis://HOST:PORT/0",
        "path": "write unix:///PATH/OF/THE/SOCKET",
        "unix_socket_path": "write unix:///PATH/OF/THE/SOCKET",
        "ssl": "write rediss:// for TLS",
        "ssl_ca_data": "write the certificates to a file and name it, ssl_ca_certs=FILE",
        "credential_provider": "write redis://USER:PASSWORD@HOST:PORT/0",
        **dict.fromkeys(_OWN.split(), "fairque relies on its own value; leave it out"),
        **dict.fromkeys(_UNSUPPORTED.split(), "fairque does not support it; leave it out"),
    }
)
