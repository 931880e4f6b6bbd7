"""The HTTP port: requests are answered at once, however many clients are slow, and nothing ends the thread."""

import asyncio
import errno
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.clock import monotonic
from fairque.protocol.errors import ConfigurationError, FairqueError
from fairque.protocol.service import web as web_module
from fairque.protocol.service.http import LONGEST_HEAD, read_request
from fairque.protocol.service.web import Web
from fairque.testing.internal import PATIENCE, eventually

Application = Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]
GATE = threading.Event()


def metrics(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["QUERY_STRING"] == "wait":
        GATE.wait(PATIENCE)
    if environ["QUERY_STRING"] == "raise":
        raise ValueError
    size = int(environ["QUERY_STRING"].partition("size=")[2] or 3)
    start_response("200 OK", [("Content-Type", "text/x"), ("X-Accept", environ.get("HTTP_ACCEPT", ""))])
    return [b"x" * size]


def broken() -> tuple[bool, str]:
    raise ValueError


PROBES: dict[str, web_module.Probe] = {
    "/livez": lambda: (True, "fine"),
    "/readyz": lambda: (False, "no"),
    "/broken": broken,
    "/odd": lambda: (True, "a\udc80b"),
}


@pytest.fixture
def web() -> Iterator[Web]:
    GATE.clear()
    web = Web("127.0.0.1", 0, "http_port", PROBES, {"/metrics": metrics})
    yield web
    GATE.set()
    web.close()
    assert not web._thread.is_alive()


def connect(web: Web, text: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), 10)
    connection.sendall(text)
    return connection


