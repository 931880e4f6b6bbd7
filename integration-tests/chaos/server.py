"""The server under test: a real one, with or without an append-only file, killed and restarted."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fairque.protocol.embedded import find_server_binary
from fairque.protocol.embedded.binary import packaged_server_binary
from fairque.testing import free_port

__all__ = ["Persistence", "Server"]

#: When the append-only file is written to disk; none: without such a file.
Persistence = Literal["always", "everysec", "none"]

_START_SECONDS = 30.0


class Server:
    """One server process at a time, with one port and one folder.

    Attributes:
        port: Its port on the loopback.
        admin: A client for the faults, without a proxy.
    """

    def __init__(self, folder: Path, persistence: Persistence, *, replica_of: int | None = None) -> None:
        self._folder = folder
        self._persistence = persistence
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        # If the server is down, fail at once; the run retries.
        self.admin = redis.Redis(port=self.port, socket_timeout=10, retry=Retry(NoBackoff(), 0))
        folder.mkdir(parents=True, exist_ok=True)
        self._end_left_over()
        self.start(replica_of)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, replica_of: int | None = None) -> None:
        """Start it with the data in its folder, and wait until it has loaded that and answers."""
        binary = packaged_server_binary() or find_server_binary()
        append = "no" if self._persistence == "none" else "yes"
        fsync = "no" if self._persistence == "none" else self._persistence
        command = [
            *(str(binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
            *("--save", "", "--appendonly", append, "--appendfsync", fsync, "--maxmemory-policy", "noeviction"),
            *("--repl-diskless-sync-delay", "0", "--daemonize", "no"),
            *(("--replicaof", f"127.0.0.1 {replica_of}") if replica_of else ()),
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._pid.write_text(str(self._process.pid))
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if self.admin.ping():
                    return
            except redis.RedisError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the server did not start: see {self._folder}/server.log") from None
                time.sleep(0.02)

    @property
    def _pid(self) -> Path:
        return self._folder / "pid"

    def _end_left_over(self) -> None:
        """Kill the server of an interrupted run: two must not write to one file."""
        if self._pid.exists():
            pid = int(self._pid.read_text())
            with suppress(OSError):
                if str(self._folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
                    while Path(f"/proc/{pid}").exists():
                        time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL it at any moment."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        self.admin.connection_pool.disconnect()

    def caught_up_with(self, primary: "Server") -> bool:
        """Whether this replica has all writes of its primary."""
        mine, theirs = self.admin.info("replication"), primary.admin.info("replication")
        linked = mine.get("master_link_status") == "up" and not mine.get("master_sync_in_progress")
        return linked and mine.get("slave_repl_offset") == theirs.get("master_repl_offset")

    def promote(self) -> None:
        """Make this replica a primary."""
        self.admin.replicaof("NO", "ONE")

    @contextmanager
    def little_memory(self) -> Iterator[None]:
        """Make the server run out of memory while the context is active."""
        self.admin.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.admin.config_set("maxmemory", 0)

    def close(self) -> None:
        self.kill()
        self.admin.close()
