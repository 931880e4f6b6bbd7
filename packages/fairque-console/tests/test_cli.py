"""The command line of ``fairque`` without a server: settings, help, and errors of usage."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import click
import pytest
from click.testing import CliRunner, Result

from fairque.console.cli import main
from fairque.protocol.jsonvalue import loads
from fairque.protocol.service.codes import EXIT_CODES

Command = Callable[..., Result]
ADDRESS = "redis://ann:hunter2@db:6379/1"
WORDS = [
    ["acl"],
    ["apply"],
    ["config"],
    ["config", "check"],
    ["config", "schema"],
    ["config", "show"],
    ["doctor"],
    ["schedules"],
    ["schedules", "fire"],
    ["schedules", "upcoming"],
    ["tasks"],
    ["tasks", "cancel"],
    ["tasks", "explain"],
    ["users"],
    ["users", "list"],
    ["users", "set"],
    ["users", "show"],
    ["verify"],
]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*args: str, environ: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(main, args, env=environ)

    return command


@pytest.mark.parametrize("words", [[], *WORDS], ids=" ".join)
def test_the_help_of_each_command_lists_its_exit_codes_and_does_not_import_redis(words: list[str]) -> None:
    program = "import sys; from fairque.console.cli import main; main(standalone_mode=False)"
    program += "; assert 'redis' not in sys.modules"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program, *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert EXIT_CODES in " ".join(done.stdout.split())


BARE = """
import click
@click.group(epilog="Exit codes")
@click.version_option("1", prog_name="bare")
def main(): "A command."
@main.command("users")
@click.option("--config", help="A file.")
def users(config): "Users."
main(prog_name="bare")
"""
_CPU = "import resource; used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"


def cpu(*args: str) -> float:
    """CPU seconds of a Python program."""
    program = "import subprocess, sys\nsubprocess.run([sys.executable, *sys.argv[1:]], stdout=-3, check=True)\n" + _CPU
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stdout)


@pytest.mark.parametrize("words", [[], ["doctor"], ["users", "list"], ["config", "show"], ["apply"]], ids=" ".join)
def test_help_costs_little_more_than_with_click_alone(words: list[str]) -> None:
    most, ratios = 1.6, list[float]()
    # Seven at most: their median is on the side on which four of them are.
    while max(sum(ratio <= most for ratio in ratios), sum(ratio > most for ratio in ratios)) < 4:
        bare = cpu("-c", BARE, *(["users"] if words else []), "--help")
        ratios.append(cpu("-m", "fairque.console", *words, "--help") / bare)
    assert median(ratios) <= most, ratios


@pytest.mark.parametrize(
    "words",
    [["{}"], ["doctor", "{}"], ["verify", "--queue", "{}"], ["users", "list", "{}"], ["users", "{}"], ["config", "{}"]],
    ids=" ".join,
)
def test_a_url_in_the_wrong_argument_does_not_show_its_password(command: Command, words: list[str]) -> None:
    result = command(*(word.format(ADDRESS) for word in words))
    assert result.exit_code in (2, 78)
    assert "hunter2" not in result.output
    assert "ann:***@db" in result.output


def test_the_error_for_a_misspelled_command_suggests_the_right_one(command: Command) -> None:
    result = command("verfy")
    assert (result.exit_code, "Did you mean 'verify'?" in result.stderr) == (2, True)


def test_a_command_may_be_shortened_while_it_is_clear(command: Command) -> None:
    assert command("sched", "list", "--help").stdout == command("schedules", "list", "--help").stdout
    result = command("a")
    assert (result.exit_code, "'a' can mean acl or apply." in result.stderr) == (2, True)


def test_the_watch_of_a_file_continues_after_a_problem(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("shop.yaml")
    file.write_text("worker:\n  concurency: 3\n")
    edits = iter(["worker:\n  concurrency: 3\n"])

    def edit(seconds: float) -> None:
        assert seconds == 2
        text = next(edits, None)
        if text is None:
            raise KeyboardInterrupt
        file.write_text(text)

    monkeypatch.setattr(time, "sleep", edit)
    result = command("config", "check", "--watch", "--config", "shop.yaml")
    assert result.exit_code == 130
    assert "shop.yaml:2: worker.concurency: unknown key" in result.stderr
    assert result.stdout == "all settings are valid\n"


def test_a_command_that_fixes_cannot_be_watched(command: Command) -> None:
    result = command("verify", "--fix", "--watch")
    assert (result.exit_code, "--watch only reads" in result.stderr) == (2, True)


def test_a_file_is_checked_without_a_server(command: Command) -> None:
    Path("shop.yaml").write_text("worker:\n  concurency: 3\n")
    result = command("config", "check", "--config", "shop.yaml")
    assert result.exit_code == 78
    assert "shop.yaml:2: worker.concurency: unknown key" in result.stderr
    assert command("config", "check").stdout == "all settings are valid\n"


def test_the_check_of_a_file_is_written_as_json_on_request(command: Command) -> None:
    Path("shop.yaml").write_text(f"worker:\n  concurency: 3\n  isolation: {ADDRESS}\n")
    result = command("config", "check", "--json", "--config", "shop.yaml")
    first, second = loads(result.stdout)["problems"]
    assert (result.exit_code, result.stderr) == (78, "")
    assert first.startswith("shop.yaml:2: worker.concurency: unknown key")
    assert "ann:***@db" in second
    assert loads(command("config", "check", "--json").stdout) == {"problems": []}


def test_the_files_of_roles_are_written_as_json_on_request(command: Command) -> None:
    result = command("acl", "acls", "--json", environ={"FAIRQUE_ACL_WORKER": "secret"})
    files = {one["role"]: one for one in loads(result.stdout)}
    assert files["worker"] == {"role": "worker", "path": "acls/worker.acl", "enabled": True}
    assert files["viewer"] == {"role": "viewer", "path": "acls/viewer.acl", "enabled": False}


def leaves(group: click.Group, *words: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from leaves(found, *words, name)
        else:
            yield " ".join([*words, name]), found


def test_every_command_writes_json_on_request() -> None:
    without = {name for name, found in leaves(main) if not any("--json" in option.opts for option in found.params)}
    assert without == {"config schema"}  # it writes nothing else


def test_the_schedules_of_a_file_are_checked_without_importing_their_modules(command: Command) -> None:
    Path("shop.yaml").write_text(
        "scheduler: {modules: [no_such_shop]}\nschedules:\n  nightly: {cron: '@daily', overlap: never}\n"
    )
    result = command("config", "check", "--config", "shop.yaml")
    assert result.exit_code == 78
    assert "shop.yaml:3: schedules.nightly.overlap: expected one of 'allow', 'skip'" in result.stderr
    assert "no_such_shop" not in result.output


def test_config_shows_each_setting_and_where_it_comes_from(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("worker:\n  modules: [shop.tasks]\n  concurrency: 4\n")
    result = command(
        "config", "show", "--config", str(path), "--queue", "mails", environ={"FAIRQUE_WORKER_CONCURRENCY": "8"}
    )
    shown = {key: " ".join(rest) for key, *rest in map(str.split, result.output.splitlines())}
    assert result.exit_code == 0
    assert shown["worker.concurrency"] == "8 environment FAIRQUE_WORKER_CONCURRENCY"
    assert shown["worker.modules"] == f"shop.tasks {path}:2"
    assert shown["worker.lease"] == "30.0 default"
    assert shown["queue.name"] == "mails --queue"


def test_config_masks_secrets(command: Command) -> None:
    result = command("config", "show", "--json", "--url", "redis://ann:secret@db:6379/1")
    assert loads(result.output)["redis.url"] == {
        "value": "redis://ann:***@db:6379/1",
        "from": "--url",
    }


@pytest.mark.parametrize("setting", ["REDIS_RETRIES", "QUEUE_NAME", "WORKER_CONCURRENCY", "WORKER_ISOLATION"])
def test_a_url_in_the_wrong_variable_does_not_show_its_password(command: Command, setting: str) -> None:
    result = command("config", "show", environ={f"FAIRQUE_{setting}": ADDRESS})
    assert (result.exit_code, "hunter2" in result.output) == (78, False)


@pytest.mark.parametrize("setting", ["WORKER_MODULES", "WORKER_HTTP_HOST"])
def test_config_masks_a_url_in_place_of_another_text(command: Command, setting: str) -> None:
    result = command("config", "show", environ={f"FAIRQUE_{setting}": ADDRESS})
    assert "redis://ann:***@db:6379/1" in result.output


def test_config_shows_the_limits_of_users_and_their_lines(command: Command) -> None:
    Path("limits.yaml").write_text("fairness:\n  users: {ann: {cap: 3}}\n")
    result = command("config", "show", "--json", "--config", "limits.yaml")
    assert loads(result.output)["fairness.users"] == {"value": {"ann": {"cap": 3}}, "from": "limits.yaml:2"}
    assert loads(result.output)["fairness.user_defaults"] == {"value": {}, "from": "default"}


def test_config_reports_all_problems_without_a_server(command: Command) -> None:
    result = command("config", "show", "--url", "http://db", environ={"FAIRQUE_WORKER_CONCURRENCY": "0"})
    assert (result.exit_code, "FAIRQUE_WORKER_CONCURRENCY" in result.stderr, "--url: " in result.stderr) == (
        78,
        True,
        True,
    )


def test_the_readme_lists_the_same_exit_codes() -> None:
    text = " ".join((Path(__file__).parents[1] / "README.md").read_text().split())
    assert EXIT_CODES.removeprefix("Exit codes: ") in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
@pytest.mark.parametrize(
    "words",
    [["config", "show"], ["config", "schema"], ["config", "check", "--json"], ["users", "--help"], ["--version"]],
    ids=" ".join,
)
def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_1(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "fairque.console", *words], stdout=full, stderr=-1, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "Error: cannot write to standard output: No space left on device\n")


def test_a_pipe_that_is_closed_early_ends_a_command_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "fairque.console", "config", "show"],
            stdout=closed,
            stderr=-1,
            text=True,
            check=False,
        )
    assert done.stderr == ""
