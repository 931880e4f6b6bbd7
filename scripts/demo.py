"""Shows the effect of fairness: one noisy user floods the queue, two quiet ones are still served at once.

The same work runs twice on the same machine: first through one FIFO (all tasks of one user, as in a queue
without users), then fairly between users. The waiting times at the end are measured by the server.
"""

import argparse
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from attrs import field, frozen
from demo_tasks import archive
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from fairque.client import FairqueError, TaskHandle, TaskQueue
from fairque.protocol.embedded import EmbeddedServer

SCRIPTS = Path(__file__).resolve().parent
QUIET_TASKS = 20
QUIET_PAUSE_SECONDS = 0.1
LONGEST_FILE = 64 * 1024
NOISY, QUIET = "noisy", ("quiet-1", "quiet-2")


@frozen
class Waits:
    """Milliseconds from push to start of the tasks of each user."""

    by_user: dict[str, list[int]] = field(factory=dict)

    def percentile(self, user: str, share: float) -> int:
        """Return the wait that the given fraction of a user's tasks did not exceed."""
        waits = sorted(self.by_user[user])
        return waits[min(len(waits) - 1, int(len(waits) * share))]


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000, help="tasks of the noisy user (default: 2000)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console()
    files = _files()
    try:
        with EmbeddedServer() as server:
            waits = {
                label: _run(console, server.url, label, files, arguments.tasks, fair=fair)
                for label, fair in (("one FIFO", False), ("fairque", True))
            }
    except KeyboardInterrupt:
        console.print("stopped: the worker and the server have ended")
        return 130
    except FairqueError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return 1
    console.print(_summary(waits))
    return 0


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _files() -> list[str]:
    """Return the input files: the sources of this checkout."""
    found = sorted(
        str(path)
        for pattern in ("**/*.py", "**/*.lua", "**/*.md")
        for path in SCRIPTS.parent.glob(pattern)
        if path.is_file() and 0 < path.stat().st_size <= LONGEST_FILE
    )
    if not found:
        raise FairqueError(f"no source file in {SCRIPTS.parent}: run the demo from a checkout")
    return found


def _run(console: Console, url: str, label: str, files: list[str], noisy: int, *, fair: bool) -> Waits:
    """Push the flood and, while it drains, the quiet users' tasks; return how long each task waited."""
    paths = itertools.cycle(files)
    done: dict[str, list[TaskHandle[Any]]] = {NOISY: [], **{user: [] for user in QUIET}}
    totals = {NOISY: noisy, **dict.fromkeys(QUIET, QUIET_TASKS)}
    name = label.replace(" ", "-")

    def push(user: str, count: int) -> list[TaskHandle[Any]]:
        # In the FIFO run all tasks belong to the same user, so that only their order of arrival counts.
        function = archive.options(user_id=user if fair else "everybody")
        return list(queue.push_many([function.task(next(paths)) for _ in range(count)], chunked=True))

    with TaskQueue.from_url(url, queue=name) as queue, _worker(url, name), _live(console) as live:
        done[NOISY] = push(NOISY, noisy)
        next_push, finished = time.monotonic(), 0
        while finished < sum(totals.values()):
            if len(done[QUIET[0]]) < QUIET_TASKS and time.monotonic() >= next_push:
                next_push += QUIET_PAUSE_SECONDS
                for user in QUIET:
                    done[user] += push(user, 1)
            finished = queue.info().totals["finished"]
            quiet = {user: sum(handle.state().ended for handle in done[user]) for user in QUIET}
            live.update(_progress(label, {NOISY: finished - sum(quiet.values()), **quiet}, totals))
            time.sleep(QUIET_PAUSE_SECONDS / 2)
        return Waits({user: [_wait_ms(handle) for handle in handles] for user, handles in done.items()})


@contextmanager
def _worker(url: str, queue: str) -> Iterator[None]:
    """Run a real worker process, and stop it at the end."""
    command = [sys.executable, "-m", "fairque.worker", "demo_tasks", "--url", url, "--queue", queue]
    # Its server is in memory on purpose: show no warning about that.
    process = subprocess.Popen([*command, "--concurrency", "4", "--log-level", "error"], cwd=SCRIPTS)
    try:
        yield
        if process.poll() is not None:
            raise FairqueError(f"the worker ended by itself with code {process.returncode}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()


@contextmanager
def _live(console: Console) -> Iterator[Live]:
    with Live(console=console) as live:
        yield live
    if not console.is_terminal:
        # The last progress line has no newline.
        console.print()


def _wait_ms(handle: TaskHandle[Any]) -> int:
    info = handle.info()
    return round(((info.started_at or info.pushed_at) - info.pushed_at).total_seconds() * 1_000)


def _progress(label: str, done: dict[str, int], totals: dict[str, int]) -> Table:
    table = Table(title=f"now: {label}", title_justify="left", box=None, padding=(0, 2))
    table.add_column("user", min_width=8)
    table.add_column("", width=40)
    table.add_column("done", justify="right", min_width=11)
    for user, total in totals.items():
        bar = ProgressBar(total=total, completed=done[user], width=40)
        table.add_row(user, bar, f"{done[user]:,} / {total:,}")
    return table


def _summary(waits: dict[str, Waits]) -> Table:
    table = Table(title="Waiting time from push to start, in seconds", title_justify="left")
    table.add_column("user")
    for label in waits:
        table.add_column(f"{label}: p50", justify="right")
        table.add_column("p95", justify="right")
    for user in (NOISY, *QUIET):
        row = [f"{w.percentile(user, share) / 1000:.2f}" for w in waits.values() for share in (0.5, 0.95)]
        table.add_row(f"{user} ({len(waits['fairque'].by_user[user]):,} tasks)", *row)
    return table


if __name__ == "__main__":
    sys.exit(main())
