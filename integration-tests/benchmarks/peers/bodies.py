"""The tasks that every task queue runs in the comparison. It needs nothing but the standard library.

Each task records when it began, as eight bytes at the end of a file, so that the measuring program needs no access to
the queue: the number of tasks that ran is the size of the file.
"""

import asyncio
import logging
import os
import random
import struct
import time

__all__ = ["ASYNC", "MIXED", "RESULTS", "SLOTS", "SYNC", "TEXT", "URL"]

#: The server.
URL = os.environ["BENCHMARK_URL"]
#: How many tasks a worker runs at a time.
SLOTS = int(os.environ.get("BENCHMARK_SLOTS", "16"))
#: Whether results are needed. Without them each queue is configured as its documentation says for such tasks.
RESULTS = os.environ.get("BENCHMARK_RESULTS") == "yes"
#: The argument of each task.
TEXT = "x" * 200

NAP_SECONDS = 0.01

_records = os.open(os.environ["BENCHMARK_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_pack = struct.Struct("<q").pack

# Some of them write a line for each task.
logging.disable(logging.INFO)


def _record() -> None:
    os.write(_records, _pack(time.monotonic_ns()))


def noop(_: str) -> None:
    """Do nothing."""
    _record()


def nap(_: str) -> None:
    """Sleep for 10 ms."""
    _record()
    time.sleep(NAP_SECONDS)


async def async_noop(_: str) -> None:
    """Do nothing."""
    _record()


async def async_nap(_: str) -> None:
    """Sleep for 10 ms."""
    _record()
    await asyncio.sleep(NAP_SECONDS)


def rare_nap(_: str) -> None:
    """Do nothing, but sleep for 0.3 s in one of 997 tasks."""
    _record()
    if random.randrange(997) == 0:  # noqa: S311 - nothing is secret
        time.sleep(0.3)


def short_nap(_: str) -> None:
    """Sleep for 0.25 ms."""
    _record()
    time.sleep(0.000_25)


def compute_100(_: str) -> None:
    """Compute for 100 microseconds of CPU time."""
    _record()
    _compute(100)


def compute_200(_: str) -> None:
    """Compute for 200 microseconds of CPU time."""
    _record()
    _compute(200)


def _compute(microseconds: int) -> None:
    until = time.thread_time_ns() + 1_000 * microseconds
    while time.thread_time_ns() < until:
        pass


SYNC = {"noop": noop, "nap": nap}
ASYNC = {"async_noop": async_noop, "async_nap": async_nap}
#: What fairque alone runs.
MIXED = {"rare_nap": rare_nap, "short_nap": short_nap, "compute_100": compute_100, "compute_200": compute_200}
