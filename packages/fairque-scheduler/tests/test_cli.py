"""``fairque-scheduler``: a file is applied and checked, schedules are shown, exit codes are those of the help."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from fairque.protocol import calls
from fairque.protocol.service.codes import EXIT_CODES
from fairque.scheduler.cli import main
from fairque.testing.internal import eventually

if TYPE_CHECKING:
    from tests.conftest import Bench

Command = Callable[..., Result]

FILE = """
schedules:
  nightly:
    cron: "0 3 * * *"
    timezone: Europe/Berlin
    task: {func: cli_shop:report, user_id: acme}
  often:
    every: 0.5
    overlap: skip
    task:
      func: cli_shop:report
      args: [1, {a: null}]
      user_id: acme
      priority: HIGH
"""
WRONG = """
scheduler: {modules: [cli_shop], leese: 0}
schedules:
  nightly:
    cron: "0 25 * * *"
    timezone: Europe/Berln
    task: {func: cli_shop:reprt}
  often:
    every: 0
    cron: "@daily"
    task: {user_id: "a\\u0001"}
    start: "2026-05-01T00:00:00Z"
    end: "2026-04-01T00:00:00Z"
    jitter: -5
    misfire: never
    overlp: skip
    at: "2026-01-01"
  often:
    cron: "* * * * *"
"""


@pytest.fixture
def environ(bench: "Bench", tmp_path: Path) -> dict[str, str]:
    """The environment of a process for the queue of the test."""
    return {
        "FAIRQUE_REDIS_URL": bench.url,
        "FAIRQUE_QUEUE_NAME": bench.keys.name,
        "PYTHONPATH": str(tmp_path),
        "FAIRQUE_SCHEDULER_LEASE": "2",
    }


@pytest.fixture
def command(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs a command on the queue of the test, in a folder with ``file.yaml``."""
    monkeypatch.chdir(tmp_path)
    Path("file.yaml").write_text(FILE)
    Path("cli_shop.py").write_text("def report(*args): ...\n")
    path = sys.path[:]

    def command(*args: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=environ)
        assert result.exit_code == expected, result.output
        return result

    yield command
    sys.path[:] = path
    sys.modules.pop("cli_shop", None)


class TestApply:
    def test_a_file_is_applied_and_again_changes_nothing(self, bench: "Bench", command: Command) -> None:
        assert command("apply", "--config", "file.yaml").stdout.splitlines() == [
            "schedule 'nightly': added",
            "schedule 'often': added",
            "2 changed, 0 as they were",
        ]
        assert command("apply", "--config", "file.yaml").stdout == "0 changed, 2 as they were\n"
        found = bench.run(calls.read_schedule(bench.keys, "often")).schedule
        assert (found.task.args, found.task.priority, found.overlap, found.declared) == (
            (1, {"a": None}),
            4,
            "skip",
            True,
        )

    def test_a_dry_run_says_the_same_and_changes_nothing(self, command: Command) -> None:
        assert "2 would change, 0 as they are" in command("apply", "--config", "file.yaml", "--dry-run").stdout
        assert "2 would change" in command("apply", "--config", "file.yaml", "--dry-run").stdout

    def test_what_is_not_declared_any_more_is_named_and_pruned_when_asked(self, command: Command) -> None:
        command("apply", "--config", "file.yaml")
        Path("file.yaml").write_text(FILE[: FILE.index("  often:")])
        line = "schedule 'often': is not declared any more, "
        assert f"{line}left as it is" in command("apply", "--config", "file.yaml").stdout
        dry = command("apply", "--config", "file.yaml", "--prune", "--dry-run").stdout
        assert dry == f"{line}would be removed\n0 would change, 1 as they are, 1 would be removed\n"
        pruned = command("apply", "--config", "file.yaml", "--prune").stdout
        assert pruned == f"{line}removed\n0 changed, 1 as they were, 1 removed\n"
        assert "often" not in command("apply", "--config", "file.yaml").stdout

    def test_all_that_is_wrong_is_said_with_its_line(self, command: Command) -> None:
        Path("file.yaml").write_text(WRONG)
        problems = command("apply", "--config", "file.yaml", expected=78).stderr.splitlines()
        found = [line.split("file.yaml:", 1)[1].partition(": ")[::2] for line in problems]
        expected = [
            ("2", "scheduler.leese: unknown key (did you mean 'lease'?)"),
            ("5", "schedules.nightly.cron: cron expression '0 25 * * *': field 2"),
            ("6", "schedules.nightly.timezone: time zone 'Europe/Berln' is unknown: did you mean Europe/Berlin"),
            ("7", "schedules.nightly.task.user_id: required key is missing"),
            ("7", "schedules.nightly.task.func: no task function 'cli_shop:reprt' is in cli_shop"),
            ("9", "schedules.often.every: must be between"),
            ("10", "schedules.often.cron: give one of cron, every and at"),
            ("11", "schedules.often.task.user_id: 'a\\x01' has control characters"),
            ("13", "schedules.often.end: is before start"),
            ("14", "schedules.often.jitter: must be between"),
            ("15", "schedules.often.misfire: expected one of"),
            ("16", "schedules.often.overlp: unknown key (did you mean 'overlap'?)"),
            ("17", "schedules.often.at: '2026-01-01' has no time zone"),
            ("18", "schedules.often: duplicate key"),
        ]
        shortened = [(line, text[: len(wanted)]) for (line, text), (_, wanted) in zip(found, expected, strict=False)]
        assert (shortened, len(found)) == (expected, len(expected))

    def test_a_file_without_schedules_is_an_error(self, command: Command) -> None:
        Path("file.yaml").write_text("queue: {name: q}\n")
        assert "has no section schedules" in command("apply", "--config", "file.yaml", expected=78).stderr
        assert "name the file with --config" in command("apply", expected=2).stderr


