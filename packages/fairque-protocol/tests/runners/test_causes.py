"""Each error answer of a server, and each other cause of a failure, has its own message and remedy."""

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.exceptions import BusyLoadingError, InvalidResponse, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    QueueFull,
    RedisUnavailable,
    ServerUnsuitable,
)
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.runners.causes import CAUSES, code_and_text
from fairque.protocol.runners.failures import unclear
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing import PlainServer
from fairque.testing.internal import calls, eventually
from fairque.testing.servers import REDIS_SERVER

if TYPE_CHECKING:
    from tests.runners.conftest import Send

KEYS = QueueKeys("causes")
README = Path(__file__).parents[2] / "README.md"
LOOK = calls.read_stats(KEYS)
PUSH = calls.push(KEYS, [Task(task_id="t", user_id="ann")], message_limit=1_000)
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="needs a redis-server")


class Listener:
    """A port of 127.0.0.1 whose connections a function serves, one after the other.

    Attributes:
        port: The port.
        connections: How many there were.
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def settings(self, scheme: str = "redis", **changes: Any) -> RedisSection:
        limits = {"socket_timeout": 0.5, "connect_timeout": 0.5, "retries": 0, **changes}
        return RedisSection(url=f"{scheme}://127.0.0.1:{self.port}/0", **limits)

    def close(self) -> None:
        # Who is in accept is not woken by close alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._served, args=(connection,), daemon=True).start()

    def _served(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                return


def answering(line: str) -> Callable[[socket.socket], None]:
    """Answer each command with the same line."""

    def serve(connection: socket.socket) -> None:
        stream = connection.makefile("rwb")
        while head := stream.readline():
            for _ in range(int(head[1:]) if head.startswith(b"*") else 0):
                stream.read(int(stream.readline()[1:]) + 2)
            stream.write(f"{line}\r\n".encode())
            stream.flush()

    return serve


def saying(text: bytes, *, asked: bool) -> Callable[[socket.socket], None]:
    """Send bytes, at once or after receiving some, and close."""

    def serve(connection: socket.socket) -> None:
        if asked:
            connection.recv(1024)
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1024)

    return serve


def mute(connection: socket.socket) -> None:
    """Send nothing until the other side closes."""
    while connection.recv(1024):
        pass


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], Listener]]:
    made: list[Listener] = []

    def listen(serve: Callable[[socket.socket], None]) -> Listener:
        made.append(Listener(serve))
        return made[-1]

    yield listen
    for one in made:
        one.close()


Listening = Callable[[Callable[[socket.socket], None]], Listener]


def refused(send: "Send", settings: RedisSection, call: Any = LOOK) -> FairqueError:
    with pytest.raises(FairqueError) as caught:
        send(settings, [call])
    assert "\n" not in str(caught.value)
    return caught.value


ANSWERS = [
    ("-OOM command not allowed when used memory > 'maxmemory'.", QueueFull, "out of memory .*Raise maxmemory"),
    (
        "-NOPERM User x has no permissions to run the 'info' command",
        ServerUnsuitable,
        "may not do this: .*Grant the right",
    ),
    ("-NOAUTH Authentication required.", RedisUnavailable, "the server requires one.*redis://USER:PASSWORD@"),
    # What a longer command gets from a server that got its password meanwhile.
    (
        "-ERR Protocol error: unauthenticated multibulk length",
        RedisUnavailable,
        "the server requires one.*redis://USER",
    ),
    ("-ERR Protocol error: unauthenticated bulk length", RedisUnavailable, "the server requires one.*redis://USER"),
    ("-WRONGPASS invalid username-password pair or user is disabled.", RedisUnavailable, "refused the user or pass"),
    ("-ERR invalid password", RedisUnavailable, "refused the user or password"),
    (
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure?",
        RedisUnavailable,
        "it requires none.*Remove the password",
    ),
    ("-DENIED Redis is running in protected mode because ...", RedisUnavailable, "protected mode.*requirepass"),
    ("-ERR max number of clients reached", RedisUnavailable, "no more connections.*CONFIG SET maxclients"),
    (
        "-ERR max number of clients + cluster connections reached",
        RedisUnavailable,
        "no more connections.*CONFIG SET maxclients",
    ),
    ("-LOADING Redis is loading the dataset in memory", RedisUnavailable, "still loading.*INFO persistence"),
    ("-MISCONF Redis is configured to save RDB snapshots", RedisUnavailable, "cannot write to its disk: .*Free space"),
    (
        "-NOREPLICAS Not enough good replicas to write.",
        RedisUnavailable,
        "has too few replicas in sync: .*min-replicas",
    ),
    ("-READONLY You can't write against a read only replica.", RedisUnavailable, "is a replica.*of the primary"),
    ("-MASTERDOWN Link with MASTER is down", RedisUnavailable, "lost its primary.*REPLICAOF NO ONE"),
    ("-BUSY Redis is busy running a script.", RedisUnavailable, "is busy with a script: .*SCRIPT KILL"),
    ("-UNKILLABLE Sorry the script already executed", RedisUnavailable, "cannot be ended.*SHUTDOWN NOSAVE"),
    ("-UNBLOCKED force unblock from blocking operation", RedisUnavailable, "ended a wait: .*became a replica"),
    ("-MOVED 3999 10.0.0.1:6381", ServerUnsuitable, "3999 10.0.0.1:6381|node of a cluster, and this queue"),
    ("-ASK 3999 10.0.0.1:6381", RedisUnavailable, "is moving this queue"),
    ("-TRYAGAIN Multiple keys request during rehashing", RedisUnavailable, "is moving this queue"),
    ("-CLUSTERDOWN The cluster is down", RedisUnavailable, "down or incomplete.*CLUSTER INFO"),
    ("-CROSSSLOT Keys in request don't hash to the same slot", ServerUnsuitable, "keys of a queue together"),
    ("-ERR DB index is out of range", ConfigurationError, "no database number 0.*CONFIG GET databases"),
    ("-ERR invalid DB index", ConfigurationError, "no database number 0"),
    ("-ERR SELECT is not allowed in cluster mode", ConfigurationError, "only has database 0.*Write /0"),
    ("-NOPROTO unsupported protocol version", ServerUnsuitable, "version of the protocol.*upgrade"),
    ("-ERR unknown command 'HELLO'", ServerUnsuitable, "version of the protocol.*upgrade"),
    ("-ERR unknown command `INFO`, with args beginning with: ", ServerUnsuitable, "does not know a command.*renamed"),
    ("-EXECABORT Transaction discarded because of previous errors.", ServerUnsuitable, "transaction"),
]
#: Those are worth another try.
TEMPORARY = re.compile(
    r"-(LOADING|MISCONF|NOREPLICAS|READONLY|MASTERDOWN|BUSY|UNKILLABLE|UNBLOCKED|ASK|TRYAGAIN|CLUSTERDOWN|ERR max)"
)


@pytest.mark.parametrize(("line", "kind", "words"), ANSWERS, ids=lambda value: str(value)[:40])
def test_each_answer_with_a_known_cause_has_its_own_message_and_remedy(
    listening: Listening, send: "Send", line: str, kind: type[FairqueError], words: str
) -> None:
    server = listening(answering(line))
    error = refused(send, server.settings(retries=2))
    assert type(error) is kind
    assert re.search(words, str(error)), str(error)
    assert "Is it running" not in str(error)
    temporary = TEMPORARY.match(line) is not None
    assert server.connections == (3 if temporary else 1)
    if isinstance(error, RedisUnavailable):
        assert error.temporary is temporary


def test_arguments_of_calls_are_not_repeated_in_errors(listening: Listening, send: "Send") -> None:
    """For an unknown command a server quotes its arguments, which must not appear in a log."""
    server = listening(answering("-ERR unknown command 'INFO', with args beginning with: 'private' 'words' "))
    error = str(refused(send, server.settings(retries=0)))
    assert "unknown command 'INFO'. It may be older" in error
    assert "private" not in error


def test_the_readme_shows_the_table_of_causes() -> None:
    cells = [[cell.strip(" `") for cell in line.strip("| ").split(" | ")] for line in README.read_text().splitlines()]
    rows = {row[0]: row[1:4] for row in cells if len(row) == 5}
    for cause in CAUSES:
        what = cause.what.replace("number {database}", "of that number")
        assert rows[cause.name] == [what, "yes" if cause.temporary else "no", cause.kind.__name__], cause.name
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("error", [RedisConnectionError(), RedisTimeoutError("x"), InvalidResponse("x")], ids=repr)
def test_an_error_that_leaves_open_what_is_at_the_address_is_looked_into(error: RedisError) -> None:
    assert unclear(error)


def test_an_answer_of_the_server_takes_precedence_over_an_error_of_the_system() -> None:
    error = BusyLoadingError("Redis is loading the dataset in memory")
    error.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert code_and_text(error) == "LOADING Redis is loading the dataset in memory"


def test_an_error_of_the_system_takes_precedence_over_a_lost_connection() -> None:
    error = RedisConnectionError("Connection lost")
    error.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert code_and_text(error) == "ECONNREFUSED Connection lost"


def test_the_last_of_several_errors_of_the_system_is_reported() -> None:
    error, refusal = RedisConnectionError("Connection lost"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    refusal.__context__ = OSError(errno.ENETUNREACH, "Network is unreachable")
    error.__context__ = refusal
    assert code_and_text(error) == "ECONNREFUSED Connection lost"


class TestServers:
    """Errors of real servers."""

    def test_a_server_without_room_for_a_client_is_reported(self, send: "Send") -> None:
        with PlainServer("--maxclients", "1") as server, redis.Redis.from_url(server.url) as client:
            # What asked whether the server is ready may not be forgotten yet.
            eventually(lambda: _ping(client), what="the only connection")
            error = refused(send, RedisSection(url=f"redis://127.0.0.1:{server.port}", retries=1))
        assert re.search("no more connections .maxclients.*CONFIG SET maxclients", str(error))

    def test_a_server_that_requires_a_password_is_reported(self, send: "Send") -> None:
        with PlainServer("--requirepass", "secret") as server:
            error = refused(send, RedisSection(url=server.url, retries=3))
            assert re.search("the address has none, and the server requires one", str(error))
            url = server.url.replace("unix://", "unix://:wrong@")
            assert "refused the user or password" in str(refused(send, RedisSection(url=url)))
            assert send(RedisSection(url=url.replace("wrong", "secret")), [LOOK])
            assert send(RedisSection(url=f"{server.url}?password=secret"), [LOOK])

    def test_a_server_that_got_a_password_while_running_is_reported(self) -> None:
        with PlainServer() as server, redis.Redis.from_url(server.url) as client:
            runner = Runner(RedisSection(url=server.url))
            with closing(runner):
                runner.run(PUSH)
                client.config_set("requirepass", "secret")
                client.client_kill_filter(_type="normal", skipme=True)
                with pytest.raises(RedisUnavailable, match="the address has none, and the server requires one"):
                    runner.run(PUSH)

    def test_an_unneeded_password_is_distinguished_from_a_wrong_one(self, send: "Send") -> None:
        with PlainServer() as server:
            error = refused(send, RedisSection(url=server.url.replace("unix://", "unix://:pw@")))
        assert re.search("it requires none.*Remove the password", str(error))

    def test_a_missing_right_is_reported_even_if_refused_while_connecting(self, send: "Send") -> None:
        with PlainServer() as server, redis.Redis.from_url(server.url) as client:
            client.acl_setuser("ann", enabled=True, passwords="+pw", keys="*", commands=["+@all", "-select"])
            url = server.url.replace("unix://", "unix://ann:pw@")
            error = refused(send, RedisSection(url=f"{url}?db=1", retries=0))
        assert isinstance(error, ServerUnsuitable)
        assert re.search("may not do this: .*permissions.*select", str(error)), str(error)

    def test_a_server_that_cannot_write_to_its_disk_is_reported(self, send: "Send") -> None:
        with PlainServer("--save", "3600 1") as server:
            settings = RedisSection(url=f"redis://127.0.0.1:{server.port}", retries=0)
            send(settings, [PUSH])
            shutil.rmtree(server.folder)
            with redis.Redis.from_url(settings.url) as client:
                client.bgsave()
                eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            other = calls.push(KEYS, [Task(task_id="t2", user_id="ann")], message_limit=1_000)
            error = refused(send, settings, other)
        assert re.search("cannot write to its disk: .*MISCONF.*Free space", str(error))

    def test_a_replica_is_reported_at_the_first_call_with_the_address_of_its_primary(self, send: "Send") -> None:
        with PlainServer("--replicaof", "127.0.0.1 1") as server:
            error = refused(send, RedisSection(url=server.url, retries=0))
        assert re.search("is a replica, .*replica of 127.0.0.1:1.*address of the primary", str(error))

    def test_a_replica_without_its_primary_is_reported(self, send: "Send") -> None:
        with PlainServer("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no") as server:
            error = refused(send, RedisSection(url=f"{server.url}?client_name=x", retries=0))
        assert re.search("a replica that has lost its primary.*REPLICAOF NO ONE|replica of 127.0.0.1:1", str(error))

    @needs_redis
    def test_a_sentinel_is_reported_with_the_command_that_finds_the_primary(self, send: "Send", tmp_path: Path) -> None:
        with sentinel(tmp_path) as port:
            error = refused(send, RedisSection(url=f"redis://127.0.0.1:{port}", retries=0))
            assert isinstance(error, ServerUnsuitable)
            assert re.search("this is a Sentinel.*SENTINEL GET-MASTER-ADDR-BY-NAME", str(error))
            error = refused(send, RedisSection(url=f"redis://127.0.0.1:{port}/1", retries=0))
            assert re.search("does not know a command that fairque needs.*a Sentinel", str(error))

    def test_the_error_of_a_cluster_node_names_the_node_that_has_the_queue(self, send: "Send") -> None:
        with cluster_node() as one, cluster_node() as other:
            settings = RedisSection(url=one.url, retries=0)
            assert "down or incomplete" in str(refused(send, settings, PUSH))
            assert "only has database 0" in str(refused(send, RedisSection(url=f"{one.url}?db=1"), PUSH))
            with redis.Redis.from_url(one.url) as client, redis.Redis.from_url(other.url) as of_other:
                of_other.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                bus = int(of_other.config_get("cluster-port")["cluster-port"])
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
                eventually(lambda: "cluster_state:ok" in _cluster_info(client), what="the cluster")
            error = refused(send, settings, PUSH)
            assert isinstance(error, ServerUnsuitable)
            assert re.search(f"127.0.0.1:{other.port}.*Set redis.url to that node", str(error))
            assert send(RedisSection(url=other.url), [PUSH])


class TestOtherProtocols:
    """What is at the address is not Redis, or speaks TLS where the address says that it does not."""

    @pytest.mark.parametrize(
        ("serve", "words"),
        [
            (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", asked=True), "is not Redis.*HTTP/1.1 400.*host and port"),
            (saying(b"SSH-2.0-OpenSSH_9.2\r\n", asked=False), "is not Redis.*SSH-2.0.*host and port"),
            (saying(b"\x4a\x00\x00\x00\x0a8.0.3\x00", asked=False), "is not Redis.*host and port"),
            (saying(b"-DENIED Redis is running in protected mode\r\n", asked=False), "in protected mode"),
            (saying(b"-ERR max number of clients reached\r\n", asked=False), "no more connections"),
            (lambda _: None, "closes every connection immediately"),
            (mute, "accepts the connection but sends nothing.*socket_timeout"),
        ],
        ids=["http", "ssh", "mysql", "denied", "maxclients", "closes", "mute"],
    )
    def test_another_protocol_at_the_port_is_reported(
        self, listening: Listening, send: "Send", serve: Callable[[socket.socket], None], words: str
    ) -> None:
        error = refused(send, listening(serve).settings())
        assert re.search(words, str(error)), str(error)
        assert isinstance(error, RedisUnavailable | ServerUnsuitable)

    @pytest.mark.parametrize(
        ("serve", "words"),
        [
            (answering("+PONG"), "does not use TLS on this port.*Write redis://"),
            (answering("-NOAUTH Authentication required."), "does not use TLS on this port"),
            (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", asked=True), "does not use TLS on this port|is not Redis"),
            (lambda _: None, "closes every connection immediately"),
            (mute, "sends nothing"),
        ],
        ids=["redis", "noauth", "http", "closes", "mute"],
    )
    def test_tls_to_a_plain_port_is_reported(
        self, listening: Listening, send: "Send", serve: Callable[[socket.socket], None], words: str
    ) -> None:
        error = refused(send, listening(serve).settings("rediss"))
        assert re.search(words, str(error)), str(error)

    def test_a_real_server_without_tls_is_reported(self, send: "Send") -> None:
        with PlainServer() as server:
            url = f"rediss://127.0.0.1:{server.port}"
            error = refused(send, RedisSection(url=url, retries=0, connect_timeout=0.5))
        assert re.search("does not use TLS on this port.*Write redis://", str(error)), str(error)


class TestTheWay:
    """Errors of the network and of this process."""

    def test_an_unknown_host_is_reported(self, send: "Send") -> None:
        error = refused(send, RedisSection(url="redis://no-such-host.invalid", retries=0))
        assert re.search("cannot be found: its host has no address", str(error))

    def test_a_missing_socket_is_reported(self, send: "Send", tmp_path: Path) -> None:
        error = refused(send, RedisSection(url=f"unix://{tmp_path}/none", retries=0))
        assert re.search("nothing listens there.*Is it running", str(error))

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_a_process_that_can_open_no_more_files_is_reported(self, kind: str) -> None:
        with PlainServer() as server:
            command = [sys.executable, "-c", WITHOUT_FILES, kind, f"redis://127.0.0.1:{server.port}"]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        assert re.search(r"can open no more files.*ulimit -n", ended.stdout), ended.stderr

    @pytest.mark.parametrize(
        ("parameter", "words"),
        [
            ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs cannot be used: .*No such file"),
            ("ssl_certfile=/nowhere/c.pem", "ssl_certfile cannot be used: .*No such file"),
            ("ssl_ca_path=/nowhere", "ssl_ca_path cannot be used: .*No such file"),
            ("ssl_ciphers=none", "ssl_ciphers cannot be used: .*No cipher"),
        ],
    )
    def test_an_unusable_file_for_tls_is_a_configuration_error(self, send: "Send", parameter: str, words: str) -> None:
        error = refused(send, RedisSection(url=f"rediss://localhost:1?{parameter}"))
        assert isinstance(error, ConfigurationError)
        assert re.search(words, str(error))


WITHOUT_FILES = """
import asyncio, os, resource, sys
from fairque.testing.internal import calls
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.wire.keys import QueueKeys

