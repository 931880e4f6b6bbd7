"""The embedded server in one process: start, stop, data on disk and in memory."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.embedded import EmbeddedServer
from fairque.protocol.embedded.address import answers
from fairque.protocol.embedded.binary import find_jemalloc, packaged_server_binary
from fairque.protocol.errors import EmbeddedServerError
from fairque.testing.internal import eventually

Alive = Callable[[str], bool]
Connect = Callable[[str], Any]
SocketOf = Callable[[str], Path]


def test_a_started_server_answers_and_a_stopped_one_does_not(binary: Path, alive: Alive) -> None:
    with EmbeddedServer(binary=binary) as server:
        url = server.url
        assert alive(url)
    assert not alive(url)


def test_it_listens_on_a_unix_socket_only(binary: Path, connect: Connect) -> None:
    with EmbeddedServer(binary=binary) as server:
        assert server.url.startswith("unix:///")
        assert connect(server.url).config_get("port") == {"port": "0"}


def test_only_its_owner_may_reach_it(binary: Path, tmp_path: Path, socket_of: SocketOf) -> None:
    with EmbeddedServer(tmp_path / "data", binary=binary) as server:
        for place in (tmp_path / "data", socket_of(server.url)):
            assert place.stat().st_mode & 0o777 == 0o700


def test_others_may_read_none_of_its_files(binary: Path, tmp_path: Path, connect: Connect) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        connect(server.url).set("key", "value")
        assert not [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077]


@pytest.mark.skipif(find_jemalloc() is None, reason="jemalloc is not installed")
@pytest.mark.skipif(packaged_server_binary() is None, reason="other servers may be linked with it")
@pytest.mark.parametrize("chosen", [None, ""], ids=["by default", "unless its user chose the allocator"])
def test_it_runs_with_jemalloc(connect: Connect, monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> None:
    if chosen is not None:
        monkeypatch.setenv("LD_PRELOAD", chosen)
    with EmbeddedServer(binary=packaged_server_binary()) as server:
        process = connect(server.url).info("server")["process_id"]
        libraries = Path(f"/proc/{process}/maps").read_text()
    assert ("jemalloc" in libraries) == (chosen is None)


def test_it_never_evicts_a_task(binary: Path, connect: Connect) -> None:
    with EmbeddedServer(binary=binary) as server:
        assert connect(server.url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_server_with_a_path_syncs_every_second(binary: Path, tmp_path: Path, connect: Connect) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        found = connect(server.url).config_get("append*", "save")
    assert (found["appendonly"], found["appendfsync"], found["save"]) == ("yes", "everysec", "")


def test_a_server_in_memory_writes_no_data(binary: Path, connect: Connect) -> None:
    with EmbeddedServer(binary=binary) as server:
        assert connect(server.url).config_get("appendonly") == {"appendonly": "no"}


def test_data_of_a_path_survives_a_stop_and_a_start(binary: Path, tmp_path: Path, connect: Connect) -> None:
    server = EmbeddedServer(tmp_path, binary=binary)
    for expected in (1, 2, 3):
        with server:
            assert connect(server.url).incr("count") == expected


def test_a_server_in_memory_leaves_no_folder(binary: Path, socket_of: SocketOf) -> None:
    with EmbeddedServer(binary=binary) as server:
        folder = socket_of(server.url).parent
        assert folder.is_dir()
    assert not folder.exists()


def test_two_servers_in_memory_are_two(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as one, EmbeddedServer(binary=binary) as other:
        assert one.url != other.url


def test_starting_and_stopping_twice_has_no_further_effect(binary: Path, connect: Connect, alive: Alive) -> None:
    server = EmbeddedServer(binary=binary)
    server.start()
    url, run_id = server.url, connect(server.url).info("server")["run_id"]
    server.start()
    assert (server.url, connect(url).info("server")["run_id"]) == (url, run_id)
    server.stop()
    server.stop()
    assert not alive(url)


def test_a_start_after_the_server_died_gives_a_new_server(
    binary: Path, tmp_path: Path, connect: Connect, alive: Alive
) -> None:
    for path in (None, tmp_path):
        with EmbeddedServer(path, binary=binary) as server:
            connect(server.url).shutdown(now=True, force=True)
            server.start()
            assert alive(server.url)


def test_the_thread_that_started_it_may_end(binary: Path, alive: Alive) -> None:
    server = EmbeddedServer(binary=binary)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    with server:
        assert alive(server.url)


def test_signals_that_the_starter_blocks_reach_the_server(binary: Path, connect: Connect, alive: Alive) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server = EmbeddedServer(binary=binary)
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    with server:
        pid = connect(server.url).info("server")["process_id"]
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(server.url), what="the end of the server")


@pytest.mark.parametrize("name", ["x" * 200, """a b it's "hi" 100% 50%25 key#1?a=b ä€ back\\slash"""])
def test_any_folder_name_works(name: str, binary: Path, tmp_path: Path, connect: Connect) -> None:
    for expected in (1, 2):
        with EmbeddedServer(tmp_path / "new" / name, binary=binary) as server:
            assert connect(server.url).incr("count") == expected


