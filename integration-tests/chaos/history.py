"""The history of a run: every actor appends what it did to a file of its own, one JSON object a line.

All actors run on the server's machine, so that `now_us` is the time of the server itself. A call was carried out at
some time between ``sent`` and ``answered``; what has no answer has the outcome ``info``: nobody knows.

| op | who | what it says |
|---|---|---|
| `push` | producer | the tasks that are about to be pushed, before the call |
| `pushed` | producer | what became of them: `ok` with the ids that stand for them, `fail`, or `info` |
| `result` | producer | how a task ended, as its handle said |
| `call` | proxy | one call of a script, with its answer if there was one: the truth about what the server did |
| `link` | proxy | a connection was lost, and by whom |
| `start`, `end` | handler | the ledger: an attempt ran, and how it ended |
| `xcom_push`, `xcom_pull` | handler | a value under a key, of `task` with `fence` |
| `fire` | scheduler | a task for the time `fire_ms` of a `schedule` |
| `nemesis` | run | a fault: `name`, its `victim`, and whether it `begins` or `ends` |
| `watch` | run | from here on it looks which leases are over and not taken back |
| `back` | run | a task was taken back whose lease had been over when the run had looked before |
| `died` | run | a worker process ended, with its exit code |
| `final` | run | the record of a task after all was quiet |
| `audit` | run | what is wrong with the keys, if anything |
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Event", "Journal", "now_us", "read_history"]

Event = dict[str, Any]


def now_us() -> int:
    """Microseconds since the epoch, as the server's TIME says on the same machine."""
    return time.time_ns() // 1000


class Journal:
    """One actor's file. A line is one write, so that a kill at any time leaves whole lines."""

    def __init__(self, folder: Path, actor: str, file: str = "") -> None:
        self.actor = actor
        self._file = os.open(folder / f"{file or actor}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, op: str, **fields: Any) -> None:
        event = {"at": now_us(), "actor": self.actor, "op": op, **fields}
        os.write(self._file, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_history(folder: Path, actors: str = "*") -> Iterator[Event]:
    """Give all events of a run, or those of some actors, actor by actor, one after the other."""
    for path in sorted(folder.glob(f"{actors}.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                # A machine that went down may have kept a part of the last line.
                if line.endswith(b"\n"):
                    yield json.loads(line)
