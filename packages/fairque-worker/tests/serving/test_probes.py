"""Probes and metrics over HTTP, if a port is set, and the command that calls them."""

import re
import socket
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually, set_schema
from fairque.worker import Cancel, Snooze, Worker
from fairque.worker.cli import main

if TYPE_CHECKING:
    from tests.conftest import Bench


def get(worker: Worker, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.http_port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(worker: Worker) -> dict[str, float]:
    """The samples by name and labels, without the queue."""
    samples = {}
    for line in get(worker, "/metrics")[1].splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            samples[re.sub(r'queue="[^"]*",?', "", name).replace("{}", "").replace(",}", "}")] = float(value)
    return samples


def healthcheck(*args: str, port: int | None) -> Result:
    environ = {} if port is None else {"FAIRQUE_WORKER_HTTP_PORT": str(port)}
    return CliRunner().invoke(main, ["healthcheck", *args], env=environ)


def test_a_worker_is_alive_and_ready(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    assert get(worker, "/livez") == (200, "all threads do their work\n")
    status, text = get(worker, "/readyz")
    assert (status, text.partition(" answered ")[0]) == (200, "the server")


def test_a_paused_worker_is_alive_and_not_ready(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    worker.pause()
    assert get(worker, "/readyz") == (503, "takes no tasks: pause was called\n")
    assert get(worker, "/livez")[0] == 200
    worker.resume()
    assert get(worker, "/readyz")[0] == 200


def test_a_worker_whose_server_was_silent_for_long_is_not_ready(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.start(http_port=0)
    monkeypatch.setattr("fairque.worker.serving.probes._SILENT_SECONDS", 0.0)
    assert get(worker, "/readyz")[0] == 503


def test_a_worker_that_is_blocked_in_a_call_is_not_alive(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    worker = bench.start(http_port=0)
    # A wait for work counts as a call; no such wait may be as long as this limit.
    monkeypatch.setattr("fairque.worker.serving.probes._STALLED_SECONDS", -1_000.0)
    eventually(lambda: get(worker, "/livez")[0] == 503, what="that it counts as held up")


def test_a_worker_with_all_slots_taken_is_alive(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def patient() -> None:
        begun.release()
        gate.wait(PATIENCE)

    worker = bench.start(patient, http_port=0)
    try:
        for _ in range(2):
            bench.push("patient")
        assert begun.acquire(timeout=PATIENCE)
        assert begun.acquire(timeout=PATIENCE)
        monkeypatch.setattr("fairque.worker.serving.probes._STALLED_SECONDS", 0.0)
        eventually(lambda: metrics(worker)["fairque_worker_loop_age_seconds"] == 0, what="that it rests")
        assert get(worker, "/livez")[0] == 200
    finally:
        gate.set()


def test_a_worker_whose_loop_crashed_is_not_alive(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    set_schema(bench.client, bench.keys.prefix, "999")
    bench.client.lpush(bench.keys.wake, "1")
    dead = (503, "crashed: thread fairque-courier died\n")
    eventually(lambda: get(worker, "/livez") == dead, what="that the queue of another version ends it")


def test_endings_are_counted_by_their_outcome(bench: "Bench") -> None:
    again = threading.Event()

    def fine() -> int:
        return 1

    def wrong() -> None:
        raise ValueError

    def shy() -> None:
        if not again.is_set():
            again.set()
            raise Snooze(0.01)

    def off() -> None:
        raise Cancel

    worker = bench.start(fine, wrong, shy, off, http_port=0)
    ends = {
        bench.push("fine"): TaskState.FINISHED,
        bench.push("wrong", retries=0): TaskState.FAILED,
        bench.push("shy"): TaskState.FINISHED,
        bench.push("off"): TaskState.CANCELED,
    }
    for task_id, state in ends.items():
        bench.reaches(task_id, state)
    eventually(lambda: worker.running == 0, what="that all is reported")
    found = metrics(worker)
    outcomes = {
        outcome: found[f'fairque_worker_attempts_ended_total{{outcome="{outcome}"}}']
        for outcome in ("finished", "failed", "canceled", "retried", "snoozed", "lost")
    }
    assert outcomes == {"finished": 2, "failed": 1, "canceled": 1, "retried": 0, "snoozed": 1, "lost": 0}
    assert found["fairque_worker_attempts_started_total"] == found["fairque_worker_run_seconds_count"] == 5
    assert found["fairque_worker_wait_seconds_count"] == 4  # the second attempt has waited for its time


def test_waits_are_those_of_tasks_that_could_start_at_once(bench: "Bench") -> None:
    worker = bench.start(lambda: None, http_port=0)
    bench.result(bench.push("<lambda>", delay=0.05))
    bench.result(bench.push("<lambda>"))
    eventually(lambda: worker.running == 0, what="that all is reported")
    found = metrics(worker)
    assert found["fairque_worker_wait_seconds_count"] == 1
    assert found['fairque_worker_wait_seconds_bucket{le="+Inf"}'] == 1
    assert 0 <= found["fairque_worker_wait_seconds_sum"] < 30


def test_the_queue_is_read_on_request(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    worker.pause()
    for _ in range(3):
        bench.push("anything", user="bob")
    bench.push("anything", delay=60)
    found = metrics(worker)
    assert found['fairque_queue_tasks{state="queued"}'] == 3
    assert found['fairque_queue_tasks{state="scheduled"}'] == 1
    assert found["fairque_queue_users_waiting"] == 1


def test_without_the_server_the_worker_reports_its_own_metrics(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    worker = bench.start(http_port=0)

    def refuse() -> Any:
        raise ConfigurationError(["no server"])

    monkeypatch.setattr(worker.metrics, "_read_stats", refuse)
    found = metrics(worker)
    assert found["fairque_worker_slots"] == 2
    assert not [name for name in found if name.startswith("fairque_queue")]


def test_other_paths_list_the_existing_ones(bench: "Bench") -> None:
    assert get(bench.start(http_port=0), "/") == (404, "look at /livez, /readyz, /metrics\n")


def test_a_port_that_is_taken_is_an_error_and_nothing_is_started(bench: "Bench") -> None:
    taken = bench.start(http_port=0).http_port
    worker = bench.worker(http_port=taken)
    with pytest.raises(ConfigurationError, match=f"worker.http_port {taken}: cannot listen"):
        worker.start()
    assert bench.start().http_port is None


def test_nothing_answers_after_the_stop(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    port = worker.http_port
    worker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port or 0), timeout=5)


def test_healthcheck_asks_whether_the_worker_is_alive(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    asked = healthcheck(port=worker.http_port)
    assert (asked.exit_code, asked.output.strip().endswith(": 200 all threads do their work")) == (0, True)
    worker.pause()
    assert healthcheck(port=worker.http_port).exit_code == 0
    asked = healthcheck("--ready", port=worker.http_port)
    paused = "/readyz: 503 takes no tasks: pause was called"
    assert (asked.exit_code, asked.output.strip().endswith(paused)) == (1, True)


def test_healthcheck_of_several_processes_asks_each(bench: "Bench") -> None:
    worker = bench.start(http_port=0)
    asked = healthcheck("--processes", "2", port=worker.http_port)
    assert asked.exit_code == 1
    assert [line.partition(": ")[2][:9] for line in asked.output.splitlines()] == ["200 all t", "no answer"]


@pytest.mark.parametrize("port", [None, 0])
def test_healthcheck_without_a_port_says_what_to_set(port: int | None) -> None:
    asked = healthcheck(port=port)
    assert (asked.exit_code, "worker.http_port: must be set for healthcheck" in asked.stderr) == (78, True)
