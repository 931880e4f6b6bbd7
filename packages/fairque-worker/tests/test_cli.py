"""The command line, without a server: errors are one line and an exit code."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairque.worker import __version__
from fairque.worker.cli import main

# Nothing listens here, so a test that gets as far as the server ends with 3.
NOWHERE = "unix:///nowhere/server.sock"

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command in an empty folder, and resets what it imported and how it logged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    logger = logging.getLogger("fairque")
    logged = logger.handlers[:], logger.level, logger.propagate

    def command(*args: str, environ: dict[str, str] | None = None) -> Result:
        settings = {"FAIRQUE_REDIS_URL": NOWHERE, "FAIRQUE_REDIS_RETRIES": "0", **(environ or {})}
        return CliRunner().invoke(main, args, env=settings)

    yield command
    for name in set(sys.modules) - before:
        if name.startswith("tasks_of_"):
            del sys.modules[name]
    logger.handlers[:], logger.level, logger.propagate = logged


def write(name: str, text: str) -> str:
    Path(f"{name}.py").write_text(text)
    return name


def test_the_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").output == f"fairque-worker, version {__version__}\n"


def test_help_says_where_logs_are_text(command: Command) -> None:
    assert "auto is text on a terminal" in " ".join(command("--help").output.split())


def test_help_explains_options_and_exit_codes(command: Command) -> None:
    text = " ".join(command("--help").output.split())
    for word in ("MODULE[:ATTR]", "--url", "--queue", "--concurrency", "--burst", "--config", "78 wrong configuration"):
        assert word in text


def test_without_a_module_there_is_nothing_to_run(command: Command) -> None:
    result = command()
    assert result.exit_code == 2
    assert "name at least one MODULE with task functions, or worker.modules in --config" in result.stderr


@pytest.mark.parametrize("name", ["", " ", ":Handler", "tasks:", "tasks_of_anybody: "])
def test_a_module_without_a_name_is_wrong_usage(command: Command, name: str) -> None:
    result = command(name)
    assert result.exit_code == 2
    assert f"{name!r} is neither MODULE nor MODULE:ATTR" in result.stderr


def test_all_problems_are_reported_at_once_with_their_options(command: Command) -> None:
    Path("fairque.yaml").write_text("worker:\n  stop_timeout: -1\n")
    result = command("--config", "fairque.yaml", "--queue", "a:b", "--concurrency", "0", "--url", "http://x", "tasks")
    assert result.exit_code == 78
    lines = result.stderr.splitlines()
    assert [line.partition(": must ")[0] for line in lines] == [
        "fairque-worker: fairque.yaml:2: worker.stop_timeout",
        "--url",
        "--queue",
        "--concurrency",
    ]


@pytest.mark.parametrize("text", ["one, two", "[one, two]", '["one", "two"]', "['one',two]"])
def test_modules_in_the_environment_may_be_written_as_a_list(command: Command, text: str) -> None:
    modules = [write("tasks_of_one", ""), write("tasks_of_two", "")]
    text = text.replace("one", modules[0]).replace("two", modules[1])
    result = command(environ={"FAIRQUE_WORKER_MODULES": text})
    assert result.exit_code == 3
    assert set(modules) <= sys.modules.keys()


def test_an_unknown_option_is_wrong_usage(command: Command) -> None:
    assert command("--concurency", "2", "tasks").exit_code == 2


def test_a_value_that_is_not_a_number_is_wrong_usage(command: Command) -> None:
    assert command("--concurrency", "many", "tasks").exit_code == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--concurrency", "0"], "--concurrency: must be between 1"),
        (["--queue", "no spaces"], "--queue: must be 1 to 64"),
        (["--url", "http://localhost"], "redis://"),
        (["--url", "redis://localhost:port"], "host or port"),
        (["--url", "redis://localhost:1/0?foo=1"], "there is no parameter 'foo'"),
        (["--url", "redis://localhost/first"], "the number of the database"),
    ],
)
def test_a_value_that_cannot_be_used_is_a_wrong_configuration(command: Command, args: list[str], words: str) -> None:
    result = command(*args, write("tasks_of_values", ""))
    assert result.exit_code == 78
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_url_does_not_show_its_password(command: Command) -> None:
    result = command("--url", "redis://:secret@host:port/0", write("tasks_of_secrets", ""))
    assert result.exit_code == 78
    assert "secret" not in result.output


def test_the_error_of_a_missing_module_says_where_it_was_searched(command: Command, tmp_path: Path) -> None:
    result = command("tasks_of_nobody")
    assert result.exit_code == 6
    assert "module 'tasks_of_nobody' cannot be imported: ModuleNotFoundError" in result.stderr
    assert str(tmp_path) in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_the_kind", "No module named 'nothing_of_the_kind'"),
        ("def", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_the_error_of_a_module_that_cannot_be_imported_has_the_reason(command: Command, text: str, words: str) -> None:
    result = command(write("tasks_of_trouble", text))
    assert result.exit_code == 6
    assert words in result.stderr


def test_the_error_of_a_module_that_fails_names_the_line(command: Command) -> None:
    result = command(write("tasks_of_trouble", "import sys\nimport nothing_of_the_kind\n"))
    assert 'tasks_of_trouble.py", line 2, in <module>' in result.stderr
    assert "importlib" not in result.stderr


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("tasks_of_files.py", "tasks_of_files"),
        ("./tasks_of_files.py", "tasks_of_files"),
        ("shop/tasks", "shop.tasks"),
        ("shop/tasks.py:Mails", "shop.tasks:Mails"),
    ],
)
def test_a_file_in_the_place_of_a_module_is_wrong_usage(command: Command, name: str, module: str) -> None:
    write("tasks_of_files", "")
    result = command(name)
    assert result.exit_code == 2
    assert f"is a file: name its module, {module!r}" in result.stderr


HANDLERS = """
from fairque.worker import TaskHandler

