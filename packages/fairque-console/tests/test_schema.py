"""``fairque config schema``: describes every key with its default, and accepts the same files as the loader."""

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are another package
import pytest
import yaml
from attrs import fields, has
from click.testing import CliRunner

from fairque.console.cli import main
from fairque.console.effective import all_settings
from fairque.protocol.jsonvalue import loads

FOLDER = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def schema() -> Any:
    result = CliRunner().invoke(main, ["config", "schema"])
    assert result.exit_code == 0, result.output
    return loads(result.output)


def section(schema: Any, name: str) -> Any:
    (kind, _) = schema["properties"][name]["anyOf"]
    return kind["properties"]


def check(schema: Any, text: str) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return [error.json_path for error in errors]


def test_it_is_a_valid_schema(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_key_has_a_description_its_variable_and_its_default(schema: Any) -> None:
    for attribute in fields(all_settings()):
        keys = section(schema, attribute.name)
        assert keys.keys() == {key.name for key in fields(attribute.type)}
        for name, key in keys.items():
            text = key["description"].removesuffix(f" (FAIRQUE_{attribute.name.upper()}_{name.upper()})")
            assert text != key["description"], (attribute.name, name)
            assert len(text) > 10, (attribute.name, name)
            default = getattr(attribute.type(), name)
            # The default names of workers and schedulers differ from process to process.
            if (attribute.name, name) in {("worker", "name"), ("scheduler", "name")}:
                assert "default" not in key
            else:
                assert key["default"] == ({} if has(type(default)) else list(default) if default == () else default)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="outside of the workspace: there is no config/")
def test_the_files_of_the_repository_are_valid(schema: Any) -> None:
    files = sorted(FOLDER.glob("*.yaml"))
    assert len(files) == 3
    for path in files:
        assert check(schema, path.read_text()) == []


@pytest.mark.skipif(not FOLDER.is_dir(), reason="outside of the workspace: there is no config/")
def test_the_schedule_in_the_comments_of_the_files_is_valid(schema: Any) -> None:
    text = (FOLDER / "production.yaml").read_text()
    example = "\n".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#   "))
    assert "nightly" in yaml.safe_load(example)
    assert check(schema, f"schedules:\n{example}\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "redis:\n",
        "redis: {retries: '${N}', socket_timeout: 10m, connect_timeout: 2}",
        "worker: {http_port: null, modules: [a], isolation: process}",
        "fairness: {user_defaults: {cap: 5}, users: {ann: {weight: 0.5, paused: true}, bob: }}",
        "schedules: {}",
        "schedules:\n",
    ],
)
def test_a_file_that_the_loader_accepts_is_valid(schema: Any, text: str) -> None:
    assert check(schema, text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("redsi: {}", "$"),
        ("redis: {retires: 3}", "$.redis"),
        ("redis: {retries: many}", "$.redis"),
        ("worker: {lease: soon}", "$.worker"),
        ("worker: {isolation: fork}", "$.worker"),
        ("fairness: {user_defaults: {weight: 2}}", "$.fairness"),
        ("fairness: {users: {ann: {cap: 0}}}", "$.fairness"),
        ("schedules: {nightly: {cron: '@daily', overlap: never}}", "$.schedules"),
    ],
)
def test_a_file_that_the_loader_refuses_is_invalid(schema: Any, text: str, place: str) -> None:
    assert check(schema, text) == [place]
