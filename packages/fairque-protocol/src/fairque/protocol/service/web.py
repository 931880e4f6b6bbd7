"""Answers probes over HTTP, and other paths by WSGI applications, if a port is set.

One thread serves all connections and never blocks on any: each has a deadline, and their number is limited; at the
limit the oldest connection without a request is closed for the newest. So slow clients do not delay others.
Applications may be slow; they run one after another in a second thread.
"""

import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

from fairque.protocol.clock import monotonic
from fairque.protocol.descriptors import fill_standard_numbers
from fairque.protocol.errors import ConfigurationError, FairqueError
from fairque.protocol.forks import drop_in_forks
from fairque.protocol.service.http import BadRequest, Request, answer, asked_of, read_request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Probe", "Web"]

#: Returns whether all is well, and a text for humans.
Probe: TypeAlias = Callable[[], tuple[bool, str]]

_MOST_CONNECTIONS: Final = 64
#: Most requests that wait for an application; others are refused for now.
_MOST_WAITING: Final = 16
#: Seconds for a request to arrive, for its answer to be created and to be read, and for the other side to close.
_ASKING_SECONDS: Final = 5.0
_MAKING_SECONDS: Final = 30.0
_TAKING_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 1.0
#: Seconds without accepting connections when the process can open no more files.
_PAUSE_SECONDS: Final = 0.2
_CHUNK: Final = 65_536


class _State(Enum):
    ASKING = auto()
    WAITING = auto()
    TAKING = auto()
    CLOSING = auto()


@define(eq=False)
class _Connection:
    socket: socket.socket
    until: float
    state: _State = _State.ASKING
    received: bytes = b""
    unsent: memoryview = field(factory=lambda: memoryview(b""))