class Good(TaskHandler):
    def handle(self, task, ctx):
        return None

class NeedsArguments(Good):
    def __init__(self, address):
        pass

class Unfinished(TaskHandler):
    pass

one, number = Good(), 5
"""


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("missing", "module 'tasks_of_handlers' has no attribute 'missing' (known: "),
        ("Goode", "module 'tasks_of_handlers' has no attribute 'Goode' (did you mean 'Good'?)"),
        ("number", "is not a TaskHandler but int"),
        ("NeedsArguments", "cannot be created without arguments"),
        ("Unfinished", "cannot be created without arguments"),
    ],
)
def test_an_attribute_that_is_not_a_usable_handler_is_refused(command: Command, attribute: str, words: str) -> None:
    result = command(f"{write('tasks_of_handlers', HANDLERS)}:{attribute}")
    assert result.exit_code == 6
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("attribute", ["Good", "one"])
def test_a_class_and_an_object_are_both_handlers(command: Command, attribute: str) -> None:
    result = command(f"{write('tasks_of_handlers', HANDLERS)}:{attribute}")
    assert result.exit_code == 3


def test_a_worker_has_one_handler(command: Command) -> None:
    module = write("tasks_of_handlers", HANDLERS)
    result = command(f"{module}:Good", f"{module}:one")
    assert result.exit_code == 6
    assert "2 task handlers are named, but a worker has one" in result.stderr


def test_an_unreachable_server_is_one_line_without_a_traceback(command: Command) -> None:
    result = command(write("tasks_of_anybody", ""))
    assert result.exit_code == 3
    assert "does not answer" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_option_overrides_the_environment(command: Command) -> None:
    result = command("--url", "unix:///elsewhere/s", write("tasks_of_anybody", ""))
    assert result.exit_code == 3
    assert "/elsewhere/s" in result.stderr


def test_set_overrides_the_environment_and_a_specific_option_overrides_both(command: Command) -> None:
    module = write("tasks_of_anybody", "")
    change = ["--set", "redis.url=unix:///of/set/s"]
    assert "/of/set/s" in command(*change, module).stderr
    assert "/elsewhere/s" in command("--url", "unix:///elsewhere/s", *change, module).stderr


@pytest.mark.parametrize("words", ["concurrency=2", "worker.concurrency", "worker=2", ".concurrency=2", "="])
def test_set_takes_a_section_a_key_and_a_value(command: Command, words: str) -> None:
    result = command("--set", words, write("tasks_of_anybody", ""))
    assert (result.exit_code, "is not of the form section.key=value" in result.stderr) == (2, True)


def test_a_setting_of_the_command_line_that_cannot_be_used_is_named_by_its_path(command: Command) -> None:
    result = command("--set", "worker.heartbeat=20m", "--set", "worker.leese=1", write("tasks_of_anybody", ""))
    assert result.exit_code == 78
    assert "--set worker.leese: unknown key (did you mean 'lease'?)" in result.stderr
    assert "--set worker.heartbeat: must be above 0 and at most half of lease" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUEUE_NAME", "a:b"),
        ("WORKER_CONCURRENCY", "0"),
        ("CONFIG", "missing.yaml"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "loud"),
        ("WORKER_HTTP_PORT", "70000"),
        ("WORKER_PROCESSES", "none"),
    ],
)
def test_every_option_has_a_variable_which_the_help_names(command: Command, variable: str, value: str) -> None:
    result = command(write("tasks_of_anybody", ""), environ={f"FAIRQUE_{variable}": value})
    assert result.exit_code in (2, 78)
    assert value in result.stderr
    assert f"FAIRQUE_{variable}" in command("--help").stdout


def test_modules_may_stand_in_the_configuration(command: Command) -> None:
    Path("fairque.yaml").write_text(f"worker:\n  modules: [{write('tasks_of_anybody', '')}]\n")
    assert command("--config", "fairque.yaml").exit_code == 3


def test_a_wrong_configuration_names_file_and_line_of_every_problem(command: Command) -> None:
    Path("fairque.yaml").write_text("worker:\n  concurrency: 0\n  modules: [a]\nqueue:\n  nam: x\n")
    result = command("--config", "fairque.yaml")
    assert result.exit_code == 78
    assert "fairque.yaml:2" in result.stderr
    assert "fairque.yaml:5" in result.stderr


def test_a_missing_configuration_file_is_an_error(command: Command) -> None:
    result = command("--config", "missing.yaml", "tasks_of_anybody")
    assert result.exit_code == 78
    assert "missing.yaml: no such file" in result.stderr


def test_a_typing_error_in_the_environment_is_a_wrong_configuration(command: Command) -> None:
    result = command(write("tasks_of_anybody", ""), environ={"FAIRQUE_WORKER_CONCURENCY": "3"})
    assert result.exit_code == 78
    assert "FAIRQUE_WORKER_CONCURENCY" in result.stderr


ADDRESS = "redis://ann:hunter2@db:6379/1"


@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["--queue", "{}", "tasks_of_anybody"],
        ["--concurrency", "{}", "tasks_of_anybody"],
        ["--log-level", "{}", "tasks_of_anybody"],
        ["--config", "{}", "tasks_of_anybody"],
        ["healthcheck", "{}"],
    ],
    ids=" ".join,
)
def test_an_address_in_a_wrong_place_does_not_show_its_password(command: Command, words: list[str]) -> None:
    result = command(*(word.format(ADDRESS) for word in words))
    assert result.exit_code in (2, 78)
    assert "hunter2" not in result.output
    assert "ann:***@db" in result.output


def test_the_error_of_an_address_in_place_of_a_module_says_where_it_belongs(command: Command) -> None:
    assert "is an address: give it with --url, and name a MODULE" in command(ADDRESS).output


@pytest.mark.parametrize("name", ["config", "doctor", "users", "verify"])
def test_a_module_may_have_the_name_of_a_command_of_operators(command: Command, name: str) -> None:
    write(name, "1 / 0\n")
    result = command(name)
    assert result.exit_code == 6
    assert f"module '{name}' cannot be imported: ZeroDivisionError" in result.stderr


def test_a_command_of_operators_that_is_not_a_module_is_suggested(command: Command) -> None:
    result = command("doctor", "--burst")
    assert result.exit_code == 6
    assert "run fairque doctor (package fairque-console)" in result.stderr
