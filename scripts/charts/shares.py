"""Draws the chart of the README from two real runs, FIFO and fairque: each user's share of the work over time.

One user floods the queue, three others push a little work each later. Run it with ``hatch run charts:draw``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from attrs import frozen
from chart_tasks import work
from matplotlib import pyplot as plt

from fairque.client import TaskQueue
from fairque.protocol.embedded import EmbeddedServer

HERE = Path(__file__).resolve().parent
TASK_SECONDS = 0.01
#: User, when it pushes in seconds after the start of the worker, and its number of tasks.
PUSHES = (("noisy", 0.0, 1_200), ("ann", 2.0, 120), ("bob", 4.0, 120), ("eve", 6.0, 60))
WINDOW_SECONDS = 0.5


@frozen
class Done:
    """One finished task: its user, start and end, in seconds after the start."""

    user: str
    began: float
    ended: float


def main() -> None:
    """Run the work twice and draw."""
    with EmbeddedServer() as server:
        runs = {name: _run(server.url, name, fair=name == "fairque") for name in ("one FIFO", "fairque")}
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fairque", "font.size": 9})
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
    for axis, (name, done) in zip(axes, runs.items(), strict=True):
        times, shares = _shares(done)
        axis.stackplot(times, shares, labels=[user for user, _, _ in PUSHES])
        for user, at, _ in PUSHES[1:]:
            axis.axvline(at, color="black", linewidth=0.6, linestyle=":")
            axis.annotate(user, (at, 1.02), ha="center", annotation_clip=False)
        axis.set(title=f"{name}\n", xlabel="seconds (dotted: a user pushes)", xlim=(times[0], times[-1]), ylim=(0, 1))
    axes[0].set_ylabel("share of the worker")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(HERE / "shares.svg", metadata={"Date": None})
    for name, done in runs.items():
        for user, at, tasks in PUSHES[1:]:
            last = max(one.ended for one in done if one.user == user)
            print(f"{name:8} {user:4} pushed {tasks} tasks at {at:.0f} s and had all of them after {last - at:.1f} s")


def _run(url: str, name: str, *, fair: bool) -> list[Done]:
    name = name.replace(" ", "-")
    with tempfile.TemporaryDirectory() as folder, TaskQueue.from_url(url, queue=name) as queue:
        ledger = Path(folder) / "ledger"
        with _worker(url, name, ledger):
            started = _push_and_wait(queue, fair=fair)
        lines = [line.split() for line in ledger.read_text(encoding="utf-8").splitlines()]
    return [Done(user, float(began) - started, float(ended) - started) for user, began, ended in lines]


@contextmanager
def _worker(url: str, name: str, ledger: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "fairque.worker", "chart_tasks", "--url", url, "--queue", name]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "CHART_LEDGER": str(ledger)}
    with subprocess.Popen([*command, "--concurrency", "1"], env=environment, stderr=subprocess.DEVNULL) as process:
        yield
        process.terminate()


def _push_and_wait(queue: TaskQueue, *, fair: bool) -> float:
    """Push at the given times, wait until all tasks are done, and return when the first one ended."""
    started = 0.0
    for user, at, tasks in PUSHES:
        time.sleep(max(0.0, started + at - time.monotonic()) if started else 0.0)
        one = work.options(user_id=user if fair else "everybody").task
        queue.push_many([one(user, TASK_SECONDS) for _ in range(tasks)], chunked=True)
        while not started:
            time.sleep(0.01)
            started = time.monotonic() if queue.info().totals["finished"] else 0.0
    while queue.info().totals["finished"] < sum(tasks for _, _, tasks in PUSHES):
        time.sleep(0.05)
    return started


def _shares(done: list[Done]) -> tuple[list[float], list[list[float]]]:
    """Return the midpoints of the windows, and each user's share of the work in each window."""
    windows = int(max(one.ended for one in done) / WINDOW_SECONDS)
    work_in: dict[str, list[float]] = {user: [0.0] * windows for user, _, _ in PUSHES}
    for one in done:
        window = min(windows - 1, max(0, int(one.ended / WINDOW_SECONDS)))
        work_in[one.user][window] += one.ended - one.began
    totals = [sum(column) or 1.0 for column in zip(*work_in.values(), strict=True)]
    times = [(number + 0.5) * WINDOW_SECONDS for number in range(windows)]
    return times, [[part / total for part, total in zip(parts, totals, strict=True)] for parts in work_in.values()]


if __name__ == "__main__":
    main()