settings = RedisSection(url=sys.argv[2], retries=1)
look = calls.read_stats(QueueKeys("q"))

# What is imported late is there by now.
first = Runner(settings)
first.run(look)

def without_files():
    used = os.open("/", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

async def ask():
    # Kept, or its connection would be closed and leave room for another one.
    first = AsyncRunner(settings)
    await first.run(look)
    without_files()
    await AsyncRunner(settings).run(look)

try:
    if sys.argv[1] == "async":
        asyncio.run(ask())
    else:
        without_files()
        Runner(settings).run(look)
except RedisUnavailable as error:
    print(error)
"""


def _ping(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def _cluster_info(client: Any) -> str:
    return str(client.execute_command("CLUSTER", "INFO"))


@contextmanager
def cluster_node() -> Iterator[PlainServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bus = free.getsockname()[1]
    with PlainServer("--cluster-enabled", "yes", "--cluster-port", str(bus)) as server:
        yield server


@contextmanager
def sentinel(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    configuration = folder / "sentinel.conf"
    configuration.write_text(f"port {port}\ndir {folder}\n")
    command = [os.fspath(REDIS_SERVER or ""), os.fspath(configuration), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own words
        try:
            with redis.Redis(port=port) as client:
                eventually(lambda: _ping(client), what="the Sentinel")
            yield port
        finally:
            process.kill()
