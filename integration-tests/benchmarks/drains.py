"""Workloads with workers: how fast they empty a queue, what that costs, and how they keep up with tasks that wait."""

import time
from collections.abc import Callable

from catalog import Load
from figures import Figures, Workload
from servers import server
from sides import Side, stage

__all__ = ["WORKLOADS"]

#: Tasks of a full run for fairque; slower queues get a part of them.
NOOPS, NAPS, MIXED = 40_000, 2_000, 12_000
NAP_SECONDS = 0.01
#: How long a worker has nothing to do before its memory is read.
IDLE_SECONDS = 1.0
#: The first tasks, in which workers connect and import, are not counted.
WARM_UP_SHARE = 10
#: Fewer tell nothing.
FEWEST = 100

RATE, SERVER_US, WORKER_US, BOTH_US = "tasks a second", "server µs a task", "worker µs a task", "CPU µs a task"


def drain(side: Side, load: Load, tasks: int, *options: str, **variables: str) -> Figures:
    """Fill a queue, start workers, and measure from the first tenth of the tasks to the last one.

    Args:
        side: What is measured.
        load: The tasks, and how many run at a time.
        tasks: How many.
        options: Further options of the worker's command.
        variables: Further variables of its processes.

    Returns:
        The tasks a second, and the CPU time of server and workers a task.
    """
    verb = "push_many" if side.entry.bulk else "push"
    with server() as one, stage(side, one.url, **variables) as place:
        place.produce(verb, load.task, tasks)
        with place.workers(load, *options) as workers:
            workers.wait(tasks // WARM_UP_SHARE)
            before = place.ran(), one.cpu_seconds(), workers.cpu_seconds()
            workers.wait(tasks)
            after = place.ran(), one.cpu_seconds(), workers.cpu_seconds()
        times = place.times()
    counted = times[tasks // WARM_UP_SHARE :]
    number, of_server, of_workers = (last - first for last, first in zip(after, before, strict=True))
    figures = {RATE: 1e9 * (len(counted) - 1) / (counted[-1] - counted[0])}
    if number:
        figures[SERVER_US], figures[WORKER_US] = 1e6 * of_server / number, 1e6 * of_workers / number
        figures[BOTH_US] = figures[SERVER_US] + figures[WORKER_US]
    return figures


def _noops(load: Load) -> Callable[[Side, float], Figures]:
    def run(side: Side, scale: float) -> Figures:
        return drain(side, load, max(FEWEST, int(NOOPS * scale * side.entry.share)))

    return run


def _naps(side: Side, scale: float) -> Figures:
    load = _nap_load(side)
    tasks = max(FEWEST, int(NAPS * scale))
    verb = "push_many" if side.entry.bulk else "push"
    with server() as one, stage(side, one.url) as place:
        place.produce(verb, load.task, tasks)
        with place.workers(load) as workers:
            workers.wait(tasks)
        times = place.times()
    ideal = NAP_SECONDS * tasks / load.slots
    return {"wall / ideal": ((times[-1] - times[0]) / 1e9 + NAP_SECONDS) / ideal}


def _nap_load(side: Side) -> Load:
    return Load("nap" if side.entry.sync else "async_nap", slots=50)


def _mixed(task: str, tasks: int) -> Callable[[Side, float], Figures]:
    """Compare the lane, in which usually short tasks run, with threads, in one run."""

    def run(side: Side, scale: float) -> Figures:
        load, number = Load(task, slots=16), max(FEWEST, int(tasks * scale))
        threads = drain(side, load, number, BENCHMARK_LANE="no")[RATE]
        lane = drain(side, load, number)[RATE]
        return {"ratio to threads": lane / threads, RATE: lane}

    return run


def _processes(side: Side, scale: float) -> Figures:
    load, number = Load("compute_200", slots=16), max(FEWEST, int(MIXED * scale))
    one = drain(side, load, number)[RATE]
    two = drain(side, load, number, "--processes", "2")[RATE]
    return {"ratio to one process": two / one, RATE: two}


def _idle(side: Side, _: float) -> Figures:
    load = Load("noop", slots=16)
    with server() as one, stage(side, one.url) as place:
        place.produce("push", load.task, 1)
        with place.workers(load) as workers:
            workers.wait(1)
            time.sleep(IDLE_SECONDS)
            return {"MiB (PSS)": workers.pss_bytes() / 2**20}


def _suits(load: Load) -> Callable[[Side], bool]:
    return lambda side: side.entry.runs(load)


def _is_fairque(side: Side) -> bool:
    return side.peer == "fairque"


_THREADS, _TWO, _COROUTINES = Load("noop", 16), Load("noop", 16, processes=2), Load("async_noop", 100)

WORKLOADS = (
    Workload("drain", "no-op tasks, one worker process, threads, 16 slots", _noops(_THREADS), _suits(_THREADS)),
    Workload(
        "drain-async", "no-op coroutines, one worker process, 100 slots", _noops(_COROUTINES), _suits(_COROUTINES)
    ),
    Workload("drain-two", "no-op tasks, two worker processes, threads, 16 slots each", _noops(_TWO), _suits(_TWO)),
    Workload("sleeps", "sleeps of 10 ms, 50 slots", _naps, lambda side: side.entry.runs(_nap_load(side))),
    Workload("rare-sleep", "no-op tasks, of which one in 997 sleeps 0.3 s", _mixed("rare_nap", NOOPS), _is_fairque),
    Workload("short-sleeps", "tasks that sleep 0.25 ms", _mixed("short_nap", MIXED), _is_fairque),
    Workload("computing", "tasks that compute for 100 µs", _mixed("compute_100", MIXED), _is_fairque),
    Workload("processes", "tasks that compute for 200 µs, --processes 2", _processes, _is_fairque),
    Workload("idle", "memory of an idle worker", _idle, lambda side: side.entry.sync),
)
