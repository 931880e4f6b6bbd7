"""Settings of a service: options win over file and environment, and all that is wrong is said at once."""

from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from fairque.protocol.config import QueueSettings, RedisSettings, between
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.settings import Option, given_settings, own_name, read_settings, several


@frozen(kw_only=True)
class Own:
    size: int = field(default=1, validator=between(1, 9))


@frozen(kw_only=True)
class Settings:
    redis: RedisSettings = field(factory=RedisSettings)
    queue: QueueSettings = field(factory=QueueSettings)
    worker: Own = field(factory=Own)


def queue_option(value: str | None) -> Option:
    return Option("--queue", "queue", "name", value)


def size_option(value: int | None) -> Option:
    return Option("--size", "worker", "size", value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fairque.yaml"
    path.write_text("queue:\n  name: mails\nworker:\n  size: 2\n")
    return path


def test_an_option_wins_over_the_file_and_leaves_the_rest(file: Path) -> None:
    settings, _ = read_settings(file, Settings, [queue_option("news"), size_option(None)])
    assert (settings.queue.name, settings.worker.size) == ("news", 2)


def test_an_option_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRQUE__WORKER__SIZE", "3")
    assert read_settings(None, Settings, [size_option(None)])[0].worker.size == 3
    assert read_settings(None, Settings, [size_option(4)])[0].worker.size == 4


def test_two_options_of_one_section_both_count(file: Path) -> None:
    options = [size_option(5), Option("--url", "redis", "url", "redis://db"), queue_option("news")]
    settings, _ = read_settings(file, Settings, options)
    assert (settings.worker.size, settings.redis.url, settings.queue.name) == (5, "redis://db", "news")


def test_where_the_settings_of_the_file_come_from_is_told(file: Path) -> None:
    _, origins = read_settings(file, Settings, [])
    assert origins == {"queue.name": f"{file}:2", "worker.size": f"{file}:4"}


def test_what_is_wrong_with_file_and_options_is_said_at_once(file: Path) -> None:
    file.write_text("worker:\n  size: 10\n")
    with pytest.raises(ConfigurationError) as caught:
        read_settings(file, Settings, [queue_option("a:b"), size_option(0)])
    in_file, queue, size = caught.value.problems
    assert in_file.startswith(f"{file}:2")
    assert queue.startswith("--queue: must be 1 to 64")
    assert size.startswith("--size: must be")


def test_what_a_program_gives_is_set_and_all_else_is_as_by_default() -> None:
    settings = given_settings(Settings, "redis://db", "mails", "worker", {"size": 2})
    assert settings == Settings(
        redis=RedisSettings(url="redis://db"), queue=QueueSettings(name="mails"), worker=Own(size=2)
    )


def test_all_that_a_program_gives_wrongly_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        given_settings(Settings, "http://db", "a:b", "worker", {"size": 0, "sise": 1})
    unknown, url, queue, size = caught.value.problems
    assert unknown.startswith("unknown option 'sise'")
    assert "'size'" in unknown
    assert "redis://" in url
    assert queue.startswith("name")
    assert size.startswith("size")


def test_two_names_of_one_process_differ() -> None:
    assert own_name() != own_name()


@pytest.mark.parametrize(
    ("value", "kept"), [(["a", "b"], ("a", "b")), (("a",), ("a",)), ([], ()), ("text", "text"), (7, 7)]
)
def test_values_become_a_tuple_unless_they_are_one_text_or_none(value: Any, kept: Any) -> None:
    assert several(value) == kept
