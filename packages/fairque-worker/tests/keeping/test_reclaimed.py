"""What workers log about lost workers, and how an idle queue drops expired tasks."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fairque.protocol.calls.endings import Finished
from fairque.testing.internal import calls, eventually
from fairque.worker import Worker

#: A worker in a process of its own that takes one task and never ends it.
HOLDS = """
import sys, threading
from fairque.worker import Worker
def holds():
    print("holds", flush=True)
    threading.Event().wait()
from fairque.protocol.model.registry import Registry
from fairque.worker import FunctionTaskHandler
registry = Registry()
registry.register(holds, "holds")
url, queue = sys.argv[1:]
options = dict(name="lost", concurrency=1, lease=1.0, heartbeat=0.2)
Worker.from_url(url, queue=queue, handler=FunctionTaskHandler(registry=registry), **options).run()
"""


def holds() -> None:
    """The task that the lost worker had started."""


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.msg.startswith("a worker was lost")]


def expired(worker: Worker) -> dict[str, float]:
    (family,) = [one for one in worker.metrics.collect() if one.name == "fairque_worker_leases_expired"]
    return {sample.labels["outcome"]: sample.value for sample in family.samples}


def make_due(bench: Any, index: str) -> None:
    """Make everything in an index due."""
    key = f"{bench.keys.prefix}{index}"
    bench.client.zadd(key, dict.fromkeys(bench.client.zrange(key, 0, -1), 1))


def take(bench: Any, number: int) -> list[Any]:
    """Take tasks as a worker that is then lost."""
    return [*bench.pop(number, worker="lost", lease_ms=60_000)]


def test_a_worker_that_was_killed_is_named_by_the_one_that_takes_its_task(
    bench: Any, short: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fairque.worker")
    task_id = bench.push(holds, user="eve")
    lost = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", HOLDS, bench.url, bench.keys.name], stdout=subprocess.PIPE, text=True
    )
    assert lost.stdout is not None
    with lost:
        assert lost.stdout.readline() == "holds\n"
        lost.kill()
    worker = bench.start(holds, name="other", **short)
    bench.result(task_id)
    # Whichever thread reclaimed it logs that.
    (line,) = eventually(lambda: told(caplog), what="a line")
    assert (line["task_id"], line["user_id"], line["lost_worker"]) == (task_id, "eve", "lost")
    assert line["msg"] == "a worker was lost: its task was taken back, and it waits to be started again"
    eventually(lambda: expired(worker) == {"queued": 1, "failed": 0, "canceled": 0}, what="a count")


def test_every_reclaimed_task_is_logged_and_counted_whichever_call_reclaims_it(
    bench: Any, short: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fairque.worker")
    ids = bench.push_all([bench.task(holds) for _ in range(250)])
    for _ in range(3):
        take(bench, 100)
    make_due(bench, "running")
    workers = [bench.start(holds, name=name, **short) for name in ("one", "two")]
    eventually(lambda: bench.stats().finished == 250, what="all tasks")
    taken_back = bench.stats().expired
    eventually(lambda: len(told(caplog)) == taken_back, what="a line for each")
    lines = [line for line in told(caplog) if line["lost_worker"] == "lost"]
    assert sorted(line["task_id"] for line in lines) == sorted(ids)
    eventually(lambda: sum(expired(worker)["queued"] for worker in workers) == taken_back, what="a count of each")


def test_a_task_that_loses_its_last_lease_is_logged_as_a_dead_letter(
    bench: Any, short: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fairque.worker")
    task_id = bench.push(holds)
    lost_leases = 0
    while lost_leases < 5:
        lost_leases += len(take(bench, 1))
        make_due(bench, "running")
    worker = bench.start(holds, **short)
    assert bench.error(task_id)["reason"] == "deliveries"
    eventually(lambda: told(caplog), what="a line")
    assert told(caplog)[-1]["msg"] == "a worker was lost: its task was taken back, and it is a dead letter"
    eventually(lambda: expired(worker)["failed"] == 1, what="a count")


def end_many(bench: Any, number: int) -> None:
    """Store ended tasks whose retention is over."""
    for _ in range(number // 100):
        bench.push_all([bench.task(holds) for _ in range(100)])
        held = take(bench, 100)
        done = [Finished(one.task_id, one.token, 1, b"") for one in held]
        bench.run(calls.finish(bench.keys, done, result_ttl_ms=60_000))
    make_due(bench, "kept")


def test_an_idle_worker_sweeps_until_nothing_is_left_and_no_beat_is_late(
    bench: Any, short: dict[str, float], inside: Callable[[], int], gate: threading.Event
) -> None:
    end_many(bench, 6_000)
    task_id = bench.push(inside)
    bench.start(inside, **short)
    # At a hundred every two seconds it would take two minutes.
    eventually(lambda: bench.stats().kept == 0, what="an empty index")
    gate.set()
    assert bench.result(task_id) == 1
    assert bench.stats().expired == 0
