"""Worker processes for benchmarks, and how fast they empty a queue."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairque.client import TaskQueue
from fairque.protocol.clock import monotonic

__all__ = ["drain_rate", "worker"]

HERE = Path(__file__).resolve().parent


@contextmanager
def worker(url: str, queue: str, *options: str, seen: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one worker process, and stop it at the end."""
    command = [sys.executable, "-m", "fairque.worker", "benchmark_tasks", "--url", url, "--queue", queue, *options]
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "BENCHMARK_SEEN": str(seen or "")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def drain_rate(queue: TaskQueue, tasks: int) -> float:
    """Return the tasks per second from the first ended task until the queue is empty; the worker has just started."""
    first, began = 0, 0.0
    while (finished := queue.info().totals["finished"]) < tasks:
        if finished and not first:
            first, began = finished, monotonic()
        time.sleep(0.01)
    return (tasks - first) / (monotonic() - began)
