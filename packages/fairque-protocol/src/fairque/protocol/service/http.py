"""The small part of HTTP that probes need: one request per connection, from bytes to bytes. No I/O."""

import io
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["LONGEST_HEAD", "BadRequest", "Request", "answer", "asked_of", "read_request"]

#: Bytes of a request line and its headers.
LONGEST_HEAD: Final = 16_384

_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[0-9]")
# Spaces around a value are stripped afterwards: a pattern for them would take quadratic time on a long run of spaces.
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


class BadRequest(Exception):
    """The received bytes are not a valid request.

    Attributes:
        status: The status to answer.
    """

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status.phrase)


@frozen
class Request:
    """A request.

    Attributes:
        method: The method, such as ``GET``.
        path: The decoded path, without the query.
        query: The query as it was sent.
        headers: The headers, by lower-case name.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict)


def read_request(received: bytes) -> Request | None:
    """Return the request; None while it is incomplete.

    Raises:
        BadRequest: It cannot become a valid request.
    """
    length = len(received)
    received = received.lstrip(b"\r\n")
    # Anything else is another protocol, such as TLS, which may never send the end of a request.
    if received and not received[:1].isalpha():
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    end = _END.search(received)
    if end is None:
        # Leading empty lines count, too: there may be any number of them.
        if length > LONGEST_HEAD:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None
    if end.start() > LONGEST_HEAD:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    first, *rest = re.split("\r?\n", received[: end.start()].decode("latin-1"))
    line = _LINE.fullmatch(first)
    headers = [_HEADER.fullmatch(text) for text in rest]
    if line is None or None in headers:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    try:
        target = urlsplit(line[2])
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST) from None
    named = {found[1].lower(): found[2].strip(" \t") for found in headers if found is not None}
    return Request(line[1], unquote(target.path), target.query, named)


def answer(
    status: HTTPStatus | str, body: bytes, headers: Iterable[tuple[str, str]] = (_TEXT,), *, head: bool = False
) -> bytes:
    """Return an answer that closes the connection.

    Args:
        status: The status, or its number and phrase as a text.
        body: The body.
        headers: Additional headers.
        head: Whether to omit the body, since the method is HEAD.
    """
    phrase = f"{status.value} {status.phrase}" if isinstance(status, HTTPStatus) else status
    own = {"content-length", "connection"}
    lines = [f"HTTP/1.1 {phrase}", *(f"{name}: {value}" for name, value in headers if name.lower() not in own)]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + (b"" if head else body)


def asked_of(application: "WSGIApplication", request: Request) -> bytes:
    """Return the answer of a WSGI application."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        started[:] = [status, headers]

    chunks = application(_environ(request), start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started
    return answer(status, body, headers, head=request.method == "HEAD")


def _environ(request: Request) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()},
    }