def test_the_socket_of_a_long_path_is_removed(binary: Path, tmp_path: Path, socket_of: SocketOf) -> None:
    with EmbeddedServer(tmp_path / ("x" * 200), binary=binary) as server:
        place = socket_of(server.url).parent
        assert place.is_dir()
    assert not place.exists()


def test_a_long_temporary_folder_works(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: Alive
) -> None:
    long = tmp_path / ("x" * 200)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with EmbeddedServer(binary=binary) as server:
        assert alive(server.url)
    assert not [*long.iterdir()]


def test_a_server_that_is_loading_its_data_is_waited_for(binary: Path, tmp_path: Path, connect: Connect) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        connect(server.url).incr("count")
    data = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
    with data.open("ab") as file:
        file.write(b"*2\r\n$4\r\nINCR\r\n$5\r\ncount\r\n" * 500_000)
    starter = threading.Thread(target=server.start)
    starter.start()
    seen = set()
    while starter.is_alive():
        with suppress(OSError):
            seen.add(answers(tmp_path / "server.sock"))
    with server:
        assert False in seen
        assert answers(tmp_path / "server.sock")
        assert connect(server.url).get("count") == "500001"


def test_there_is_no_url_before_the_start() -> None:
    with pytest.raises(EmbeddedServerError, match=r"not started: call start\(\)"):
        _ = EmbeddedServer().url


def test_a_path_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot use .*file as its folder: File exists"):
        EmbeddedServer(tmp_path / "file").start()


@pytest.mark.parametrize("path", ["/proc/self", "/proc/new", "/dev/null/new"])
def test_a_folder_that_cannot_be_written_is_an_error(path: str) -> None:
    with pytest.raises(EmbeddedServerError, match="Give a folder that this user may write"):
        EmbeddedServer(Path(path)).start()


def test_a_missing_program_is_an_error_that_names_it() -> None:
    with pytest.raises(EmbeddedServerError, match="cannot run /no/server: No such file"):
        EmbeddedServer(binary=Path("/no/server")).start()


def test_a_failed_start_quotes_the_log_and_can_be_repeated(binary: Path, tmp_path: Path, connect: Connect) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server:
        connect(server.url).set("key", "value")
    manifest = next((tmp_path / "appendonlydir").glob("*.manifest"))
    good = manifest.read_bytes()
    manifest.write_bytes(b"nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"ended at once(?s:.*)server\.log(?s:.*)Invalid AOF manifest"):
        server.start()
    manifest.write_bytes(good)
    with server:
        assert connect(server.url).get("key") == "value"


def test_a_failed_start_in_memory_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(EmbeddedServerError):
        EmbeddedServer(binary=Path("/no/server")).start()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("folder", ["x", "x" * 200], ids=["short", "long"])
@pytest.mark.parametrize("interrupted", [1, 2], ids=["first", "second"])
def test_a_start_that_is_interrupted_as_a_folder_is_created_leaves_none(
    folder: str, interrupted: int, binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / folder
    temporary.mkdir()
    created: list[str] = []
    mkdir = os.mkdir

    def interrupt(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        created.append(path)
        if len(created) == interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr("os.mkdir", interrupt)
    server = EmbeddedServer(binary=binary)
    with suppress(KeyboardInterrupt):
        server.start()
    server.stop()
    assert created
    assert not [path for path in created if Path(path).exists()]


def test_a_python_that_cannot_be_run_is_an_error_that_names_it(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/python")
    with pytest.raises(EmbeddedServerError, match=r"'/no/python' .* cannot be run"):
        EmbeddedServer(binary=binary).start()
