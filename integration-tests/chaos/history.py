"""The history of a run: every actor appends its events to its own file, one JSON object per line.

All actors run on the server's machine, so that `now_us` is the time of the server. A call was executed at
some time between ``sent`` and ``answered``; a call without an answer has the outcome ``info``: unknown.

| op | actor | meaning |
|---|---|---|
| `push` | producer | the tasks about to be pushed, before the call |
| `pushed` | producer | the outcome: `ok` with the ids under which they are stored, `fail`, or `info` |
| `result` | producer | how a task ended, according to its handle |
| `call` | proxy | one call of a script, with its answer if there was one: what the server really did |
| `link` | proxy | a connection was lost, and which side closed it |
| `start`, `end` | handler | the ledger: an attempt ran, and how it ended |
| `xcom_push`, `xcom_pull` | handler | a value under a key, of `task` with `fence` |
| `fire` | scheduler | a task for the run at `fire_ms` of a `schedule` |
| `nemesis` | run | a fault: `name`, its `victim`, and whether it `begins` or `ends` |
| `watch` | run | from here on it watches for expired leases that are not reclaimed |
| `back` | run | a task was reclaimed whose lease had already been expired at the previous look |
| `died` | run | a worker process ended, with its exit code |
| `final` | run | the record of a task at the end of the run |
| `audit` | run | problems in the keys, if any |
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
    """Microseconds since the epoch, like the server's TIME on the same machine."""
    return time.time_ns() // 1000


class Journal:
    """The file of one actor. A line is one write, so that a kill at any time leaves whole lines."""

    def __init__(self, folder: Path, actor: str, file: str = "") -> None:
        self.actor = actor
        self._file = os.open(folder / f"{file or actor}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, op: str, **fields: Any) -> None:
        event = {"at": now_us(), "actor": self.actor, "op": op, **fields}
        os.write(self._file, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_history(folder: Path, actors: str = "*") -> Iterator[Event]:
    """Yield all events of a run, or those of some actors, actor by actor."""
    for path in sorted(folder.glob(f"{actors}.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                # After a crash of the machine, the last line may be incomplete.
                if line.endswith(b"\n"):
                    yield json.loads(line)
