"""The commands doctor and verify: what they say, as text and as JSON, and their exit codes."""

import json
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from fairque.worker.cli import main

Command: TypeAlias = Callable[..., Result]


@pytest.fixture
def command(bench: Any) -> Command:
    def run(word: str, *args: str, url: str = bench.url) -> Result:
        return CliRunner().invoke(main, [word, "--url", url, "--queue", bench.keys.name, *args])

    return run


def nothing() -> None:
    """The shortest task."""


def test_the_doctor_says_what_it_found_and_what_it_looked_at(command: Command) -> None:
    result = command("doctor")
    assert result.exit_code == 0
    assert "passed: reach, version, eviction" in result.output


def test_the_doctor_writes_json(command: Command) -> None:
    result = command("doctor", "--json")
    assert json.loads(result.output)["ok"] is True


def test_the_doctor_ends_with_3_where_no_server_answers(command: Command) -> None:
    result = command("doctor", url="unix:///nowhere/s")
    assert result.exit_code == 3
    assert "error: Redis at unix:///nowhere/s does not answer" in result.output


def test_the_doctor_ends_with_1_when_something_breaks_the_queue(command: Command, bench: Any) -> None:
    bench.client.hset(bench.keys.meta, "schema", "9")
    result = command("doctor")
    assert result.exit_code == 1
    assert "fix: " in result.output


def test_a_wrong_configuration_ends_both_with_78(command: Command) -> None:
    for word in ("doctor", "verify"):
        result = command(word, url="http://x")
        assert result.exit_code == 78
        assert "--url: must start with one of redis://" in result.stderr


def test_verify_finds_nothing_in_a_healthy_queue(command: Command, bench: Any) -> None:
    bench.push(nothing)
    result = command("verify")
    assert result.exit_code == 0
    assert "0 findings, 0 fixed" in result.output


def test_verify_only_looks_unless_it_is_told_to_fix(command: Command, bench: Any) -> None:
    task_id = bench.push(nothing)
    bench.client.zrem(f"{bench.keys.prefix}n:ann", task_id)
    for _ in range(2):
        result = command("verify")
        assert result.exit_code == 1
        assert f"found nowhere {task_id!r}: it is QUEUED and in no queue" in result.output
    result = command("verify", "--fix", "--json")
    assert result.exit_code == 0
    report = json.loads(result.output)
    assert (report["left"], report["clean"]) == (0, False)
    assert report["kinds"]["nowhere"] == 1
    assert command("verify").exit_code == 0
    bench.start(nothing)
    bench.result(task_id)


def test_verify_ends_with_4_in_a_queue_of_another_version(command: Command, bench: Any) -> None:
    bench.client.hset(bench.keys.meta, "schema", "9")
    result = command("verify")
    assert result.exit_code == 4
    assert result.stderr.count("\n") == 1


def test_a_worker_says_in_its_log_what_is_risky_about_its_server(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.client.config_set("appendonly", "no")
    bench.start(nothing)
    (risk,) = [record for record in caplog.records if "append-only file is off" in record.msg]
    assert vars(risk)["fix"].startswith("CONFIG SET appendonly yes")


def test_a_worker_says_in_its_log_where_it_works(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fairque.worker")
    bench.start(nothing)
    (begun,) = [vars(record) for record in caplog.records if record.msg == "worker started"]
    assert (begun["server"], begun["queue"]) == (bench.url, bench.keys.name)


def test_both_have_help_with_their_exit_codes() -> None:
    for word in ("doctor", "verify"):
        result = CliRunner().invoke(main, [word, "--help"])
        assert result.exit_code == 0
        assert "Exit codes: 0" in result.output


def test_a_real_worker_leaves_nothing_to_be_found(bench: Any, command: Command) -> None:
    def sometimes(number: int) -> int:
        if number % 3 == 0:
            raise ValueError(number)
        return number

    bench.start(sometimes, concurrency=4)
    bench.push_all([bench.task(sometimes, n, user=f"u{n % 7}", retries=0) for n in range(300)])
    while bench.stats().finished + bench.stats().failed < 300:
        result = command("verify", "--fix")
        assert (result.exit_code, "0 findings" in result.output) == (0, True), result.output
    assert "0 findings" in command("verify").output
