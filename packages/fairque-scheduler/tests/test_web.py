"""Probes and metrics over HTTP, where a port is set."""

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from fairque.scheduler import ConfigurationError, TaskScheduler
from fairque.testing.internal import eventually

if TYPE_CHECKING:
    from tests.conftest import Bench


def get(scheduler: TaskScheduler, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{scheduler.http_port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_leader_and_standby_are_alive_and_ready(bench: "Bench") -> None:
    crew = [bench.started(http_port=0), bench.started(http_port=0)]
    eventually(lambda: {one.state for one in crew} == {"leader", "standby"}, what="a leader and a standby")
    for one in crew:
        assert get(one, "/readyz") == (200, f"{one.state}\n")
        status, text = get(one, "/livez")
        assert (status, text.partition(",")[0]) == (200, one.state)


def test_one_that_is_paused_is_alive_and_not_ready(bench: "Bench") -> None:
    scheduler = bench.started(http_port=0)
    scheduler.pause()
    assert get(scheduler, "/readyz")[0] == 503
    assert get(scheduler, "/livez")[0] == 200


def test_metrics_have_the_names_of_the_documentation(bench: "Bench") -> None:
    scheduler = bench.started(http_port=0)
    eventually(lambda: scheduler.state == "leader", what="a leader")
    eventually(lambda: "is_leader{" in get(scheduler, "/metrics")[1], what="metrics")
    text = get(scheduler, "/metrics")[1]
    for name in (
        *("is_leader", "leader_changes_total", "due", "fired_total", "missed_total", "skipped_total"),
        *("lateness_seconds_bucket", "loop_age_seconds"),
    ):
        assert f"\nfairque_scheduler_{name}{{" in text


def test_other_paths_say_which_there_are(bench: "Bench") -> None:
    assert get(bench.started(http_port=0), "/") == (404, "look at /livez, /readyz, /metrics\n")


def test_a_port_that_is_taken_is_an_error(bench: "Bench") -> None:
    taken = bench.started(http_port=0).http_port
    with pytest.raises(ConfigurationError, match=f"scheduler.http_port {taken}: cannot listen"):
        bench.scheduler(http_port=taken).start()
    assert bench.started().http_port is None
