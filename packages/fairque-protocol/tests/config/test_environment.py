"""Environment variables in settings: ``${NAME}`` in a file, and ``FAIRQUE_SECTION_KEY`` and options on top of it."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from fairque.protocol.config import (
    Option,
    RedisSection,
    at_least,
    load_settings,
    matches,
    trace_settings,
)
from fairque.protocol.errors import ConfigurationError


class Color(Enum):
    RED = 1
    BLUE = 2


@frozen
class Limits:
    cpu: int = 1


@frozen(kw_only=True)
class WorkerSection:
    concurrency: int = field(default=16, validator=at_least(1))
    lease: float = 30.0
    modules: tuple[str, ...] = ()
    tags: list[int] = field(factory=list)
    default_user_id: str | None = None
    deadline: int | None = None
    mode: Literal["thread", "process", 3] = "thread"
    color: Color = Color.RED
    drain: bool = True
    limits: Limits = field(factory=Limits)
    label: str = field(default="main", validator=matches(r"[a-z]+", "lower case letters"))
    token: str = field(default="none", validator=matches(r"[a-z]+", "lower case letters"))
    extra: Any = None


@frozen(kw_only=True)
class User:
    weight: float


@frozen(kw_only=True)
class Settings:
    redis: RedisSection = field(factory=RedisSection)
    worker: WorkerSection = field(factory=WorkerSection)


Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


# ${NAME}


@pytest.mark.parametrize(
    ("line", "environ", "name", "value"),
    [
        ("concurrency: ${N}", {"N": "4"}, "concurrency", 4),
        ("concurrency: ${N:-16}", {}, "concurrency", 16),
        ("concurrency: ${N:-16}", {"N": ""}, "concurrency", 16),
        ("drain: ${N}", {"N": "no"}, "drain", False),
        ("label: ${N}", {"N": "abc"}, "label", "abc"),
        ("default_user_id: '${N}'", {"N": "42"}, "default_user_id", "42"),
        ("default_user_id: ${N:-null}", {}, "default_user_id", None),
        ("default_user_id: ${N:-}", {}, "default_user_id", None),
        ("default_user_id: '${N:-}'", {}, "default_user_id", ""),
        ("default_user_id: ${A}${B}", {"A": "4", "B": "2"}, "default_user_id", "42"),
        ("default_user_id: a-${A}-${B:-b:-c}", {"A": "${B}"}, "default_user_id", "a-${B}-b:-c"),
        ("default_user_id: $${A}", {"A": "x"}, "default_user_id", "${A}"),
        ("default_user_id: $A $ $$", {"A": "x"}, "default_user_id", "$A $ $$"),
        ("modules: ['${A}', b]", {"A": "a"}, "modules", ("a", "b")),
        ("extra: {k: ['${A}', $${A}]}", {"A": "a"}, "extra", None),
    ],
)
def test_references_are_replaced(load: Load, line: str, environ: dict[str, str], name: str, value: Any) -> None:
    if name == "extra":
        line, value = "extra:\n    - ${A}\n    - $${A}", ["a", "${A}"]
    assert getattr(load(f"worker:\n  {line}\n", environ).worker, name) == value


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        (
            "label: ${NOPE}",
            {},
            "the environment variable NOPE is not set (set it, or give a default: ${NOPE:-…})",
        ),
        ("label: a${NOPE}", {}, "the environment variable NOPE is not set"),
        ("label: ${1A}", {}, "malformed reference: write ${NAME} or ${NAME:-default}"),
        ("label: ${A", {"A": "x"}, "malformed reference"),
        ("label: ${}", {}, "malformed reference"),
        ("concurrency: ${N}", {"N": "hunter2"}, "expected an integer, found a string"),
        ("concurrency: '${N}'", {"N": "16"}, "expected an integer, found a string (remove the quotes)"),
        ("concurrency: 1${N}", {"N": "6"}, "expected an integer, found a string"),
        ("label: ${N}", {"N": "4711"}, "expected a string, found an integer (quote it)"),
        ("label: ${N}", {"N": ""}, "expected a string, found nothing"),
        ("label: ${N}", {"N": "HUNTER2"}, "must be lower case letters, found '***'"),
        ("concurrency: ${N}", {"N": "0"}, "must be at least 1, found 0"),
    ],
)
def test_a_reference_that_fails_does_not_show_the_value_of_the_variable(
    problems: Problems, line: str, environ: dict[str, str], expected: str
) -> None:
    (found,) = problems(f"worker:\n  {line}\n", environ)
    assert found.startswith(f"dev.yaml:2: worker.{line.partition(':')[0]}: {expected}")
    assert not any(text in found.lower() for text in ("hunter2", "4711"))


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("redis: {url: 'http://hunter2'}", {}),
        ("redis: {url: {hunter2: 1}}", {}),
        ("redis: {url: 1.234567}", {}),
        ("redis: {url: '${U}'}", {"U": "redis://:hunter2@h:x"}),
        ("", {"FAIRQUE_REDIS_URL": "redis://:hunter2@h:x"}),
        ("worker: {token: 'Hunter2'}", {}),
        ("worker: {token: [hunter2]}", {}),
        ("worker: {token: 012345678}", {}),
    ],
)
def test_no_secret_is_shown(problems: Problems, text: str, environ: dict[str, str]) -> None:
    found = "\n".join(problems(text, environ)).lower()
    assert not any(secret in found for secret in ("hunter2", "1.234567", "012345678"))


def test_text_joined_from_references_gets_no_advice_about_quotes(problems: Problems) -> None:
    (found,) = problems("worker:\n  concurrency: 1${N}\n", {"N": "6"})
    assert found.endswith("found a string")


# FAIRQUE_SECTION_KEY


def test_variables_override_the_file_and_are_read_by_the_type_of_the_key(load: Load) -> None:
    environ = {
        "FAIRQUE_WORKER_CONCURRENCY": "32",
        "FAIRQUE_WORKER_LEASE": "90",
        "FAIRQUE_WORKER_DRAIN": "false",
        "FAIRQUE_WORKER_MODULES": "a.b, c",
        "FAIRQUE_WORKER_TAGS": "1,2",
        "FAIRQUE_WORKER_DEFAULT_USER_ID": "042",
        "FAIRQUE_WORKER_MODE": "3",
        "FAIRQUE_WORKER_COLOR": "BLUE",
        "FAIRQUE_REDIS_URL": "unix:///a?client_name=${B}",
        "OTHER": "x",
    }
    settings = load("worker:\n  concurrency: ${NOT_SET}\n  label: file\n", environ)
    assert settings.worker == WorkerSection(
        concurrency=32,
        lease=90.0,
        drain=False,
        modules=("a.b", "c"),
        tags=[1, 2],
        default_user_id="042",
        mode=3,
        color=Color.BLUE,
        label="file",
    )
    assert settings.redis.url == "unix:///a?client_name=${B}"
    assert load_settings(None, Settings, environ=environ).redis == settings.redis


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("a.b", ("a.b",)),
        (" [a.b , c] ", ("a.b", "c")),
        ('["a.b", "c"]', ("a.b", "c")),
        ("'a.b', 'c'", ("a.b", "c")),
        ("[a.b]", ("a.b",)),
        ("[]", ()),
        ("[ ]", ()),
        ("[a", ("[a",)),
    ],
)
def test_a_list_is_written_with_commas_or_as_yaml_and_json_have_it(
    load: Load, text: str, modules: tuple[str, ...]
) -> None:
    assert load("", {"FAIRQUE_WORKER_MODULES": text}).worker.modules == modules


def test_the_items_of_such_a_list_are_read_by_their_type(load: Load) -> None:
    assert load("", {"FAIRQUE_WORKER_TAGS": "[1, 2]"}).worker.tags == [1, 2]


def test_the_word_null_in_a_variable_is_a_string(load: Load) -> None:
    assert load("", {"FAIRQUE_WORKER_DEFAULT_USER_ID": "null"}).worker.default_user_id == "null"


def test_a_key_of_an_empty_section_is_overridden(load: Load) -> None:
    assert load("worker:\n", {"FAIRQUE_WORKER_CONCURRENCY": "3"}).worker.concurrency == 3


def test_an_empty_override_unsets_an_optional_key_and_empties_a_list(load: Load) -> None:
    environ = dict.fromkeys(("FAIRQUE_WORKER_DEFAULT_USER_ID", "FAIRQUE_WORKER_DEADLINE", "FAIRQUE_WORKER_MODULES"), "")
    text = "worker: {default_user_id: a, deadline: 5, modules: [a]}"
    assert load(text, environ).worker == WorkerSection()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("FAIRQUE_WORKER_CONCURENCY", "3", "is not a setting (did you mean FAIRQUE_WORKER_CONCURRENCY?)"),
        ("FAIRQUE_WROKER_CONCURRENCY", "3", "is not a setting (did you mean FAIRQUE_WORKER_CONCURRENCY?)"),
        ("FAIRQUE__WORKER__CONCURRENCY", "3", "is not a setting (did you mean FAIRQUE_WORKER_CONCURRENCY?)"),
        ("FAIRQUE_NOTHING_LIKE_IT", "3", "is not a setting (they are named FAIRQUE_SECTION_KEY)"),
        ("FAIRQUE_WORKER", "3", "is not a setting"),
        ("FAIRQUE_worker_concurrency", "3", "is not a setting"),
        ("FAIRQUE_WORKER_LIMITS_CPU", "3", "is not a setting"),
        ("FAIRQUE_WORKER_LIMITS", "3", "expected a mapping, found the integer 3"),
        ("FAIRQUE_WORKER_CONCURRENCY", "many", "expected an integer, found the string 'many'"),
        ("FAIRQUE_WORKER_CONCURRENCY", "", "expected an integer, found nothing"),
        ("FAIRQUE_WORKER_CONCURRENCY", "0", "must be at least 1, found 0"),
        ("FAIRQUE_WORKER_LEASE", "nan", "expected a number, found the string 'nan'"),
        ("FAIRQUE_WORKER_DRAIN", "1", "expected a boolean (true or false), found the integer 1"),
        ("FAIRQUE_WORKER_TAGS", "1,x", "expected an integer, found the string 'x'"),
    ],
)
def test_the_error_of_an_invalid_override_names_its_variable(
    problems: Problems, variable: str, value: str, expected: str
) -> None:
    (found,) = problems("", {variable: value})
    assert found.startswith(f"environment {variable}: {expected}")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, Settings, environ={variable: value})
    assert caught.value.problems == (found,)


def test_without_a_file_a_missing_key_is_named_by_its_path() -> None:
    cls: Any = attrs.make_class("Owner", {"scheduler": field(type=User)}, frozen=True)
    with pytest.raises(ConfigurationError, match=r"^environment: scheduler\.weight: required key is missing$"):
        load_settings(None, cls, environ={})


def test_an_override_of_a_section_that_is_not_a_mapping_keeps_the_problem_of_the_file(problems: Problems) -> None:
    found = problems("worker: 5\n", {"FAIRQUE_WORKER_CONCURRENCY": "3"})
    assert found == ["dev.yaml:1: worker: expected a mapping, found the integer 5"]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRQUE_WORKER_CONCURRENCY", "7")
    path = tmp_path / "a.yaml"
    path.write_text("")
    assert load_settings(path, Settings).worker.concurrency == 7
    assert load_settings(None, Settings).worker.concurrency == 7


def test_each_setting_is_traced_to_its_line_or_variable(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("redis:\n  retries: 1\nworker:\n  concurrency: 4\n  lease: 7\n")
    settings, origins = trace_settings(path, Settings, environ={"FAIRQUE_WORKER_LEASE": "9"})
    assert (settings.redis.retries, settings.worker.concurrency, settings.worker.lease) == (1, 4, 9.0)
    assert origins == {
        "redis.retries": f"{path}:2",
        "worker.concurrency": f"{path}:4",
        "worker.lease": "environment FAIRQUE_WORKER_LEASE",
    }


def test_without_a_file_settings_come_from_variables() -> None:
    settings, origins = trace_settings(None, Settings, environ={"FAIRQUE_WORKER_CONCURRENCY": "3"})
    assert settings == load_settings(None, Settings, environ={"FAIRQUE_WORKER_CONCURRENCY": "3"})
    assert origins == {"worker.concurrency": "environment FAIRQUE_WORKER_CONCURRENCY"}


def test_without_a_path_the_file_is_the_one_that_a_variable_names(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("worker:\n  concurrency: 4\n")
    assert load_settings(None, Settings, environ={"FAIRQUE_CONFIG": str(path)}).worker.concurrency == 4
    assert load_settings(None, Settings, environ={"FAIRQUE_CONFIG": ""}) == Settings()


def test_a_path_overrides_the_variable_that_names_a_file(load: Load) -> None:
    assert load("worker:\n  concurrency: 4\n", {"FAIRQUE_CONFIG": "/nowhere.yaml"}).worker.concurrency == 4


@pytest.mark.parametrize(
    "variable",
    ["FAIRQUE_ACL_WORKER", "FAIRQUE_TEST_SEED", "FAIRQUE_WORKER_PROCESSES", "FAIRQUE_SCHEDULER_LEASE", "FAIRQUEUE_X"],
)
def test_variables_of_commands_tests_and_other_sections_are_ignored(variable: str) -> None:
    assert load_settings(None, Settings, environ={variable: "x"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FAIRQUE_WORKER_SERVICE_HOST", "10.0.0.7"),
        ("FAIRQUE_WORKER_SERVICE_PORT", "9000"),
        ("FAIRQUE_WORKER_SERVICE_PORT_METRICS", "9000"),
        ("FAIRQUE_WORKER_PORT", "tcp://10.0.0.7:9000"),
        ("FAIRQUE_WORKER_PORT_9000_TCP", "tcp://10.0.0.7:9000"),
        ("FAIRQUE_WORKER_PORT_9000_TCP_PROTO", "tcp"),
        ("FAIRQUE_SERVICE_HOST", "10.0.0.7"),
    ],
)
def test_variables_that_kubernetes_sets_for_a_service_named_fairque_are_ignored(variable: str, value: str) -> None:
    assert load_settings(None, Settings, environ={variable: value}) == Settings()


def test_a_setting_whose_value_looks_like_a_variable_of_kubernetes_is_read() -> None:
    environ = {"FAIRQUE_WORKER_DEFAULT_USER_ID": "a_SERVICE_HOST=b"}
    assert load_settings(None, Settings, environ=environ).worker.default_user_id == "a_SERVICE_HOST=b"


# Options


def option(path: str, value: str | None, name: str = "--set") -> Option:
    section, _, key = path.partition(".")
    return Option(name, section, key, value)


def test_an_option_overrides_a_variable_and_a_variable_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("worker:\n  concurrency: 4\n  lease: 5\n  label: file\n")
    environ = {"FAIRQUE_WORKER_CONCURRENCY": "6", "FAIRQUE_WORKER_LEASE": "7"}
    options = [option("worker.concurrency", "8"), option("worker.label", None)]
    settings, origins = trace_settings(path, Settings, environ=environ, options=options)
    assert (settings.worker.concurrency, settings.worker.lease, settings.worker.label) == (8, 7.0, "file")
    assert origins["worker.concurrency"] == "--set"


def test_the_last_of_two_options_for_one_setting_wins() -> None:
    options = [option("worker.concurrency", "2"), option("worker.concurrency", "3")]
    assert load_settings(None, Settings, environ={}, options=options).worker.concurrency == 3


def test_an_option_of_a_section_that_is_not_read_here_is_ignored() -> None:
    assert load_settings(None, Settings, environ={}, options=[option("scheduler.lease", "x")]) == Settings()


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("worker.concurency", "3", "--set: unknown key (did you mean 'concurrency'?)"),
        ("wroker.concurrency", "3", "--set: unknown section (did you mean 'worker'?)"),
        ("worker.concurrency", "0", "--set: must be at least 1, found 0"),
        ("worker.concurrency", "many", "--set: expected an integer, found the string 'many'"),
    ],
)
def test_the_error_of_an_invalid_option_names_it(path: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, Settings, environ={}, options=[option(path, value)])
    assert caught.value.problems == (expected,)


def test_all_problems_of_file_variables_and_options_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dev.yaml").write_text("worker:\n  concurrency: 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(
            "dev.yaml",
            Settings,
            environ={"FAIRQUE_WORKER_DRAIN": "3"},
            options=[option("worker.label", "A", "--label")],
        )
    places = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert places == ["dev.yaml:2", "environment FAIRQUE_WORKER_DRAIN", "--label"]
