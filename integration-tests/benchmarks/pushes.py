"""Workloads of producers: how fast they push, and how soon an idle worker starts a task and returns its result."""

import statistics
from collections.abc import Callable

from catalog import Load
from figures import Figures, Workload
from servers import server
from sides import Side, stage

__all__ = ["WORKLOADS"]

#: Tasks of a full run.
ONE_BY_ONE, IN_BULK, CALLS = 4_000, 20_000, 300
FEWEST = 20


def _push(verb: str, number: int) -> Callable[[Side, float], Figures]:
    def run(side: Side, scale: float) -> Figures:
        with server() as one, stage(side, one.url) as place:
            return place.produce(verb, _load(side).task, max(FEWEST, int(number * scale)))

    return run


def _calls(side: Side, scale: float) -> Figures:
    load = _load(side)
    with server() as one, stage(side, one.url, BENCHMARK_RESULTS="yes") as place, place.workers(load) as workers:
        place.produce("push", load.task, 1)
        workers.wait(1)
        measured = place.produce("call", load.task, max(FEWEST, int(CALLS * scale)))
    starts, results = measured["starts"], measured["results"]
    return {"start p50 ms": statistics.median(starts), "result p50 ms": statistics.median(results)}


def _load(side: Side) -> Load:
    return Load("noop" if side.entry.sync else "async_noop", slots=16)


WORKLOADS = (
    Workload("push", "pushed one by one, by one producer", _push("push", ONE_BY_ONE)),
    Workload("push-bulk", "pushed in bulk", _push("push_many", IN_BULK), lambda side: side.entry.bulk),
    Workload("latency", "from a push to the start and to the result, idle", _calls),
)
