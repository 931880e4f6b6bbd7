"""``fairque apply``: schedules are applied as a file declares them; limits are in ``test_users``."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from fairque.console.cli import main
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.conftest import Bench

Command = Callable[..., Result]

FILE = """
schedules:
  nightly:
    cron: "0 3 * * *"
    timezone: Europe/Berlin
    task:
      func: cli_shop:report
      user_id: acme
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
def command(bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs a command on the queue of the test, in a folder with ``file.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("file.yaml").write_text(FILE)
    Path("cli_shop.py").write_text("def report(*args): ...\n")
    environ = {"FAIRQUE_REDIS_URL": bench.url, "FAIRQUE_QUEUE_NAME": bench.keys.name}

    def command(*args: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=environ)
        assert result.exit_code == expected, result.output
        return result

    yield command
    sys.modules.pop("cli_shop", None)


class TestApply:
    def test_a_file_is_applied_and_again_changes_nothing(self, bench: "Bench", command: Command) -> None:
        assert command("apply", "file.yaml").stdout.splitlines() == [
            "schedule 'nightly': added",
            "schedule 'often': added",
            "2 changed, 0 unchanged",
        ]
        assert command("apply", "file.yaml").stdout == "0 changed, 2 unchanged\n"
        schedule = bench.runner.run(calls.read_schedule(bench.keys, "often")).schedule
        assert (schedule.task.args, schedule.task.priority, schedule.overlap, schedule.declared) == (
            (1, {"a": None}),
            4,
            "skip",
            True,
        )

    def test_a_dry_run_shows_the_same_and_changes_nothing(self, command: Command) -> None:
        assert "2 would change, 0 unchanged" in command("apply", "file.yaml", "--dry-run").stdout
        assert "2 would change" in command("apply", "file.yaml", "--dry-run").stdout

    def test_schedules_that_are_no_longer_declared_are_listed_and_removed_with_prune(self, command: Command) -> None:
        command("apply", "file.yaml")
        Path("file.yaml").write_text(FILE[: FILE.index("  often:")])
        line = "schedule 'often': is no longer declared, "
        assert f"{line}left unchanged" in command("apply", "file.yaml").stdout
        dry = command("apply", "file.yaml", "--prune", "--dry-run").stdout
        assert dry == f"{line}would be removed\n0 would change, 1 unchanged, 1 would be removed\n"
        pruned = command("apply", "file.yaml", "--prune").stdout
        assert pruned == f"{line}removed\n0 changed, 1 unchanged, 1 removed\n"
        assert "often" not in command("apply", "file.yaml").stdout

    def test_all_problems_are_reported_with_their_lines(self, command: Command) -> None:
        Path("file.yaml").write_text(WRONG)
        problems = command("apply", "file.yaml", expected=78).stderr.splitlines()
        reported = [line.split("file.yaml:", 1)[1].partition(": ")[::2] for line in problems]
        expected = [
            ("2", "scheduler.leese: unknown key (did you mean 'lease'?)"),
            ("5", "schedules.nightly.cron: cron expression '0 25 * * *': field 2"),
            ("6", "schedules.nightly.timezone: time zone 'Europe/Berln' is unknown: did you mean Europe/Berlin"),
            ("7", "schedules.nightly.task.user_id: required key is missing"),
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
        shortened = [(line, text[: len(wanted)]) for (line, text), (_, wanted) in zip(reported, expected, strict=False)]
        assert (shortened, len(reported)) == (expected, len(expected))

    def test_functions_missing_from_the_modules_of_the_file_are_reported_with_their_lines(
        self, bench: "Bench", command: Command
    ) -> None:
        file = "scheduler: {modules: [cli_shop]}\nfairness: {backlog: 5}\n" + FILE.replace(
            "cli_shop:report", "cli_shop:reprt", 1
        )
        Path("file.yaml").write_text(file)
        (problem,) = command("apply", "file.yaml", expected=78).stderr.splitlines()
        line = 1 + file[: file.index("reprt")].count("\n")
        wanted = f"file.yaml:{line}: schedules.nightly.task.func: no task function 'cli_shop:reprt' is in cli_shop"
        assert problem.startswith(f"fairque: {wanted}")
        assert bench.client.keys(f"{bench.keys.prefix}*") == []

    def test_a_module_that_cannot_be_imported_is_reported(self, command: Command) -> None:
        Path("file.yaml").write_text("scheduler: {modules: [no_such_shop]}\nschedules: {}\n")
        assert "module 'no_such_shop'" in command("apply", "file.yaml", expected=6).stderr

    def test_limits_and_schedules_of_one_file_are_applied_together(self, command: Command) -> None:
        Path("file.yaml").write_text("fairness: {users: {acme: {cap: 3}}}\n" + FILE)
        assert command("apply", "file.yaml").stdout.splitlines() == [
            "user 'acme': cap none -> 3",
            "schedule 'nightly': added",
            "schedule 'often': added",
            "3 changed, 2 unchanged",
        ]
        assert command("apply", "file.yaml").stdout == "0 changed, 5 unchanged\n"

    def test_limits_do_not_change_if_a_schedule_is_refused(self, bench: "Bench", command: Command) -> None:
        big = "x" * 300_000
        Path("file.yaml").write_text("fairness: {users: {acme: {cap: 3}}}\n" + FILE.replace("[1, ", f"['{big}', "))
        assert "300,149 bytes" in command("apply", "file.yaml", expected=78).stderr
        assert "300,149 bytes" in command("apply", "file.yaml", "--dry-run", expected=78).stderr
        assert bench.client.keys(f"{bench.keys.prefix}*") == []

    def test_prune_removes_the_limits_of_users_that_are_not_declared(self, bench: "Bench", command: Command) -> None:
        command("users", "set", "other", "--cap", "7")
        Path("file.yaml").write_text("fairness: {users: {acme: {cap: 3}}}\n")
        assert "user 'other': has limits but is not declared" in command("apply", "file.yaml").stdout
        assert command("apply", "file.yaml", "--prune", "--dry-run").stdout.splitlines() == [
            "user 'other': cap 7 -> none",
            "1 would change, 3 unchanged",
        ]
        command("apply", "file.yaml", "--prune")
        assert dict(bench.runner.run(calls.read_configured(bench.keys)).users) == {"acme": {"cap": 3.0}}

    def test_a_file_that_declares_nothing_is_an_error(self, command: Command) -> None:
        Path("file.yaml").write_text("queue: {name: q}\n")
        assert "has neither a section fairness nor schedules" in command("apply", "file.yaml", expected=78).stderr