class Web:
    """A small server that does not need Redis.

    Args:
        host: Address of the network interface.
        port: The port; 0 takes a free one.
        setting: Name of the setting of the port, for errors.
        probes: Probes by path; one that is not well answers with 503. They must not block.
        applications: Applications by path, such as that of the metrics.

    Raises:
        ConfigurationError: The port is taken, or the address does not belong to this machine.
        FairqueError: No thread can be started.
    """

    def __init__(
        self,
        host: str,
        port: int,
        setting: str,
        probes: Mapping[str, Probe],
        applications: "Mapping[str, WSGIApplication]",
    ) -> None:
        self._probes, self._applications = probes, applications
        fill_standard_numbers()
        try:
            self._bell, self._ringer = socket.socketpair()
        except OSError as error:
            raise FairqueError(f"{setting} {port}: {error}. Raise the limit of open files") from error
        try:
            self._listener = _listening(host, port)
        except (OSError, UnicodeError) as error:
            self._bell.close()
            self._ringer.close()
            raise ConfigurationError([f"{setting} {port}: cannot listen at {host}: {error}"]) from None
        self._selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()
        self._connections: dict[_Connection, None] = {}
        self._paused_until: float | None = None
        self._asked: SimpleQueue[tuple[_Connection, WSGIApplication, Request] | None] = SimpleQueue()
        self._made: deque[tuple[_Connection, bytes]] = deque()
        for end in (self._listener, self._bell, self._ringer):
            end.settimeout(0)
            # Processes that a task forks must not keep the port or a connection open after this process has ended.
            drop_in_forks(end)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="fairque-http", daemon=True)
        self._maker = threading.Thread(target=self._make, name="fairque-http-make", daemon=True)
        try:
            self._maker.start()
            self._thread.start()
        except RuntimeError as error:
            self._asked.put(None)
            self._release()
            raise FairqueError(f"{setting} {port}: there can be no thread for it: {error}") from error

    @property
    def port(self) -> int:
        """The number of the port."""
        return int(self._listener.getsockname()[1])

    def fileno(self) -> int:
        """Return the descriptor of the listening socket; -1 if it is closed."""
        return self._listener.fileno()

    def close(self) -> None:
        """Stop the server; safe to call twice."""
        self._closed = True
        self._asked.put(None)
        self._ring()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _serve(self) -> None:
        try:
            while not self._closed:
                try:
                    self._turn()
                except Exception:  # noqa: BLE001 - whatever it is, the next probe must find an answer
                    time.sleep(_PAUSE_SECONDS)
        finally:
            self._release()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._seconds_left()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._bell:
                with suppress(BlockingIOError):
                    self._bell.recv(_CHUNK)
            elif key.data in self._connections:
                self._continue(key.data)
        while self._made:
            connection, data = self._made.popleft()
            if connection in self._connections:
                self._start_sending(connection, data)
        self._check_deadlines()

    def _seconds_left(self) -> float | None:
        untils = [connection.until for connection in self._connections]
        if self._paused_until is not None:
            untils.append(self._paused_until)
        first = min(untils, default=math.inf)
        return None if first == math.inf else max(0.0, first - monotonic())

    def _check_deadlines(self) -> None:
        now = monotonic()
        for connection in [connection for connection in self._connections if connection.until <= now]:
            if connection.state is _State.ASKING and connection.received:
                self._refuse(connection, HTTPStatus.REQUEST_TIMEOUT)
            else:
                self._drop(connection)
        if self._paused_until is not None and self._paused_until <= now:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._paused_until = None

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # Most likely the process can open no more files: the connection stays pending, and select would return it.
            self._make_room()
            self._selector.unregister(self._listener)
            self._paused_until = monotonic() + _PAUSE_SECONDS
            return
        if len(self._connections) >= _MOST_CONNECTIONS:
            self._make_room()
        accepted.settimeout(0)
        drop_in_forks(accepted)
        connection = _Connection(accepted, monotonic() + _ASKING_SECONDS)
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        self._connections[connection] = None

    def _make_room(self) -> None:
        """Drop the oldest connection, rather one that is not being answered."""
        idle = (_State.CLOSING, _State.ASKING)
        oldest = next(
            (connection for connection in self._connections if connection.state in idle),
            next(iter(self._connections), None),
        )
        if oldest is not None:
            self._drop(oldest)

    def _continue(self, connection: _Connection) -> None:
        try:
            if connection.state is _State.TAKING:
                self._send(connection)
            else:
                self._receive(connection)
        except BlockingIOError:
            return
        except Exception:  # noqa: BLE001 - the client is gone, or a defect, which must only end this connection
            self._drop(connection)

    def _receive(self, connection: _Connection) -> None:
        data = connection.socket.recv(_CHUNK)
        if connection.state is not _State.ASKING:
            # It has its answer; anything else that it sends is ignored.
            if not data:
                self._drop(connection)
            return
        connection.received += data
        try:
            request = read_request(connection.received)
        except BadRequest as error:
            self._refuse(connection, error.status)
        else:
            if request is not None:
                self._answer(connection, request)
            elif not data:
                self._drop(connection)

    def _answer(self, connection: _Connection, request: Request) -> None:
        known = ", ".join([*self._probes, *self._applications])
        head = request.method == "HEAD"
        if request.method not in ("GET", "HEAD"):
            self._refuse(connection, HTTPStatus.METHOD_NOT_ALLOWED)
        elif request.path in self._applications:
            self._ask(connection, request)
        elif request.path in self._probes:
            status, text = _probed(self._probes[request.path])
            self._start_sending(connection, answer(status, f"{text}\n".encode(errors="replace"), head=head))
        else:
            self._start_sending(connection, answer(HTTPStatus.NOT_FOUND, f"look at {known}\n".encode(), head=head))

    def _ask(self, connection: _Connection, request: Request) -> None:
        waiting = sum(1 for other in self._connections if other.state is _State.WAITING)
        if waiting >= _MOST_WAITING:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, head=request.method == "HEAD")
            return
        # Not selected until the answer exists: select would return a closed connection in a loop.
        self._selector.unregister(connection.socket)
        connection.state, connection.until = _State.WAITING, monotonic() + _MAKING_SECONDS
        self._asked.put((connection, self._applications[request.path], request))

    def _make(self) -> None:
        while True:
            # Such as a lack of memory for an error answer: this connection is dropped, and the next one is served.
            with suppress(BaseException):
                if (asked := self._asked.get()) is None:
                    return
                self._make_one(*asked)

    def _make_one(self, connection: _Connection, application: "WSGIApplication", request: Request) -> None:
        if connection.state is not _State.WAITING:
            return
        try:
            data = asked_of(application, request)
        except BaseException as error:  # noqa: BLE001 - also SystemExit, such as from a collector of metrics
            head = request.method == "HEAD"
            data = answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}\n".encode(), head=head)
        self._made.append((connection, data))
        self._ring()

    def _refuse(self, connection: _Connection, status: HTTPStatus, *, head: bool = False) -> None:
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        self._start_sending(connection, answer(status, f"{status.phrase}\n".encode(), headers, head=head))

    def _start_sending(self, connection: _Connection, data: bytes) -> None:
        connection.unsent = memoryview(data)
        connection.state, connection.until = _State.TAKING, monotonic() + _TAKING_SECONDS
        self._listen_for(connection, selectors.EVENT_WRITE)
        self._continue(connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.socket.send(connection.unsent[:_CHUNK])
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            # The other side closes: if this side closed with unread data, the answer might be lost.
            connection.socket.shutdown(socket.SHUT_WR)
            connection.state, connection.until = _State.CLOSING, monotonic() + _CLOSING_SECONDS
            self._listen_for(connection, selectors.EVENT_READ)

    def _listen_for(self, connection: _Connection, events: int) -> None:
        if connection.socket in self._selector.get_map():
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.register(connection.socket, events, connection)

    def _drop(self, connection: _Connection) -> None:
        self._connections.pop(connection, None)
        connection.state = _State.CLOSING
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

    def _ring(self) -> None:
        # If it is full, it rings already; if it is closed, the thread has ended.
        with suppress(OSError):
            self._ringer.send(b"\0")

    def _release(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        for part in (self._selector, self._listener, self._bell, self._ringer):
            with suppress(OSError):  # user code has closed its descriptor
                part.close()


def _probed(probe: Probe) -> tuple[HTTPStatus, str]:
    try:
        well, text = probe()
    except BaseException as error:  # noqa: BLE001 - also SystemExit, which would only end this thread
        return HTTPStatus.INTERNAL_SERVER_ERROR, f"the probe failed: {type(error).__name__}"
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, text


def _listening(host: str, port: int) -> socket.socket:
    """Return a listening socket of the host's address family.

    Raises:
        OSError: The address is taken or invalid.
        UnicodeError: The host is not a valid name.
    """
    (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener
