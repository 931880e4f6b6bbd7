"""Answers probes over HTTP, and other paths by WSGI applications. Only where a port is set.

One thread serves all connections and never waits for one of them: each has a deadline, and there is a limit to their
number, beyond which the oldest that has not asked yet makes room for the newest. So no client, however slow, keeps
others from an answer. Applications may take their time, and run one behind the other in a second thread.
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
from fairque.protocol.errors import ConfigurationError, FairqueError
from fairque.protocol.runners.forks import drop_in_forks
from fairque.protocol.service.http import BadRequest, Request, answer, asked_of, read_request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Probe", "Web"]

#: Whether all is well, and a word for people.
Probe: TypeAlias = Callable[[], tuple[bool, str]]

_MOST_CONNECTIONS: Final = 64
#: Requests that wait for an application; others are told to come back.
_MOST_WAITING: Final = 16
#: Seconds for a request to arrive, an answer to be made, and to be taken; and for the other side to close.
_ASKING_SECONDS: Final = 5.0
_MAKING_SECONDS: Final = 30.0
_TAKING_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 1.0
#: How long no connection is taken when the process can have no more files.
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
    left: memoryview = field(factory=lambda: memoryview(b""))


class Web:
    """A small server that needs nothing from Redis.

    Args:
        host: Address of the network interface.
        port: 0 takes a free one.
        setting: Names the port where it cannot be had.
        probes: By path; a probe that is not well answers with 503. They wait for nothing.
        applications: By path, such as that of the metrics.

    Raises:
        ConfigurationError: The port is taken, or the address is none of this machine.
        FairqueError: There can be no thread for it.
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
        for one in (self._listener, self._bell, self._ringer):
            one.settimeout(0)
            # What a task forks must not keep the port, nor a connection open, when this process has ended.
            drop_in_forks(one)
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
        """The port."""
        return int(self._listener.getsockname()[1])

    def fileno(self) -> int:
        """Return the number of the listening socket; -1 when it is closed."""
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
            connection, told = self._made.popleft()
            if connection in self._connections:
                self._tell(connection, told)
        self._look_at_the_time()

    def _seconds_left(self) -> float | None:
        untils = [connection.until for connection in self._connections]
        if self._paused_until is not None:
            untils.append(self._paused_until)
        first = min(untils, default=math.inf)
        return None if first == math.inf else max(0.0, first - monotonic())

    def _look_at_the_time(self) -> None:
        now = monotonic()
        for connection in [one for one in self._connections if one.until <= now]:
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
            # Most likely no more files: the connection stays where it is, and would be seen again at once.
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
        oldest = next((one for one in self._connections if one.state in idle), next(iter(self._connections), None))
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
        except Exception:  # noqa: BLE001 - a client that is gone, or a defect that must end no more than this
            self._drop(connection)

    def _receive(self, connection: _Connection) -> None:
        data = connection.socket.recv(_CHUNK)
        if connection.state is not _State.ASKING:
            # It has had its answer, and what else it sends is not looked at.
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
            status, word = _looked(self._probes[request.path])
            self._tell(connection, answer(status, f"{word}\n".encode(errors="replace"), head=head))
        else:
            self._tell(connection, answer(HTTPStatus.NOT_FOUND, f"look at {known}\n".encode(), head=head))

    def _ask(self, connection: _Connection, request: Request) -> None:
        waiting = sum(1 for one in self._connections if one.state is _State.WAITING)
        if waiting >= _MOST_WAITING:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, head=request.method == "HEAD")
            return
        # Not read meanwhile: a client that has closed would be seen again and again.
        self._selector.unregister(connection.socket)
        connection.state, connection.until = _State.WAITING, monotonic() + _MAKING_SECONDS
        self._asked.put((connection, self._applications[request.path], request))

    def _make(self) -> None:
        while (asked := self._asked.get()) is not None:
            # Such as a lack of memory for the answer that says so: who asked is dropped, and the next one is answered.
            with suppress(BaseException):
                self._make_one(*asked)

    def _make_one(self, connection: _Connection, application: "WSGIApplication", request: Request) -> None:
        if connection.state is not _State.WAITING:
            return
        try:
            told = asked_of(application, request)
        except BaseException as error:  # noqa: BLE001 - also SystemExit of an application, as of a collector
            head = request.method == "HEAD"
            told = answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}\n".encode(), head=head)
        self._made.append((connection, told))
        self._ring()

    def _refuse(self, connection: _Connection, status: HTTPStatus, *, head: bool = False) -> None:
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        self._tell(connection, answer(status, f"{status.phrase}\n".encode(), headers, head=head))

    def _tell(self, connection: _Connection, told: bytes) -> None:
        connection.left = memoryview(told)
        connection.state, connection.until = _State.TAKING, monotonic() + _TAKING_SECONDS
        self._listen_for(connection, selectors.EVENT_WRITE)
        self._continue(connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.socket.send(connection.left[:_CHUNK])
        connection.left = connection.left[sent:]
        if not connection.left:
            # Closed by the other side: closed here with something unread, the answer might not arrive.
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
        # Full, it rings already; closed, nobody hears it.
        with suppress(OSError):
            self._ringer.send(b"\0")

    def _release(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        for one in (self._selector, self._listener, self._bell, self._ringer):
            with suppress(OSError):  # somebody has closed its descriptor
                one.close()


def _looked(probe: Probe) -> tuple[HTTPStatus, str]:
    try:
        well, word = probe()
    except BaseException as error:  # noqa: BLE001 - also SystemExit, which would end the thread and no more
        return HTTPStatus.INTERNAL_SERVER_ERROR, f"the probe failed: {type(error).__name__}"
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, word


def _listening(host: str, port: int) -> socket.socket:
    """Return a listening socket of the family that the host is of.

    Raises:
        OSError: There can be none.
        UnicodeError: The host cannot be a name.
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
