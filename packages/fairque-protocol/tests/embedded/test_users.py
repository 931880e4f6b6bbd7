"""Several users of one server, and what remains when processes are killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from fairque.protocol.embedded import EmbeddedServer
from fairque.testing.internal import PATIENCE, eventually

Alive = Callable[[str], bool]
Connect = Callable[[str], Any]
Processes = Callable[[str], tuple[int, int]]
RunId = Callable[[str], str]
Said = Callable[[Popen[str]], str]
SocketOf = Callable[[str], Path]
User = Callable[..., Popen[str]]

FORKER = """
import os
import sys
from fairque.protocol.embedded import resolve_url

def say(text):
    # At once, since both processes write to the same pipe.
    os.write(1, f"{text}\\n".encode())


say(resolve_url(sys.argv[1]))
if child := os.fork():
    say(child)
    sys.exit()
say(resolve_url(sys.argv[1]))
sys.stdin.read()
"""


@pytest.fixture
def processes(connect: Connect) -> Processes:
    """Gives the ids of the guard and the server."""

    def processes(url: str) -> tuple[int, int]:
        server = int(connect(url).info("server")["process_id"])
        status = Path(f"/proc/{server}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("PPid:")), server

    return processes


@pytest.fixture
def run_id(connect: Connect) -> RunId:
    return lambda url: str(connect(url).info("server")["run_id"])


def test_a_second_user_of_the_same_path_attaches(binary: Path, tmp_path: Path, run_id: RunId) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as one, EmbeddedServer(tmp_path) as other:
        assert run_id(one.url) == run_id(other.url)


def test_a_path_has_one_server_however_it_is_written(
    binary: Path, tmp_path: Path, run_id: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    with (
        EmbeddedServer(tmp_path / "data", binary=binary) as one,
        EmbeddedServer(tmp_path / "link") as two,
        EmbeddedServer(Path("data")) as three,
    ):
        assert run_id(one.url) == run_id(two.url) == run_id(three.url)


def test_attaching_needs_no_program(binary: Path, tmp_path: Path, alive: Alive) -> None:
    with (
        EmbeddedServer(tmp_path, binary=binary),
        EmbeddedServer(tmp_path, binary=Path("/no/server")) as other,
    ):
        assert alive(other.url)


def test_the_server_outlives_the_user_that_started_it(
    binary: Path, tmp_path: Path, user: User, said: Said, run_id: RunId
) -> None:
    starter = user(binary, tmp_path)
    url = said(starter)
    with EmbeddedServer(tmp_path) as other:
        before = run_id(url)
        starter.communicate(timeout=20)
        assert starter.returncode == 0
        assert run_id(other.url) == before


def test_the_server_outlives_a_killed_starter_while_others_use_it(
    *, binary: Path, tmp_path: Path, user: User, said: Said, run_id: RunId, alive: Alive
) -> None:
    starter = user(binary, tmp_path)
    url = said(starter)
    with EmbeddedServer(tmp_path) as other:
        before = run_id(url)
        starter.kill()
        starter.wait()
        assert run_id(other.url) == before
    assert not alive(url)


def test_a_server_in_memory_ends_with_its_killed_user(
    binary: Path, user: User, said: Said, alive: Alive, socket_of: SocketOf
) -> None:
    killed = user(binary)
    url = said(killed)
    assert alive(url)
    killed.kill()
    eventually(lambda: not socket_of(url).parent.exists(), what="the folder is removed")
    assert not alive(url)


def test_a_server_with_a_path_ends_with_its_killed_user_and_keeps_the_data(
    *, binary: Path, tmp_path: Path, user: User, said: Said, alive: Alive, connect: Connect
) -> None:
    killed = user(binary, tmp_path)
    url = said(killed)
    connect(url).set("key", "value")
    killed.kill()
    eventually(lambda: not alive(url), what="the server ends")
    with EmbeddedServer(tmp_path, binary=binary) as server:
        assert connect(server.url).get("key") == "value"


def test_a_start_during_the_end_of_the_last_one_gets_a_server(
    binary: Path, tmp_path: Path, user: User, said: Said, alive: Alive
) -> None:
    for _ in range(5):
        killed = user(binary, tmp_path)
        said(killed)
        killed.kill()
        with EmbeddedServer(tmp_path, binary=binary) as server:
            assert alive(server.url)


def test_processes_that_race_to_start_get_one_server(
    binary: Path, tmp_path: Path, user: User, said: Said, run_id: RunId
) -> None:
    racers = [user(binary, tmp_path) for _ in range(6)]
    urls = [said(racer) for racer in racers]
    assert len({run_id(url) for url in urls}) == 1
    for racer in racers:
        racer.communicate(timeout=20)
    assert [racer.returncode for racer in racers] == [0] * 6


def test_the_server_ends_with_its_killed_guard_and_a_new_one_starts(
    binary: Path, tmp_path: Path, processes: Processes, alive: Alive, connect: Connect
) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        connect(server.url).set("key", "value")
        guard, _ = processes(server.url)
        os.kill(guard, signal.SIGKILL)
        eventually(lambda: not alive(server.url), what="the server ends")
        with EmbeddedServer(tmp_path, binary=binary) as other:
            assert connect(other.url).get("key") == "value"


def test_a_killed_guard_leaves_no_folder_in_memory(
    binary: Path, processes: Processes, alive: Alive, socket_of: SocketOf
) -> None:
    with EmbeddedServer(binary=binary) as server:
        url = server.url
        os.kill(processes(url)[0], signal.SIGKILL)
        eventually(lambda: not alive(url), what="the server ends")
    assert not socket_of(url).parent.exists()


def test_a_terminated_guard_stops_the_server_first(
    binary: Path, tmp_path: Path, processes: Processes, connect: Connect
) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        connect(server.url).set("key", "value")
        os.kill(processes(server.url)[0], signal.SIGTERM)
        eventually(lambda: "bye bye" in (tmp_path / "server.log").read_text(), what="the server ends in peace")
        server.start()
        assert connect(server.url).get("key") == "value"


def test_files_left_by_a_crash_do_not_block_a_start(
    binary: Path, tmp_path: Path, processes: Processes, socket_of: SocketOf, connect: Connect
) -> None:
    path = tmp_path / ("x" * 200)
    with EmbeddedServer(path, binary=binary) as crashed:
        stale = socket_of(crashed.url)
        connect(crashed.url).set("key", "value")
        for process in processes(crashed.url):
            os.kill(process, signal.SIGKILL)
    assert stale.exists()
    with EmbeddedServer(path, binary=binary) as server:
        assert connect(server.url).get("key") == "value"
        assert not stale.exists()


def test_a_note_of_a_socket_that_a_reboot_removed_does_not_block_a_start(
    binary: Path, tmp_path: Path, alive: Alive
) -> None:
    (tmp_path / "server.address").write_text("/no/such/server.sock")
    with EmbeddedServer(tmp_path, binary=binary) as server:
        assert alive(server.url)


def test_ctrl_c_of_the_terminal_does_not_reach_the_server(binary: Path, processes: Processes) -> None:
    with EmbeddedServer(binary=binary) as server:
        for process in processes(server.url):
            assert os.getsid(process) != os.getsid(0)
            assert os.getpgid(process) != os.getpgid(0)


def test_a_forked_child_keeps_the_server_that_it_inherited(user: User, said: Said, alive: Alive) -> None:
    parent = user("embedded://", lines=FORKER)
    url = said(parent)
    child, seen_by_child = sorted([said(parent), said(parent)], key=len)
    assert seen_by_child == url
    assert parent.wait(PATIENCE) == 0
    assert alive(url)
    os.kill(int(child), signal.SIGKILL)
    eventually(lambda: not alive(url), what="the server ends with the child")
