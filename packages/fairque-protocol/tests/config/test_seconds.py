"""Durations in settings: the same in code, in a file, in a variable and as an option."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import field, frozen

from fairque.protocol.config import Option, QueueSection, Seconds, load_settings, positive, seconds
from fairque.protocol.errors import ConfigurationError


@frozen(kw_only=True)
class Own:
    lease: Seconds = field(default=30.0, converter=seconds, validator=positive)
    ttl: Seconds | None = None


@frozen(kw_only=True)
class Settings:
    worker: Own = field(factory=Own)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1.5h", 5_400.0),
        ("14d", 1_209_600.0),
    ],
)
def test_a_duration_means_the_same_in_a_file_a_variable_and_an_option(
    load: Callable[..., Settings], text: str, expected: float
) -> None:
    option = Option("--set worker.lease", "worker", "lease", text)
    assert load(f"worker: {{lease: {text}}}\n").worker.lease == expected
    assert load("", {"FAIRQUE_WORKER_LEASE": text}).worker.lease == expected
    assert load_settings(None, Settings, environ={}, options=[option]).worker.lease == expected


def test_a_unit_may_be_in_quotes_but_a_plain_number_may_not(
    load: Callable[..., Settings], problems: Callable[..., list[str]]
) -> None:
    assert load("worker: {lease: '10m'}\n").worker.lease == 600.0
    (found,) = problems("worker: {lease: '10'}\n")
    assert found.endswith("found the string '10' (remove the quotes)")


@pytest.mark.parametrize("text", ["10 m", "10M", "m", "1h30m", "-5s", "1e3s", "10min", "soon", "true"])
def test_the_error_of_an_invalid_duration_shows_how_one_is_written(
    problems: Callable[..., list[str]], text: str
) -> None:
    (found,) = problems(f"worker: {{lease: {text}}}\n")
    assert "worker.lease: expected a duration: seconds, or with a unit as in 500ms, 30s, 10m, 2h or 1d, found" in found


def test_the_range_of_a_duration_is_reported_in_seconds(problems: Callable[..., list[str]]) -> None:
    assert problems("worker: {lease: 0s}\n") == ["dev.yaml:1: worker.lease: must be above 0, found 0.0"]


def test_a_duration_may_be_null_if_the_setting_allows_it(load: Callable[..., Settings]) -> None:
    assert load("worker: {ttl: null}\n").worker.ttl is None
    assert load("worker: {ttl: 2h}\n").worker.ttl == 7_200.0


@pytest.mark.parametrize("value", [600, 600.0, timedelta(minutes=10)])
def test_code_gives_seconds_or_a_timedelta(value: Any) -> None:
    assert QueueSection(result_ttl=value).result_ttl == 600


@pytest.mark.parametrize("value", ["10m", None, True, timedelta(0)])
def test_other_types_in_code_are_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^result_ttl: must be above 0"):
        QueueSection(result_ttl=value)


def test_an_error_of_a_variable_names_it() -> None:
    with pytest.raises(ConfigurationError, match=r"^environment FAIRQUE_WORKER_LEASE: expected a duration"):
        load_settings(None, Settings, environ={"FAIRQUE_WORKER_LEASE": "soon"})
