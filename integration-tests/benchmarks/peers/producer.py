"""The producer of one task queue: ``python producer.py VERB TASK NUMBER`` prints one line of JSON.

It runs in the environment of that queue and needs nothing else but the standard library. The queue is that of the
module ``on_NAME`` with the name in BENCHMARK_PEER. The verbs: ``push`` and ``push_many`` print the tasks a second;
``call`` prints how long tasks took to start and to return, in milliseconds, each pushed when the last one was done.
"""

import asyncio
import importlib
import inspect
import json
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

#: Seconds between two calls, in which all processes become idle.
REST_SECONDS = 0.01
#: Of how many tasks one is pushed before the time is taken, and how many at most.
WARM_UP_SHARE, WARM_UP_TASKS = 10, 50


async def main(verb: str, task: str, number: int) -> None:
    """Do what the arguments say."""
    peer = importlib.import_module(f"on_{os.environ['BENCHMARK_PEER']}")
    await _run(getattr(peer, "connect", _nothing))
    try:
        measured = await (_calls if verb == "call" else _pushes)(getattr(peer, verb), task, number)
    finally:
        await _run(getattr(peer, "close", _nothing))
    print(json.dumps(measured), flush=True)


async def _pushes(push: Callable[..., Any], task: str, number: int) -> dict[str, Any]:
    warm_up = min(number // WARM_UP_SHARE, WARM_UP_TASKS)
    await _run(push, task, warm_up)
    began = time.monotonic()
    await _run(push, task, number - warm_up)
    return {"tasks a second": (number - warm_up) / (time.monotonic() - began)}


async def _calls(call: Callable[..., Any], task: str, number: int) -> dict[str, Any]:
    starts, results = [], []
    warm_up = max(3, min(number // WARM_UP_SHARE, WARM_UP_TASKS))
    for place in range(number + warm_up):
        time.sleep(REST_SECONDS)  # noqa: ASYNC251 - nothing else runs here
        pushed = time.monotonic_ns()
        await _run(call, task)
        done = time.monotonic_ns()
        if place >= warm_up:
            starts.append((_last_record() - pushed) / 1e6)
            results.append((done - pushed) / 1e6)
    return {"starts": starts, "results": results}


def _last_record() -> int:
    with Path(os.environ["BENCHMARK_RECORDS"]).open("rb") as records:
        records.seek(-8, os.SEEK_END)
        (began,) = struct.unpack("<q", records.read(8))
    return int(began)


async def _run(function: Callable[..., Any], *args: Any) -> None:
    result: Awaitable[None] | None = function(*args)
    if inspect.isawaitable(result):
        await result


def _nothing() -> None:
    pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
