"""Counts the instructions of a server that runs under callgrind. It needs nothing but the standard library."""

import re
import subprocess
import time
from pathlib import Path

__all__ = ["Counter"]

_ATTEMPTS = 50


class Counter:
    """Reads how many instructions a process has run.

    Args:
        pid: A process under ``valgrind --tool=callgrind --instr-atstart=no``.
        folder: Where it writes its counts, in files whose names begin with ``counts``.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        self._seen: set[Path] = set()
        self._tell("instrumentation on")

    def read(self) -> int:
        """Return the instructions since the last reading, or since the start of counting.

        Raises:
            RuntimeError: Callgrind writes no counts.
        """
        self._tell("dump")
        for _ in range(_ATTEMPTS):
            for path in sorted({*self._folder.glob("counts.*")} - self._seen):
                found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(errors="replace"), re.MULTILINE)
                if found:
                    self._seen.add(path)
                    return int(found[1])
            time.sleep(0.1)
        raise RuntimeError(f"callgrind has written no counts of process {self._pid} to {self._folder}")

    def _tell(self, words: str) -> None:
        for _ in range(_ATTEMPTS):
            done = subprocess.run(
                ["vgdb", f"--pid={self._pid}", *words.split()], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"vgdb cannot reach process {self._pid}: {done.stderr.strip()}")
