"""Environment variables in settings: ``${NAME}`` in a file, and ``FAIRQUE__SECTION__KEY`` on top of it."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from fairque.protocol.config import (
    RedisSettings,
    at_least,
    load_settings,
    matches,
    settings_from_environ,
    tell_settings,
)
from fairque.protocol.errors import ConfigurationError


class Color(Enum):
    RED = 1
    BLUE = 2


@frozen
class Limits:
    cpu: int = 1


@frozen(kw_only=True)
class WorkerOptions:
    concurrency: int = field(default=16, validator=at_least(1))
    lease_seconds: float = 30.0
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
    redis: RedisSettings = field(factory=RedisSettings)
    worker: WorkerOptions = field(factory=WorkerOptions)


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
def test_a_reference_that_fails_does_not_show_what_the_variable_holds(
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
        ("", {"FAIRQUE__REDIS__URL": "redis://:hunter2@h:x"}),
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


# FAIRQUE__SECTION__KEY


def test_overrides_win_over_the_file_and_are_read_by_the_type_of_the_key(load: Load) -> None:
    environ = {
        "FAIRQUE__WORKER__CONCURRENCY": "32",
        "FAIRQUE__WORKER__LEASE_SECONDS": "90",
        "FAIRQUE__WORKER__DRAIN": "false",
        "FAIRQUE__WORKER__MODULES": "a.b, c",
        "FAIRQUE__WORKER__TAGS": "1,2",
        "FAIRQUE__WORKER__DEFAULT_USER_ID": "042",
        "FAIRQUE__WORKER__MODE": "3",
        "FAIRQUE__WORKER__COLOR": "BLUE",
        "FAIRQUE__REDIS__URL": "unix:///a?client_name=${B}",
        "FAIRQUE_WORKER_CONCURRENCY": "99",
        "OTHER": "x",
    }
    settings = load("worker:\n  concurrency: ${NOT_SET}\n  label: file\n", environ)
    assert settings.worker == WorkerOptions(
        concurrency=32,
        lease_seconds=90.0,
        drain=False,
        modules=("a.b", "c"),
        tags=[1, 2],
        default_user_id="042",
        mode=3,
        color=Color.BLUE,
        label="file",
    )
    assert settings.redis.url == "unix:///a?client_name=${B}"
    assert settings_from_environ(Settings, environ).redis == settings.redis


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
    assert load("", {"FAIRQUE__WORKER__MODULES": text}).worker.modules == modules


def test_the_items_of_such_a_list_are_read_by_their_type(load: Load) -> None:
    assert load("", {"FAIRQUE__WORKER__TAGS": "[1, 2]"}).worker.tags == [1, 2]


def test_the_word_null_in_a_variable_is_a_string(load: Load) -> None:
    assert load("", {"FAIRQUE__WORKER__DEFAULT_USER_ID": "null"}).worker.default_user_id == "null"


def test_a_key_of_an_empty_section_is_overridden(load: Load) -> None:
    assert load("worker:\n", {"FAIRQUE__WORKER__CONCURRENCY": "3"}).worker.concurrency == 3


def test_an_empty_override_unsets_an_optional_key_and_empties_a_list(load: Load) -> None:
    environ = dict.fromkeys(
        ("FAIRQUE__WORKER__DEFAULT_USER_ID", "FAIRQUE__WORKER__DEADLINE", "FAIRQUE__WORKER__MODULES"), ""
    )
    text = "worker: {default_user_id: a, deadline: 5, modules: [a]}"
    assert load(text, environ).worker == WorkerOptions()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("FAIRQUE__WORKER__CONCURENCY", "3", "unknown key (did you mean 'concurrency'?)"),
        ("FAIRQUE__WROKER__CONCURRENCY", "3", "unknown section (did you mean 'worker'?)"),
        ("FAIRQUE__WORKER", "3", "must be named FAIRQUE__SECTION__KEY"),
        ("FAIRQUE__WORKER__LIMITS__CPU", "3", "must be named FAIRQUE__SECTION__KEY"),
        ("FAIRQUE__WORKER__LIMITS", "3", "expected a mapping, found the integer 3"),
        ("FAIRQUE__WORKER__CONCURRENCY", "many", "expected an integer, found the string 'many'"),
        ("FAIRQUE__WORKER__CONCURRENCY", "", "expected an integer, found nothing"),
        ("FAIRQUE__WORKER__CONCURRENCY", "0", "must be at least 1, found 0"),
        ("FAIRQUE__WORKER__LEASE_SECONDS", "nan", "expected a number, found the string 'nan'"),
        ("FAIRQUE__WORKER__DRAIN", "1", "expected a boolean (true or false), found the integer 1"),
        ("FAIRQUE__WORKER__TAGS", "1,x", "expected an integer, found the string 'x'"),
    ],
)
def test_an_override_that_cannot_be_used_names_its_variable(
    problems: Problems, variable: str, value: str, expected: str
) -> None:
    (found,) = problems("", {variable: value})
    assert found.startswith(f"environment {variable}: {expected}")
    with pytest.raises(ConfigurationError) as caught:
        settings_from_environ(Settings, {variable: value})
    assert caught.value.problems == (found,)


def test_without_a_file_a_missing_key_is_named_by_its_path() -> None:
    cls: Any = attrs.make_class("Owner", {"scheduler": field(type=User)}, frozen=True)
    with pytest.raises(ConfigurationError, match=r"^environment: scheduler\.weight: required key is missing$"):
        settings_from_environ(cls, {})


def test_an_override_of_a_section_that_is_no_mapping_leaves_the_files_problem(problems: Problems) -> None:
    found = problems("worker: 5\n", {"FAIRQUE__WORKER__CONCURRENCY": "3"})
    assert found == ["dev.yaml:1: worker: expected a mapping, found the integer 5"]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRQUE__WORKER__CONCURRENCY", "7")
    path = tmp_path / "a.yaml"
    path.write_text("")
    assert load_settings(path, Settings).worker.concurrency == 7
    assert settings_from_environ(Settings).worker.concurrency == 7


def test_each_setting_tells_which_line_or_variable_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("redis:\n  retries: 1\nworker:\n  concurrency: 4\n  lease_seconds: 7\n")
    settings, origins = tell_settings(path, Settings, environ={"FAIRQUE__WORKER__LEASE_SECONDS": "9"})
    assert (settings.redis.retries, settings.worker.concurrency, settings.worker.lease_seconds) == (1, 4, 9.0)
    assert origins == {
        "redis.retries": f"{path}:2",
        "worker.concurrency": f"{path}:4",
        "worker.lease_seconds": "environment FAIRQUE__WORKER__LEASE_SECONDS",
    }


def test_without_a_file_settings_come_from_variables() -> None:
    settings, origins = tell_settings(None, Settings, environ={"FAIRQUE__WORKER__CONCURRENCY": "3"})
    assert settings == settings_from_environ(Settings, {"FAIRQUE__WORKER__CONCURRENCY": "3"})
    assert origins == {"worker.concurrency": "environment FAIRQUE__WORKER__CONCURRENCY"}
