"""The commands doctor and verify: their output as text and as JSON, and their exit codes."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from fairque.console.cli import main

Command: TypeAlias = Callable[..., Result]


@pytest.fixture
def command(bench: Any) -> Command:
    def run(name: str, *args: str, url: str = bench.url) -> Result:
        return CliRunner().invoke(main, [name, "--url", url, "--queue", bench.keys.name, *args])

    return run


def test_the_doctor_shows_findings_and_passed_checks(command: Command) -> None:
    result = command("doctor")
    assert result.exit_code == 0
    assert "passed: reach, version, eviction" in result.output


def test_the_doctor_writes_json(command: Command) -> None:
    result = command("doctor", "--json")
    assert json.loads(result.output)["ok"] is True


def test_the_doctor_exits_with_3_if_no_server_answers(command: Command) -> None:
    result = command("doctor", url="unix:///nowhere/s")
    assert result.exit_code == 3
    assert "error: Redis at unix:///nowhere/s does not answer" in result.output


def test_the_doctor_exits_with_1_if_there_is_an_error(command: Command, bench: Any) -> None:
    bench.client.hset(bench.keys.meta, "schema", "9")
    result = command("doctor")
    assert result.exit_code == 1
    assert "fix: " in result.output


def test_both_exit_with_78_if_the_configuration_is_invalid(command: Command) -> None:
    for name in ("doctor", "verify"):
        result = command(name, url="http://x")
        assert result.exit_code == 78
        assert "--url: must start with one of redis://" in result.stderr


def test_verify_finds_nothing_in_a_healthy_queue(command: Command, bench: Any) -> None:
    bench.push("f")
    result = command("verify")
    assert result.exit_code == 0
    assert "0 findings, 0 fixed" in result.output


def test_verify_changes_nothing_without_fix(command: Command, bench: Any) -> None:
    task_id = bench.push("f")
    bench.client.lrem(f"{bench.keys.prefix}n:ann", 0, task_id)
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


def test_verify_exits_with_4_for_a_queue_of_another_version(command: Command, bench: Any) -> None:
    bench.client.hset(bench.keys.meta, "schema", "9")
    result = command("verify")
    assert result.exit_code == 4
    assert result.stderr.count("\n") == 1


def test_the_help_of_both_lists_their_exit_codes() -> None:
    for name in ("doctor", "verify"):
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0
        assert "Exit codes: 0" in result.output
