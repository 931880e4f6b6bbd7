"""The command line, without a server: what is wrong is said in one line and by the exit code."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairque.protocol.jsonvalue import loads
from fairque.worker import __version__
from fairque.worker.cli import main

# Nobody listens here, so a test that gets as far as the server ends with 3.
NOWHERE = "unix:///nowhere/server.sock"

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command in an empty folder, and forgets what it imported and how it logged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    logger = logging.getLogger("fairque")
    logged = logger.handlers[:], logger.level, logger.propagate

    def command(*args: str, environ: dict[str, str] | None = None) -> Result:
        settings = {"FAIRQUE__REDIS__URL": NOWHERE, "FAIRQUE__REDIS__RETRIES": "0", **(environ or {})}
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


def test_all_that_is_wrong_is_said_at_once_with_the_option_that_says_it(command: Command) -> None:
    Path("fairque.yaml").write_text("worker:\n  grace_seconds: -1\n")
    result = command("--config", "fairque.yaml", "--queue", "a:b", "--concurrency", "0", "--url", "http://x", "tasks")
    assert result.exit_code == 78
    lines = result.stderr.splitlines()
    assert [line.partition(": must ")[0] for line in lines] == [
        "fairque-worker: fairque.yaml:2: worker.grace_seconds",
        "--url",
        "--queue",
        "--concurrency",
    ]


@pytest.mark.parametrize("text", ["one, two", "[one, two]", '["one", "two"]', "['one',two]"])
def test_modules_in_the_environment_may_be_written_as_a_list(command: Command, text: str) -> None:
    modules = [write("tasks_of_one", ""), write("tasks_of_two", "")]
    text = text.replace("one", modules[0]).replace("two", modules[1])
    result = command(environ={"FAIRQUE__WORKER__MODULES": text})
    assert result.exit_code == 3
    assert set(modules) <= sys.modules.keys()


def test_an_unknown_option_is_wrong_usage(command: Command) -> None:
    assert command("--concurency", "2", "tasks").exit_code == 2


def test_a_number_that_is_none_is_wrong_usage(command: Command) -> None:
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


def test_a_module_that_is_not_there_is_said_with_where_it_was_looked_for(command: Command, tmp_path: Path) -> None:
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
def test_a_module_that_cannot_be_imported_is_said_with_the_reason(command: Command, text: str, words: str) -> None:
    result = command(write("tasks_of_trouble", text))
    assert result.exit_code == 6
    assert words in result.stderr


def test_of_a_module_that_fails_the_line_is_said(command: Command) -> None:
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


@pytest.mark.parametrize(("words", "meant"), [(["verfy"], "verify"), (["users", "lst"], "users")])
def test_a_misspelled_command_is_a_module_that_is_not_there_and_the_command_is_named(
    command: Command, words: list[str], meant: str
) -> None:
    result = command(*words)
    assert result.exit_code == 6
    assert f"fairque-worker {meant} --help" in result.stderr


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
        ("NeedsArguments", "cannot be made without arguments"),
        ("Unfinished", "cannot be made without arguments"),
    ],
)
def test_an_attribute_that_is_no_usable_handler_is_refused(command: Command, attribute: str, words: str) -> None:
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
    assert "2 task handlers are named: a worker has one" in result.stderr


def test_a_server_that_is_away_is_one_line_and_no_traceback(command: Command) -> None:
    result = command(write("tasks_of_anybody", ""))
    assert result.exit_code == 3
    assert "does not answer" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_option_wins_over_the_environment(command: Command) -> None:
    result = command("--url", "unix:///elsewhere/s", write("tasks_of_anybody", ""))
    assert result.exit_code == 3
    assert "/elsewhere/s" in result.stderr


def test_the_variable_of_the_option_wins_over_that_of_the_setting_and_the_option_over_both(command: Command) -> None:
    module = write("tasks_of_anybody", "")
    variable = {"FAIRQUE_WORKER_URL": "unix:///of/the/option"}
    assert "/of/the/option" in command(module, environ=variable).stderr
    assert "/elsewhere/s" in command("--url", "unix:///elsewhere/s", module, environ=variable).stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("QUEUE", "a:b"), ("CONCURRENCY", "0"), ("CONFIG", "missing.yaml"), ("LOG_LEVEL", "loud")]
)
def test_every_option_has_a_variable(command: Command, variable: str, value: str) -> None:
    result = command(write("tasks_of_anybody", ""), environ={f"FAIRQUE_WORKER_{variable}": value})
    assert result.exit_code in (2, 78)
    assert value in result.stderr


def test_modules_may_stand_in_the_configuration(command: Command) -> None:
    Path("fairque.yaml").write_text(f"worker:\n  modules: [{write('tasks_of_anybody', '')}]\n")
    assert command("--config", "fairque.yaml").exit_code == 3


def test_a_wrong_configuration_names_file_and_line_of_every_problem(command: Command) -> None:
    Path("fairque.yaml").write_text("worker:\n  concurrency: 0\n  modules: [a]\nqueue:\n  nam: x\n")
    result = command("--config", "fairque.yaml")
    assert result.exit_code == 78
    assert "fairque.yaml:2" in result.stderr
    assert "fairque.yaml:5" in result.stderr


def test_a_configuration_that_is_not_there_is_wrong(command: Command) -> None:
    result = command("--config", "missing.yaml", "tasks_of_anybody")
    assert result.exit_code == 78
    assert "missing.yaml: no such file" in result.stderr


def test_a_typing_error_in_the_environment_is_a_wrong_configuration(command: Command) -> None:
    result = command(write("tasks_of_anybody", ""), environ={"FAIRQUE__WORKER__CONCURENCY": "3"})
    assert result.exit_code == 78
    assert "FAIRQUE__WORKER__CONCURENCY" in result.stderr


def test_config_tells_each_setting_and_where_it_comes_from(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("worker:\n  modules: [shop.tasks]\n  concurrency: 4\n")
    result = command("config", "--config", str(path), "--queue", "mails", environ={"FAIRQUE__WORKER__CONCURRENCY": "8"})
    told = {key: " ".join(rest) for key, *rest in map(str.split, result.output.splitlines())}
    assert result.exit_code == 0
    assert told["worker.concurrency"] == "8 environment FAIRQUE__WORKER__CONCURRENCY"
    assert told["worker.modules"] == f"shop.tasks {path}:2"
    assert told["worker.lease_seconds"] == "30.0 default"
    assert told["queue.name"] == "mails --queue, or FAIRQUE_WORKER_QUEUE"


def test_config_knows_the_variable_of_the_concurrency(command: Command) -> None:
    result = command("config", environ={"FAIRQUE_WORKER_CONCURRENCY": "4", "FAIRQUE__WORKER__CONCURRENCY": "8"})
    told = {key: " ".join(rest) for key, *rest in map(str.split, result.output.splitlines())}
    assert told["worker.concurrency"] == "4 --concurrency, or FAIRQUE_WORKER_CONCURRENCY"


@pytest.mark.parametrize(
    "words", [["doctor"], ["verify"], ["config"], ["healthcheck"], ["users", "list"], ["users", "apply"]], ids=" ".join
)
def test_the_help_of_each_command_names_the_variables_of_its_options(command: Command, words: list[str]) -> None:
    assert "FAIRQUE_WORKER_CONFIG" in command(*words, "--help").output


def test_config_shows_no_secret(command: Command) -> None:
    result = command("config", "--json", "--url", "redis://ann:secret@db:6379/1")
    assert loads(result.output)["redis.url"] == {
        "value": "redis://ann:***@db:6379/1",
        "from": "--url, or FAIRQUE_WORKER_URL",
    }


ADDRESS = "redis://ann:hunter2@db:6379/1"


@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["--queue", "{}", "tasks_of_anybody"],
        ["--concurrency", "{}", "tasks_of_anybody"],
        ["--log-level", "{}", "tasks_of_anybody"],
        ["--config", "{}", "tasks_of_anybody"],
        ["config", "{}"],
        ["config", "--queue", "{}"],
        ["doctor", "{}"],
        ["verify", "{}"],
        ["healthcheck", "{}"],
        ["users", "list", "{}"],
    ],
    ids=" ".join,
)
def test_an_address_in_a_wrong_place_does_not_show_its_password(command: Command, words: list[str]) -> None:
    result = command(*(word.format(ADDRESS) for word in words))
    assert result.exit_code in (2, 78)
    assert "hunter2" not in result.output
    assert "ann:***@db" in result.output


def test_an_address_in_the_place_of_a_module_is_told_where_it_belongs(command: Command) -> None:
    assert "is an address: give it with --url, and name a MODULE" in command(ADDRESS).output


@pytest.mark.parametrize("setting", ["REDIS", "QUEUE__NAME", "WORKER__CONCURRENCY", "WORKER__ISOLATION"])
def test_an_address_in_the_wrong_variable_does_not_show_its_password(command: Command, setting: str) -> None:
    result = command("config", environ={f"FAIRQUE__{setting}": ADDRESS})
    assert (result.exit_code, "hunter2" in result.output) == (78, False)


@pytest.mark.parametrize("setting", ["WORKER__MODULES", "WORKER__HTTP_HOST"])
def test_config_masks_an_address_that_stands_where_another_text_belongs(command: Command, setting: str) -> None:
    result = command("config", environ={f"FAIRQUE__{setting}": ADDRESS})
    assert "redis://ann:***@db:6379/1" in result.output


def test_config_shows_the_limits_of_users_and_their_line(command: Command) -> None:
    Path("limits.yaml").write_text("fairness:\n  users: {ann: {cap: 3}}\n")
    result = command("config", "--json", "--config", "limits.yaml")
    assert loads(result.output)["fairness.users"] == {"value": {"ann": {"cap": 3}}, "from": "limits.yaml:2"}
    assert loads(result.output)["fairness.defaults"] == {"value": {}, "from": "default"}


def test_config_says_all_that_is_wrong_and_asks_no_server(command: Command) -> None:
    result = command("config", "--url", "http://db", environ={"FAIRQUE__WORKER__CONCURRENCY": "0"})
    assert (result.exit_code, "FAIRQUE__WORKER__CONCURRENCY" in result.stderr, "--url: " in result.stderr) == (
        78,
        True,
        True,
    )
