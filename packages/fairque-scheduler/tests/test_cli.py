"""``fairque-scheduler``: its file is applied and checked at the start, and exit codes are those of the help."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from fairque.protocol.service.codes import EXIT_CODES
from fairque.scheduler.cli import main
from fairque.testing.internal import calls, eventually

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


class TestHelp:
    def test_help_lists_the_exit_codes(self, command: Command) -> None:
        for args in (["--help"], ["healthcheck", "--help"]):
            text = " ".join(command(*args).stdout.split())
            assert EXIT_CODES in text

    def test_help_names_the_variable_of_each_option(self, command: Command) -> None:
        text = command("--help").stdout
        for name in ("CONFIG", "REDIS_URL", "QUEUE_NAME"):
            assert f"FAIRQUE_{name}" in text


class TestExitCodes:
    def test_a_server_that_is_not_there(self, command: Command) -> None:
        assert "does not answer" in command("--url", "redis://localhost:1", expected=3).stderr

    def test_wrong_values_of_options_and_file_together(self, command: Command) -> None:
        Path("file.yaml").write_text("queue: {message_limit: 0}\n")
        stderr = command("--config", "file.yaml", "--url", "x", "--queue", "a b", expected=78).stderr
        assert len(stderr.splitlines()) == 3

    def test_a_module_that_cannot_be_imported(self, command: Command) -> None:
        Path("file.yaml").write_text("scheduler: {modules: [no_such_shop]}\n")
        assert "module 'no_such_shop'" in command("--config", "file.yaml", expected=6).stderr

    def test_all_that_is_wrong_with_its_schedules_is_said_with_the_line(self, command: Command) -> None:
        Path("file.yaml").write_text("schedules: {nightly: {cron: '0 25 * * *', task: {func: 'cli_shop:report'}}}\n")
        stderr = command("--config", "file.yaml", expected=78).stderr
        assert "file.yaml:1: schedules.nightly.task.user_id: required key is missing" in stderr
        assert "file.yaml:1: schedules.nightly.cron: cron expression '0 25 * * *': field 2" in stderr

    def test_a_function_that_its_modules_lack_is_said_with_the_line(self, command: Command) -> None:
        Path("file.yaml").write_text(
            "scheduler: {modules: [cli_shop]}\n"
            + FILE.replace("cli_shop:report\n      args", "cli_shop:reprt\n      args")
        )
        stderr = command("--config", "file.yaml", expected=78).stderr
        assert "file.yaml:12: schedules.often.task.func: no task function 'cli_shop:reprt' is in cli_shop" in stderr
        assert stderr.count("\n") == 1

    def test_a_queue_of_another_version(self, bench: "Bench", command: Command) -> None:
        bench.client.hset(bench.keys.meta, "schema", "99")
        assert "has schema 99" in command(expected=4).stderr

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
            [sys.executable, "-m", "fairque.scheduler", "--config", "file.yaml", "--log-format", "json"],
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
            [sys.executable, "-m", "fairque.scheduler"], env=environment, stderr=subprocess.PIPE, text=True
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