def read(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(65_536):
        chunks.append(chunk)
    return b"".join(chunks)


def ask(web: Web, text: bytes) -> bytes:
    with connect(web, text) as connection:
        return read(connection)


def get(web: Web, path: str, method: str = "GET") -> bytes:
    return ask(web, f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())


def drip(connection: socket.socket) -> None:
    for _ in range(1_000):
        connection.sendall(b"x")
        time.sleep(0.02)


def counted(times: list[float], call: Callable[[], None]) -> None:
    times.append(monotonic())
    call()


@contextmanager
def no_more_files() -> Iterator[None]:
    """Prevent this process from opening more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, [one.name for one in Path("/dev/fd").iterdir()])), hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in taken:
            os.close(one)


class TestAnswers:
    @pytest.mark.parametrize(
        ("path", "status", "body"),
        [
            ("/livez", b"200 OK", b"fine\n"),
            ("/livez?x=1", b"200 OK", b"fine\n"),
            ("http://h/livez", b"200 OK", b"fine\n"),
            ("/%6Civez", b"200 OK", b"fine\n"),
            ("/readyz", b"503 Service Unavailable", b"no\n"),
            ("/broken", b"500 Internal Server Error", b"the probe failed: ValueError\n"),
            ("/odd", b"200 OK", b"a?b\n"),
            ("/nothing", b"404 Not Found", b"look at /livez, /readyz, /broken, /odd, /metrics\n"),
            ("/metrics", b"200 OK", b"xxx"),
            ("/metrics?raise", b"500 Internal Server Error", b"ValueError\n"),
        ],
    )
    def test_each_path_has_its_answer(self, web: Web, path: str, status: bytes, body: bytes) -> None:
        told = get(web, path)
        head, _, found = told.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert found == body
        assert f"Content-Length: {len(body)}".encode() in head

    @pytest.mark.parametrize("path", ["/livez", "/metrics", "/nothing"])
    def test_head_is_answered_without_a_body(self, web: Web, path: str) -> None:
        told = get(web, path, "HEAD")
        assert told.endswith(b"\r\n\r\n")
        assert b"Content-Length: 0" not in told

    @pytest.mark.parametrize("path", ["/metrics?raise", "/metrics?wait"])
    def test_errors_are_answered_to_head_without_a_body(
        self, web: Web, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_module, "_MOST_WAITING", int("raise" in path))
        told = get(web, path, "HEAD")
        assert told.startswith(b"HTTP/1.1 50")
        assert told.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "PRI"])
    def test_the_refusal_of_another_method_lists_the_allowed_ones(self, web: Web, method: str) -> None:
        told = get(web, "/livez", method)
        assert told.startswith(b"HTTP/1.1 405 ")
        assert b"Allow: GET, HEAD\r\n" in told

    @pytest.mark.parametrize(
        "text",
        [
            b"GET /livez\r\n\r\n",
            b"GET /livez HTTP/2.0\r\n\r\n",
            b"GET /li vez HTTP/1.1\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nno header\r\n\r\n",
            b"GET /livez HTTP/1.1\r\n: x\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x00",
            b"*1\r\n$4\r\nPING\r\n",
        ],
    )
    def test_malformed_data_is_a_bad_request(self, web: Web, text: bytes) -> None:
        assert ask(web, text).startswith(b"HTTP/1.1 400 ")
        assert get(web, "/livez").endswith(b"fine\n")

    @pytest.mark.parametrize(
        "text",
        [
            b"GET /" + b"x" * 2 * LONGEST_HEAD,
            b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * LONGEST_HEAD + b"\r\n",
            b"\r\n" * LONGEST_HEAD,
        ],
        ids=["line", "headers", "empty lines"],
    )
    def test_an_endless_request_is_refused_and_not_stored(self, web: Web, text: bytes) -> None:
        with connect(web) as connection:
            try:
                connection.sendall(text)
            except ConnectionError:
                return
            assert connection.recv(13) == b"HTTP/1.1 431 "

    @pytest.mark.parametrize("between", [" ", "\t", " \t"])
    def test_a_header_full_of_spaces_is_parsed_as_fast_as_one_full_of_letters(self, between: str) -> None:
        def seconds(inside: str) -> float:
            text = f"GET / HTTP/1.1\r\nA: x{inside}y \t\r\n\r\n".encode()
            begun = time.thread_time()
            request = read_request(text)
            assert request is not None
            assert request.headers == {"a": f"x{inside}y"}
            return time.thread_time() - begun

        length = LONGEST_HEAD - 100
        # Of what it takes for each place of a run to be tried, this is a hundredth.
        assert seconds((between * length)[:length]) < 50 * max(seconds("x" * length), 0.001)

    def test_lines_without_carriage_returns_and_pieces_are_understood(self, web: Web) -> None:
        with connect(web) as connection:
            for piece in (b"\r\nGE", b"T /livez HT", b"TP/1.0\n", b"\n"):
                connection.sendall(piece)
            assert read(connection).endswith(b"fine\n")

    def test_a_client_that_has_finished_sending_is_answered(self, web: Web) -> None:
        with connect(web, b"GET /metrics HTTP/1.1\r\nAccept: a/b\r\n\r\n") as connection:
            connection.shutdown(socket.SHUT_WR)
            assert b"X-Accept: a/b\r\n" in read(connection)

    def test_an_unread_body_does_not_prevent_the_answer(self, web: Web) -> None:
        body = b"x" * 500_000
        told = ask(web, b"POST /livez HTTP/1.1\r\nContent-Length: 500000\r\n\r\n" + body)
        assert told.startswith(b"HTTP/1.1 405 ")

    def test_a_client_that_is_still_sending_gets_its_answer(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_module, "_CLOSING_SECONDS", PATIENCE)
        with connect(web, b"GET /livez HTTP/1.1\r\n\r\n") as connection:
            eventually(lambda: any(one.state.name == "CLOSING" for one in web._connections))
            connection.sendall(b"x")
            assert read(connection).endswith(b"fine\n")

    def test_a_client_that_closes_after_its_answer_is_removed(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_module, "_CLOSING_SECONDS", 10 * PATIENCE)
        assert get(web, "/livez")
        eventually(lambda: not web._connections)

    def test_a_large_answer_is_sent_in_full(self, web: Web) -> None:
        assert len(get(web, "/metrics?size=5000000").partition(b"\r\n\r\n")[2]) == 5_000_000


class TestSlowClients:
    def test_an_answer_is_immediate_however_many_clients_are_silent(self, web: Web) -> None:
        with ExitStack() as slow:
            for number in range(300):
                slow.enter_context(connect(web, b"GET /livez HTTP/1.1\r\n" if number % 2 else b""))
            assert get(web, "/livez").endswith(b"fine\n")
            assert len(web._connections) <= web_module._MOST_CONNECTIONS

    def test_a_slow_client_is_disconnected_after_its_timeout(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_module, "_ASKING_SECONDS", 0.3)
        # Each byte is heard, and none gives it more time.
        with connect(web, b"GET /livez HTTP/1.1\r\n") as connection, pytest.raises(ConnectionError):
            drip(connection)
        assert get(web, "/livez").endswith(b"fine\n")

    def test_a_silent_client_is_closed(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_module, "_ASKING_SECONDS", 0.1)
        with connect(web) as connection:
            assert connection.recv(1) == b""
        eventually(lambda: not web._connections)

    @pytest.mark.parametrize("text", [b"", b"GET /livez HTTP/1.1\r\n"], ids=["nothing", "half a request"])
    def test_a_client_that_closes_before_its_request_is_removed(
        self, web: Web, text: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_module, "_ASKING_SECONDS", 10 * PATIENCE)
        connect(web, text).close()
        assert get(web, "/livez").endswith(b"fine\n")
        eventually(lambda: not web._connections)

    def test_an_answer_for_a_client_that_timed_out_does_no_harm(
        self, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        troubles: list[Exception] = []
        turn = web._turn

        def watched() -> None:
            try:
                turn()
            except Exception as error:
                troubles.append(error)
                raise

        running = threading.Event()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            running.set()
            return metrics(environ, start_response)

        monkeypatch.setattr(web, "_turn", watched)
        monkeypatch.setattr(web, "_applications", {"/metrics": application})
        assert get(web, "/livez")
        with connect(web, b"GET /metrics?wait HTTP/1.1\r\n\r\n") as late:
            assert running.wait(PATIENCE)
            for one in web._connections:
                one.until = 0.0
            assert get(web, "/livez")
            assert read(late) == b""
        GATE.set()
        assert get(web, "/metrics").endswith(b"xxx")
        assert not troubles

    def test_a_client_that_does_not_read_its_answer_is_dropped(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_module, "_TAKING_SECONDS", 0.2)
        with connect(web, b"GET /metrics?size=50000000 HTTP/1.1\r\n\r\n"):
            eventually(lambda: web._connections)
            assert get(web, "/livez").endswith(b"fine\n")
            eventually(lambda: not web._connections)

    def test_a_slow_application_does_not_delay_probes(self, web: Web) -> None:
        with ExitStack() as slow:
            waiting = [slow.enter_context(connect(web, b"GET /metrics?wait HTTP/1.1\r\n\r\n")) for _ in range(20)]
            eventually(lambda: len(web._connections) >= 16)
            assert get(web, "/livez").endswith(b"fine\n")
            assert get(web, "/metrics").startswith(b"HTTP/1.1 503 ")
            GATE.set()
            assert sorted(read(one)[:13] for one in waiting) == [b"HTTP/1.1 200 "] * 16 + [b"HTTP/1.1 503 "] * 4

    def test_clients_that_wait_for_an_answer_are_not_dropped_for_silent_ones(self, web: Web) -> None:
        with ExitStack() as slow, connect(web, b"GET /metrics?wait HTTP/1.1\r\n\r\n") as waiting:
            eventually(lambda: any(one.state.name == "WAITING" for one in web._connections))
            for _ in range(2 * web_module._MOST_CONNECTIONS):
                slow.enter_context(connect(web))
            assert get(web, "/livez").endswith(b"fine\n")
            GATE.set()
            assert read(waiting).endswith(b"xxx")

    def test_no_application_is_run_for_a_client_that_timed_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            asked.append(environ["QUERY_STRING"])
            return metrics(environ, start_response)

        GATE.clear()
        monkeypatch.setattr(web_module, "_MAKING_SECONDS", PATIENCE)
        web = Web("127.0.0.1", 0, "http_port", {}, {"/metrics": application})
        try:
            with connect(web, b"GET /metrics?wait HTTP/1.1\r\n\r\n") as first:
                eventually(lambda: asked)
                monkeypatch.setattr(web_module, "_MAKING_SECONDS", 0.0)
                assert get(web, "/metrics?late") == b""
                monkeypatch.setattr(web_module, "_MAKING_SECONDS", PATIENCE)
                GATE.set()
                assert read(first).endswith(b"xxx")
                assert get(web, "/metrics?last").endswith(b"xxx")
        finally:
            GATE.set()
            web.close()
        assert asked == ["wait", "last"]

    def test_a_client_that_goes_away_while_it_waits_costs_nothing(self, web: Web) -> None:
        connect(web, b"GET /metrics?wait HTTP/1.1\r\n\r\n").close()
        eventually(lambda: any(one.state.name == "WAITING" for one in web._connections))
        before = time.thread_time()
        assert get(web, "/livez").endswith(b"fine\n")
        GATE.set()
        eventually(lambda: not web._connections)
        assert time.thread_time() - before < 1


class TestTrouble:
    def test_without_free_files_a_silent_client_is_dropped(self, web: Web) -> None:
        with connect(web) as waiting, socket.socket() as client:
            eventually(lambda: web._connections)
            with no_more_files():
                client.settimeout(10)
                client.connect(("127.0.0.1", web.port))
                client.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
                assert read(client).endswith(b"fine\n")
            assert waiting.recv(1) == b""

    def test_the_server_survives_a_lack_of_files_without_spinning(
        self, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused, turns = list[float](), list[float]()
        make_room, turn = web._make_room, web._turn
        monkeypatch.setattr(web, "_make_room", lambda: counted(refused, make_room))
        monkeypatch.setattr(web, "_turn", lambda: counted(turns, turn))
        assert get(web, "/livez")
        eventually(lambda: not web._connections)
        with socket.socket() as client:
            client.settimeout(10)
            with no_more_files():
                client.connect(("127.0.0.1", web.port))
                client.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
                before = len(turns)
                eventually(lambda: len(refused) >= 3, what="three tries")
                # One turn takes the try, one ends the pause.
                assert len(turns) - before <= 2 * len(refused) + 2
            assert refused[2] - refused[0] >= 2 * web_module._PAUSE_SECONDS
            assert read(client).endswith(b"fine\n")

    def test_an_error_in_one_connection_does_not_end_others(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        def defective(_: bytes) -> None:
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr(web_module, "read_request", defective)
            assert get(web, "/livez") == b""
        assert get(web, "/livez").endswith(b"fine\n")

    def test_an_answer_that_cannot_be_converted_to_an_error_ends_no_thread(
        self, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = threading.Event()

        def asked(*_: object) -> bytes:
            raise MemoryError

        def short(*_: object, **__: object) -> bytes:
            tried.set()
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr(web_module, "asked_of", asked)
            patched.setattr(web_module, "answer", short)
            with connect(web, b"GET /metrics HTTP/1.1\r\n\r\n"):
                assert tried.wait(PATIENCE)
        assert get(web, "/metrics").endswith(b"xxx")

    @pytest.mark.filterwarnings("error::ResourceWarning")
    def test_a_lack_of_files_at_its_start_is_an_error_that_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_pair(*_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(socket, "socketpair", no_pair)
        with pytest.raises(FairqueError, match=r"http_port 0: .*Too many open files\. Raise the limit of open files"):
            Web("127.0.0.1", 0, "http_port", {}, {})

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
    def test_nothing_that_a_probe_or_an_application_raises_ends_a_thread(self, error: type[BaseException]) -> None:
        def raise_it(*_: Any) -> Any:
            raise error

        web = Web("127.0.0.1", 0, "http.port", {"/livez": lambda: (True, "fine"), "/p": raise_it}, {"/a": raise_it})
        try:
            for path in ("/a", "/p", "/a", "/p"):
                assert get(web, path).startswith(b"HTTP/1.1 500 ")
            assert get(web, "/livez").endswith(b"fine\n")
        finally:
            web.close()

    def test_a_client_that_uses_tls_gets_an_error_without_hanging(self, web: Web) -> None:
        context = ssl.create_default_context()
        with connect(web) as connection, pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_hostname="localhost")

    def test_a_port_that_is_taken_is_named(self, web: Web) -> None:
        with pytest.raises(ConfigurationError, match=f"http_port {web.port}: cannot listen at 127.0.0.1: .*in use"):
            Web("127.0.0.1", web.port, "http_port", {}, {})

    @pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70])
    def test_an_address_of_another_machine_is_named(self, host: str) -> None:
        with pytest.raises(ConfigurationError, match=f"http_port 0: cannot listen at {host}"):
            Web(host, 0, "http_port", {}, {})

    def test_it_listens_on_addresses_of_the_other_family_too(self) -> None:
        try:
            web = Web("::1", 0, "http_port", PROBES, {})
        except ConfigurationError as error:
            if errno.errorcode[errno.EADDRNOTAVAIL] in str(error) or "Cannot assign" in str(error):
                pytest.skip("this machine has no such address")
            raise
        with socket.create_connection(("::1", web.port), 10) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert read(connection).endswith(b"fine\n")
        web.close()

    def test_closing_frees_the_port_and_disconnects_clients(self) -> None:
        web = Web("127.0.0.1", 0, "http_port", PROBES, {"/metrics": metrics})
        assert web.fileno() >= 0
        port = web.port
        with connect(web) as waiting:
            eventually(lambda: web._connections)
            web.close()
            web.close()
            assert waiting.recv(1) == b""
        assert web.fileno() == -1
        Web("127.0.0.1", port, "http_port", {}, {}).close()

    def test_a_program_that_does_not_close_it_ends(self) -> None:
        code = "from fairque.protocol.service.web import Web; Web('127.0.0.1', 0, 'p', {}, {})"
        assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0  # noqa: S603
