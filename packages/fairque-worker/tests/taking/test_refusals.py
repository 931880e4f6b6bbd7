"""Refusals of the queue: one refused ending blocks no other, and a queue of another version ends the worker."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.embedded import EmbeddedServer
from fairque.protocol.errors import SchemaMismatch
from fairque.protocol.model import outcome
from fairque.protocol.model.outcome import Decision
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually, set_schema
from fairque.worker import StopReason, current_context, jobs

REFUSED = "the queue refused an ending: it is dropped, and the task runs again when its lease ends"


def add(a: int, b: int) -> int:
    return a + b


class Poison(Exception):
    """A task whose ending the scripts refuse."""


def poison() -> str:
    """Fails that way the first time, and finishes the second time."""
    if current_context().attempt > 1:
        return "well"
    raise Poison


@pytest.fixture(autouse=True)
def _poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an ending be refused by a defect of the decision, since no known task can cause that."""

    def decide(error: BaseException, **facts: Any) -> Decision:
        return Decision("retry", -1, "") if isinstance(error, Poison) else outcome.decide(error, **facts)

    monkeypatch.setattr(jobs, "decide", decide)


def test_an_ending_that_the_queue_refuses_is_logged_and_dropped_and_blocks_no_other(
    bench: Any, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "fairque.worker")
    inside: SimpleQueue[None] = SimpleQueue()

    def bad() -> None:
        inside.put(None)
        assert gate.wait(PATIENCE)
        poison()

    def good() -> str:
        inside.put(None)
        assert gate.wait(PATIENCE)
        return "done"

    def fails() -> None:
        inside.put(None)
        assert gate.wait(PATIENCE)
        raise ValueError("its own fault")

    worker = bench.start(bad, good, fails, add, concurrency=3)
    tasks = [bench.task(bad), bench.task(good), bench.task(fails, retries=0)]
    refused, finished, failed = bench.push_all(tasks)
    for _ in range(3):
        inside.get(timeout=PATIENCE)
    gate.set()
    assert bench.result(finished) == "done"
    assert bench.error(failed)["error"] == "its own fault"
    # No slot is lost, and no lease is renewed.
    assert [bench.result(bench.push(add, n, n)) for n in range(4)] == [0, 2, 4, 6]
    eventually(lambda: worker.running == 0, what="free slots")
    assert bench.state(refused) is TaskState.STARTED
    (record,) = [record for record in caplog.records if record.msg == REFUSED]
    assert vars(record)["task_id"] == refused
    assert "time, verdict or pause of task" in vars(record)["error"]


def test_a_task_whose_ending_was_refused_runs_again_after_its_lease(bench: Any, short: dict[str, float]) -> None:
    bench.start(poison, concurrency=1, **short)
    task_id = bench.push(poison)
    assert bench.result(task_id) == "well"
    assert (bench.info(task_id).attempts, bench.stats().expired) == (2, 1)


def test_a_burst_ends_also_after_an_ending_that_was_refused(bench: Any) -> None:
    refused = bench.push(poison)
    worker = bench.worker(poison, add, burst=True)
    worker.start()
    assert worker.wait_idle(PATIENCE)
    assert bench.state(refused) is TaskState.STARTED


def test_a_worker_whose_pops_are_refused_retries_after_a_pause(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    worker = bench.start(add)
    # A lease that the script refuses.
    lease_ms, worker._consumer.lease_ms = worker._consumer.lease_ms, 0
    before = bench.command_count("evalsha")
    eventually(lambda: [r.msg for r in caplog.records].count("the queue cannot be used now: trying again") >= 2)
    assert bench.command_count("evalsha") - before < 20
    worker._consumer.lease_ms = lease_ms
    assert bench.result(bench.push(add, 1, 2)) == 3


def test_a_server_that_takes_no_writes_for_a_while_costs_no_ending(
    make_bench: Callable[[str, str], Any], fairque_queue_name: str, inside: Any, gate: threading.Event
) -> None:
    with EmbeddedServer() as server:
        bench = make_bench(server.url, fairque_queue_name)
        worker = bench.start(inside, concurrency=1)
        task_id = bench.push(inside)
        inside.context()
        bench.client.config_set("min-replicas-to-write", 1)
        refused = bench.client.info("stats")["total_error_replies"]
        gate.set()
        eventually(lambda: bench.client.info("stats")["total_error_replies"] > refused, what="a refusal")
        assert worker.running == 1
        bench.client.config_set("min-replicas-to-write", 0)
        assert bench.result(task_id) == 1
        bench.close()


def test_a_queue_that_becomes_one_of_another_version_ends_the_worker_and_notifies_its_tasks(
    bench: Any, inside: Any
) -> None:
    worker = bench.worker(inside)
    ended: SimpleQueue[BaseException] = SimpleQueue()

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            ended.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    bench.push(inside)
    context = inside.context()
    set_schema(bench.client, bench.keys.prefix, "99")
    error = ended.get(timeout=PATIENCE)
    thread.join(PATIENCE)
    assert isinstance(error, SchemaMismatch)
    assert "has schema 99" in str(error)
    assert (context.stop_reason, context.lease_held) == (StopReason.WORKER_STOPS, False)


def test_the_command_ends_with_4_when_the_queue_becomes_one_of_another_version_whatever_still_runs(
    bench: Any, tmp_path: Path
) -> None:
    (tmp_path / "tasks_of_ever.py").write_text(
        "import time\ndef endless():\n    while True:\n        time.sleep(0.01)\n"
    )
    command = [sys.executable, "-m", "fairque.worker", "tasks_of_ever", "--url", bench.url, "--queue", bench.keys.name]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        try:
            task_id = bench.push("tasks_of_ever:endless")
            eventually(lambda: bench.state(task_id) is TaskState.STARTED, what="the begin of the task")
            set_schema(bench.client, bench.keys.prefix, "99")
            _, said = process.communicate(timeout=2 * PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 4
    assert "has schema 99" in said.splitlines()[-1]
    assert "Traceback" not in said
