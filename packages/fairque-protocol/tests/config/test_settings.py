"""The settings classes and the validators, as used from Python."""

import subprocess
import sys
from typing import Any

import pytest
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.config import (
    MESSAGE_LIMIT_MAX,
    QueueSection,
    RedisSection,
    at_most,
    mask_addresses,
    mask_url,
    positive,
)


def test_importing_the_configuration_does_not_import_yaml() -> None:
    code = "import sys, fairque.protocol.config; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code


def test_the_representation_masks_the_password() -> None:
    shown = repr(RedisSection(url="rediss://app:hunter2@cache.internal:6380/1"))
    assert "hunter2" not in shown
    assert "rediss://app:***@cache.internal:6380/1" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pw@h", "redis://:***@h"),
        ("redis://token@h/0", "redis://***@h/0"),
        ("redis://u:a/b@c#d@h:1/0", "redis://u:***@h:1/0"),
        ("unix:///run/redis.sock?password=pw&db=1", "unix:///run/redis.sock?password=***&db=1"),
        ("embedded://", "embedded://"),
        ("hunter2", "***"),
        ("hunter2 at redis://h", "***"),
        ("embedded:///folder?password=hunter2", "embedded:///folder?password=***"),
        ("embedded://?password=hunter2", "embedded://?password=***"),
        ("embedded://ann:hunter2@/folder", "embedded://ann:***@/folder"),
        ("redis://h/0?pass%77ord=hunter2&ssl_password=hunter2", "redis://h/0?pass%77ord=***&ssl_password=***"),
        ("redis://h/0?passwrod=hunter2&ssl_keyfile=hunter2", "redis://h/0?passwrod=***&ssl_keyfile=***"),
        ("redis://h/0?password=p@hunter2", "redis://***"),
        ("redis://ann:pw@h/0?password=p@hunter2", "redis://***"),
        ("unix:///run/s?password=p@hunter2&db=1", "unix:///run/s?password=***&db=1"),
        ("redis://h/0?db=1&hunter2", "redis://h/0?db=1&***"),
        ("redis://h/0?db=1#hunter2", "redis://h/0?db=***"),
        ("redis://h/0#hunter2", "redis://h/0#***"),
        ("redis://u:a?b@h:1/0", "redis://u:***@h:1/0"),
    ],
)
def test_a_masked_url_keeps_what_is_not_secret(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("found 'redis://u:hunter2@h/0'", "found 'redis://u:***@h/0'"),
        ("redis:/u:hunter2@h/0: no such file", "redis://u:***@h/0: no such file"),
        ("a redis://u:hunter2@h and redis://h?password=hunter2", "a redis://u:***@h and redis://h?password=***"),
        ("unix:///run/s: x@y", "unix:///run/s: x@y"),
        ("write redis://USER:PASSWORD@HOST:PORT/0", "write redis://USER:PASSWORD@HOST:PORT/0"),
        ("module 'a:b'", "module 'a:b'"),
    ],
)
def test_urls_in_a_text_are_masked_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert mask_addresses(text) == shown


def test_a_url_in_place_of_another_value_does_not_show_its_password() -> None:
    with pytest.raises(ValueError, match=r"found 'redis://u:\*\*\*@h/0'"):
        QueueSection(name="redis://u:hunter2@h/0")


@given(st.text(min_size=1))
def test_no_password_survives_the_mask(password: str) -> None:
    shown = mask_url(f"redis://user:{password}#@host:6379/0")
    # Nothing is shown where the @ may just as well be in a parameter.
    assert shown in ("redis://user:***@host:6379/0", "redis://***")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a b"}, "name: must be 1 to 64 ASCII letters, digits or the signs _ . @ -, found 'a b'"),
        ({"name": ""}, "name: must be 1 to 64"),
        ({"name": "x" * 65}, "name: must be 1 to 64"),
        ({"name": "ok\n"}, "name: must be 1 to 64"),
        ({"message_limit": MESSAGE_LIMIT_MAX + 1}, "between 1 and 1,048,576, found 1048577"),
        ({"message_limit": 1.5}, "message_limit: must be"),
        ({"message_limit": True}, "message_limit: must be"),
        ({"result_ttl": 0}, "result_ttl: must be above 0, found 0"),
        ({"result_ttl": float("nan")}, "found nan"),
        ({"result_ttl": float("inf")}, "found inf"),
        ({"result_ttl": "60"}, "found '60'"),
        ({"max_lost_workers": 0}, "max_lost_workers: must be at least 1, found 0"),
    ],
)
def test_a_queue_refuses_values_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        QueueSection(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": "http://h"}, "url: must start with one of redis://"),
        ({"url": "hunter2"}, "url: must start with one of redis://"),
        ({"url": "redis://h:port-hunter2"}, "url: host or port cannot be read"),
        ({"url": "redis://[hunter2"}, "url: host or port cannot be read"),
        ({"url": "redis://h/hunter2"}, "url: after the host comes the number of the database"),
        ({"url": "rediss://:hunter2@h/-1"}, "url: after the host comes the number of the database"),
        ({"url": "redis://:hunter2@h\n"}, "url: must not contain spaces, line breaks or other signs"),
        ({"url": None}, "url: must start with one of redis://"),
        ({"retries": -1}, "retries: must be at least 0, found -1"),
        ({"allow_eviction": "no"}, "allow_eviction: must be True or False, found 'no'"),
    ],
)
def test_redis_refuses_values_out_of_range_and_never_shows_the_url(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        RedisSection(**values)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_limits_themselves_are_allowed() -> None:
    assert QueueSection(message_limit=MESSAGE_LIMIT_MAX, max_lost_workers=1).message_limit == MESSAGE_LIMIT_MAX


def test_an_integer_too_large_for_a_float_is_compared_too() -> None:
    assert evolve(QueueSection(), max_lost_workers=10**400).max_lost_workers == 10**400


def test_a_validator_hides_the_value_of_a_field_with_a_secret_name() -> None:
    @frozen
    class Vault:
        token_seconds: float = field(validator=[positive, at_most(10)])

    with pytest.raises(ValueError) as caught:
        Vault(token_seconds=4711)
    assert str(caught.value) == "token_seconds: must be at most 10"
