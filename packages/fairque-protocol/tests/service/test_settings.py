"""Settings of a service that a program gives."""

from typing import Any

import pytest
from attrs import field, frozen

from fairque.protocol.config import QueueSection, RedisSection, between
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.settings import given_settings, own_name, several


@frozen(kw_only=True)
class Own:
    size: int = field(default=1, validator=between(1, 9))


@frozen(kw_only=True)
class Settings:
    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    worker: Own = field(factory=Own)


def test_given_settings_are_set_and_others_have_their_defaults() -> None:
    settings = given_settings(Settings, "redis://db", "mails", "worker", {"size": 2})
    assert settings == Settings(
        redis=RedisSection(url="redis://db"), queue=QueueSection(name="mails"), worker=Own(size=2)
    )


def test_all_invalid_settings_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        given_settings(Settings, "http://db", "a:b", "worker", {"size": 0})
    url, queue, size = caught.value.problems
    assert "redis://" in url
    assert queue.startswith("name")
    assert size.startswith("size")


def test_an_unknown_option_is_a_type_error_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match=r"there is no option 'sise' \(did you mean 'size'\?\)"):
        given_settings(Settings, "redis://db", "mails", "worker", {"sise": 1})


def test_two_names_in_one_process_differ() -> None:
    assert own_name() != own_name()


@pytest.mark.parametrize(
    ("value", "kept"), [(["a", "b"], ("a", "b")), (("a",), ("a",)), ([], ()), ("text", "text"), (7, 7)]
)
def test_values_become_a_tuple_unless_they_are_a_string_or_none(value: Any, kept: Any) -> None:
    assert several(value) == kept
