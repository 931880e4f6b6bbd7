"""What a worker logs about its server when it starts, and that it leaves nothing behind there."""

import logging
from typing import Any

import pytest

from fairque.console.verifier import verify


def nothing() -> None:
    """The shortest task."""


def count_findings(bench: Any) -> int:
    return sum(verify(bench.runner, bench.keys, fix=True, result_ttl_ms=60_000, dead_ttl_ms=60_000).kinds.values())


def test_a_worker_logs_the_risks_of_its_server(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.client.config_set("appendonly", "no")
    bench.start(nothing)
    (risk,) = [record for record in caplog.records if "append-only file is off" in record.msg]
    assert vars(risk)["fix"].startswith("CONFIG SET appendonly yes")


def test_a_worker_logs_its_server_and_queue(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fairque.worker")
    bench.start(nothing)
    (begun,) = [vars(record) for record in caplog.records if record.msg == "worker started"]
    assert (begun["server"], begun["queue"]) == (bench.url, bench.keys.name)


def test_a_real_worker_leaves_no_findings(bench: Any) -> None:
    def sometimes(number: int) -> int:
        if number % 3 == 0:
            raise ValueError(number)
        return number

    bench.start(sometimes, concurrency=4)
    bench.push_all([bench.task(sometimes, n, user=f"u{n % 7}", retries=0) for n in range(300)])
    while bench.stats().finished + bench.stats().failed < 300:
        assert count_findings(bench) == 0
    assert count_findings(bench) == 0
