"""The processes of a run: started, hit by faults, and restarted when they have died."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from chaos.history import Journal
from chaos.plan import Plan
from chaos.proxy import Proxy
from chaos.settings import worker_environ

__all__ = ["END_SECONDS", "Actor", "ProducerActor", "WorkerActor"]

_HERE = Path(__file__).parent
#: Exit codes of a worker: stopped; a fault made the server unavailable while it started.
_STOPPED, _UNREACHABLE = 0, 3
#: Far more than the grace of a worker, because the machine may be busy.
END_SECONDS = 60.0


class Actor:
    """A slot for a process, with a proxy that outlives the process.

    Attributes:
        name: Name of the slot.
        proxy: Its connection to the server.
        busy: Whether a fault affects it, so that no other fault may.
    """

    def __init__(self, name: str, folder: Path, proxy: Proxy) -> None:
        self.name = name
        self.proxy = proxy
        self.busy = False
        self._folder = folder
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    def signal(self, number: int) -> None:
        if self._popen is not None:
            self._popen.send_signal(number)

    def exit_code(self) -> int | None:
        """Exit code of the process; None while it runs."""
        return None if self._popen is None else self._popen.poll()

    def close(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def _spawn(self, module: str, *args: str, environ: dict[str, str] | None = None) -> None:
        # Workers start many times: only the first one has to compile its imports.
        cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self._folder / "compiled")}
        paths = [str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env={**os.environ, **cache, "PYTHONPATH": os.pathsep.join(paths), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class WorkerActor(Actor):
    """A worker that is restarted whenever it has ended.

    Attributes:
        worker: Name of the current process, new for each.
        odd_ends: Exit codes not explained by a fault.
    """

    def __init__(self, name: str, folder: Path, proxy: Proxy, plan: Plan, journal: Journal) -> None:
        super().__init__(name, folder, proxy)
        self._plan = plan
        self._journal = journal
        self._generation = 0
        self._expected = False
        self._asked = 0
        self._codes: dict[str, int] = {}
        self.worker = ""
        self.odd_ends: list[int] = []

    def start(self) -> None:
        self._generation += 1
        # The start time of the journal makes the name unique when a run continues.
        self.worker = f"{self.name}.{self._journal.actor}.{self._generation}"
        self._expected = False
        self._asked = self._pops()
        self.proxy.recorder.held.clear()
        self._spawn("chaos.worker", environ=worker_environ(self._plan, self.url, self.worker, self._folder / "history"))

    @property
    def ready(self) -> bool:
        """Whether it takes tasks, and no fault affects it."""
        return not self.busy and self.exit_code() is None and self._pops() > self._asked

    def _pops(self) -> int:
        return self.proxy.recorder.seen.get("pop", 0)

    def code_of(self, worker: str) -> int | None:
        """Exit code of a process of this slot; None while it runs."""
        return self.exit_code() if worker == self.worker else self._codes.get(worker)

    def kill(self) -> None:
        """Kill it without warning."""
        self._journal.note("died", worker=self.worker, by="nemesis")
        self._expected = True
        self.signal(signal.SIGKILL)

    def stop(self) -> None:
        """Tell it to stop."""
        self._journal.note("stopped", worker=self.worker)
        self._expected = True
        self.signal(signal.SIGTERM)

    def ended_in_time(self) -> bool:
        """Wait for the end after `stop`, and return whether it was clean."""
        if self._popen is None:
            return False
        try:
            return self._popen.wait(END_SECONDS) == _STOPPED
        except subprocess.TimeoutExpired:
            return False

    def tend(self) -> None:
        """Restart it if it has ended."""
        code = self.exit_code()
        if code is None:
            return
        self._codes[self.worker] = code
        if not self._expected:
            by = "poison" if code == -signal.SIGKILL else "itself"
            self._journal.note("died", worker=self.worker, by=by, code=code)
            if code not in (_STOPPED, _UNREACHABLE, -signal.SIGKILL):
                self.odd_ends.append(code)
        self.start()


class ProducerActor(Actor):
    """A producer, started once."""

    def __init__(self, number: int, folder: Path, proxy: Proxy) -> None:
        super().__init__(f"producer-{number}", folder, proxy)
        self._number = number

    def start(self) -> None:
        self._spawn("chaos.producer", str(self._folder), str(self._number), self.url)