class TestHelp:
    def test_help_lists_the_exit_codes(self, command: Command) -> None:
        for args in (["--help"], ["run", "--help"]):
            text = " ".join(command(*args).stdout.split())
            assert EXIT_CODES in text

    def test_help_names_the_variable_of_each_option(self, command: Command) -> None:
        text = command("apply", "--help").stdout
        for name in ("CONFIG", "REDIS_URL", "QUEUE_NAME"):
            assert f"FAIRQUE_{name}" in text


class TestExitCodes:
    def test_a_server_that_is_not_there(self, command: Command) -> None:
        assert "does not answer" in command("run", "--url", "redis://localhost:1", expected=3).stderr

    def test_wrong_values_of_options_and_file_together(self, command: Command) -> None:
        Path("file.yaml").write_text("queue: {message_limit: 0}\n")
        stderr = command("run", "--config", "file.yaml", "--url", "x", "--queue", "a b", expected=78).stderr
        assert len(stderr.splitlines()) == 3

    def test_a_module_that_cannot_be_imported(self, command: Command) -> None:
        Path("file.yaml").write_text("scheduler: {modules: [no_such_shop]}\n")
        assert "module 'no_such_shop'" in command("run", "--config", "file.yaml", expected=6).stderr

    def test_a_queue_of_another_version(self, bench: "Bench", command: Command) -> None:
        bench.client.hset(bench.keys.meta, "schema", "99")
        assert "has schema 99" in command("run", expected=4).stderr

    def test_a_healthcheck_asks_its_own_process_whoever_leads(self, bench: "Bench", command: Command) -> None:
        bench.run(calls.lead(bench.keys, "somebody", lease_ms=60_000))
        scheduler = bench.started(http_port=0)
        port = scheduler.http_port
        Path("port.yaml").write_text(f"scheduler: {{http_port: {port}}}\n")
        assert f"127.0.0.1:{port}/livez: 200 standby" in command("healthcheck", "--config", "port.yaml").stdout
        assert "/readyz: 200 standby" in command("healthcheck", "--config", "port.yaml", "--ready").stdout
        scheduler.pause()
        assert "/readyz: 503" in command("healthcheck", "--config", "port.yaml", "--ready", expected=1).stdout
        scheduler.stop()
        assert "no answer" in command("healthcheck", "--config", "port.yaml", expected=1).stdout

    def test_a_healthcheck_without_a_port_says_what_to_set(self, command: Command) -> None:
        assert "scheduler.http_port: must be set" in command("healthcheck", expected=78).stderr


class TestRun:
    @pytest.mark.usefixtures("command")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_applies_its_file_fires_and_ends_at_a_signal(
        self, bench: "Bench", environ: dict[str, str], number: int
    ) -> None:
        environment = {**environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "fairque.scheduler", "run", "--config", "file.yaml", "--log-format", "json"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                eventually(lambda: len(bench.times("often")) > 0, what="a task")
                process.send_signal(number)
                _, stderr = process.communicate(timeout=10)
            finally:
                process.kill()
        assert process.returncode == 0, stderr
        events = [json.loads(line)["event"] for line in stderr.splitlines()]
        assert events[:2] == ["applied", "applied"]
        assert events[-2:] == ["resigned", "scheduler stopped"]
        assert bench.run(calls.read_scheduler(bench.keys)).leader is None

    def test_one_that_crashes_ends_with_its_code(self, bench: "Bench", environ: dict[str, str]) -> None:
        environment = {**environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "fairque.scheduler", "run"], env=environment, stderr=subprocess.PIPE, text=True
        )
        with process:
            try:
                eventually(lambda: bench.run(calls.read_scheduler(bench.keys)).leader, what="a leader")
                bench.client.hset(bench.keys.meta, "schema", "99")
                _, stderr = process.communicate(timeout=20)
            finally:
                process.kill()
        assert process.returncode == 4, stderr
        assert "has schema 99" in stderr
