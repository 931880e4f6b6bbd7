"""What is measured: a task queue in a Python environment, its producers and its workers."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import frozen
from catalog import PEERS, Load, Peer

from fairque.protocol.clock import monotonic

__all__ = ["Failed", "Side", "Stage", "Workers", "stage"]

HERE = Path(__file__).resolve().parent
#: How many bytes a task writes when it begins.
RECORD_BYTES = 8
_PATIENCE_SECONDS = 180.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A task queue did not do what was measured; the message has the end of its output."""


@frozen
class Side:
    """A task queue to measure.

    Attributes:
        name: Its name in the tables.
        peer: Its name in the catalog.
        python: The Python of its environment.
        version: What is installed.
    """

    name: str
    peer: str
    python: Path
    version: str

    @property
    def entry(self) -> Peer:
        """Its entry in the catalog."""
        return PEERS[self.peer]


@frozen
class Stage:
    """Where a side runs: a server, and a folder with the records of its tasks.

    Attributes:
        side: The side.
        url: The server.
        folder: A temporary folder.
        variables: Further variables of the processes.
    """

    side: Side
    url: str
    folder: Path
    variables: Mapping[str, str]

    @property
    def records(self) -> Path:
        """The file to which each task writes when it begins."""
        return self.folder / "records"

    def ran(self) -> int:
        """Return how many tasks have begun."""
        return self.records.stat().st_size // RECORD_BYTES

    def times(self) -> list[int]:
        """Return when the tasks began, in nanoseconds."""
        data = self.records.read_bytes()
        return sorted(memoryview(data).cast("q"))

    def produce(self, verb: str, task: str, number: int) -> dict[str, Any]:
        """Run a producer and return what it measured; see ``peers/producer.py``."""
        return self.run([str(HERE / "peers" / "producer.py"), verb, task, str(number)])

    def run(self, words: list[str]) -> dict[str, Any]:
        """Run a Python program of the benchmarks in the side's environment and return what it prints as JSON.

        Raises:
            Failed: It failed.
        """
        done = subprocess.run(
            [self.side.python, *words],
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            raise Failed(f"{self.side.name}: {' '.join(words)} failed: {_end(done.stderr)}")
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return measured

    def environment(self) -> dict[str, str]:
        """Return the variables of its processes."""
        return {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "PYTHONPATH": os.pathsep.join([str(HERE / "peers"), str(HERE)]),
            "BENCHMARK_PEER": self.side.peer,
            "BENCHMARK_URL": self.url,
            "BENCHMARK_RECORDS": str(self.records),
            **self.variables,
        }

    @contextmanager
    def workers(self, load: Load, *options: str) -> Iterator["Workers"]:
        """Run workers, with further options of their command, and stop them at the end."""
        log = self.folder / "log"
        environment = {**self.environment(), "BENCHMARK_SLOTS": str(load.slots)}
        started: list[subprocess.Popen[bytes]] = []
        with log.open("ab") as output:
            try:
                for words in self.side.entry.commands(load, self.url):
                    command = [os.fspath(self.side.python), *words, *options]
                    # In sessions of their own, so that the processes that they start are found and stopped with them.
                    started.append(
                        subprocess.Popen(
                            command,
                            env=environment,
                            cwd=self.folder,
                            stdout=output,
                            stderr=output,
                            start_new_session=True,
                        )
                    )
                yield Workers(self, started, log)
            finally:
                for process in started:
                    _stop(process)


@frozen
class Workers:
    """Worker processes that run.

    Attributes:
        stage: Where they run.
        started: The processes that were started; they may have started others.
        log: What they write.
    """

    stage: Stage
    started: list["subprocess.Popen[bytes]"]
    log: Path

    def wait(self, number: int) -> None:
        """Wait until so many tasks have begun.

        Raises:
            Failed: They end, or they take too long.
        """
        until = monotonic() + _PATIENCE_SECONDS
        while self.stage.ran() < number:
            if monotonic() > until or any(process.poll() is not None for process in self.started):
                raise Failed(
                    f"{self.stage.side.name}: its worker has run {self.stage.ran()} of {number} tasks: "
                    f"{_end(self.log.read_text(errors='replace'))}"
                )
            time.sleep(0.002)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes since their start."""
        return sum(sum(map(int, stat[11:13])) for stat in self._stats()) / _TICKS

    def pss_bytes(self) -> int:
        """Return the memory of all processes, in which a page shared by n processes counts as one nth for each."""
        total = 0
        for path in self._processes():
            for line in (path / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
        return total

    def _processes(self) -> Iterator[Path]:
        sessions = {str(process.pid) for process in self.started}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if _stat(path)[3] in sessions:
                    yield path

    def _stats(self) -> Iterator[list[str]]:
        for path in self._processes():
            with suppress(OSError):
                yield _stat(path)


@contextmanager
def stage(side: Side, url: str, **variables: str) -> Iterator[Stage]:
    """Prepare the files of a measurement and remove them afterwards."""
    with tempfile.TemporaryDirectory(prefix="fairque-benchmark-") as name:
        made = Stage(side, url, Path(name), variables)
        made.records.touch()
        yield made


def _end(output: str) -> str:
    """Return the last line, which is the error of a Python program."""
    return next(reversed(output.strip().splitlines()), "it has written nothing")


def _stat(path: Path) -> list[str]:
    """Return the numbers of a process after its name, which may contain spaces."""
    return (path / "stat").read_text().rpartition(")")[2].split()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all others of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
