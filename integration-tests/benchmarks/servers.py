"""The servers of the benchmarks: one for each measurement, on a free port of this machine."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from attrs import frozen

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded import find_server_binary
from fairque.protocol.embedded.binary import find_jemalloc

__all__ = ["Facts", "Server", "facts", "has_valgrind", "server"]

_START_SECONDS = 60.0


@frozen
class Server:
    """A running server.

    Attributes:
        url: Its address.
        pid: Its process.
        folder: Where it writes, with the counts of callgrind.
    """

    url: str
    pid: int
    folder: Path

    def cpu_seconds(self) -> float:
        """Return the CPU time of its main thread since its start."""
        with redis.Redis.from_url(self.url) as client:
            found = client.info("cpu")
        return float(found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"])


@frozen
class Facts:
    """What a figure depends on: the server's name and version, its allocator, and the round trip in milliseconds."""

    server: str
    allocator: str
    round_trip_ms: float


def has_valgrind() -> bool:
    """Whether instructions can be counted here."""
    return all(map(shutil.which, ("valgrind", "vgdb")))


@contextmanager
def server(*, counted: bool = False) -> Iterator[Server]:
    """Run a server that stores nothing on disk; with ``counted`` under callgrind, which does not count yet.

    Yields:
        The server, which answers.

    Raises:
        RuntimeError: It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="fairque-benchmark-") as name:
        folder = Path(name)
        process, url = _start(folder, counted=counted)
        try:
            yield Server(url, process.pid, folder)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def facts() -> Facts:
    """Start a server and describe it."""
    with server() as one, redis.Redis.from_url(one.url) as client:
        found = {**client.info("server"), **client.info("memory")}
        taken = []
        for _ in range(2_000):
            began = monotonic()
            client.ping()
            taken.append(monotonic() - began)
    kind, version = "Redis", found["redis_version"]
    if "valkey_version" in found:
        kind, version = "Valkey", found["valkey_version"]
    return Facts(f"{kind} {version}", str(found["mem_allocator"]), 1_000 * sorted(taken)[len(taken) // 2])


def _start(folder: Path, *, counted: bool) -> tuple["subprocess.Popen[bytes]", str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(_callgrind(folder) if counted else ()),
        *(os.fspath(find_server_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", os.fspath(folder)),
        *("--save", "", "--appendonly", "no", "--hz", "1" if counted else "10"),
    ]
    jemalloc = find_jemalloc()
    environment = {**({"LD_PRELOAD": os.fspath(jemalloc)} if jemalloc else {}), **os.environ}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    url = f"redis://127.0.0.1:{port}/0"
    deadline = monotonic() + _START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        with suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
            client.ping()
            return process, url
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise RuntimeError(f"the server of a benchmark does not start:\n{(folder / 'log').read_text(errors='replace')}")


def _callgrind(folder: Path) -> tuple[str, ...]:
    return ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/counts")
