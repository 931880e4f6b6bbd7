"""limit, configure and purge refuse invalid arguments before anything is sent, with all problems at once."""

from typing import Any

import pytest

from fairque.protocol.calls.limits import ALL_USERS, Setting
from fairque.protocol.errors import InvalidArgument
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

KEYS = QueueKeys("q")
NOT_NUMBERS = [float("nan"), float("inf"), float("-inf"), True, "1", [1]]


@pytest.mark.parametrize(
    ("name", "refused", "accepted"),
    [
        ("weight", [0, -1, 0.0099, 100.01], [0.01, 1, 2.5, 100]),
        ("cap", [0, -1, 1.5, 1_000_000_001], [1, 1_000_000_000]),
        ("rate", [0, -0.5, 1e-7, 1_000_001], [1e-6, 0.5, 1_000_000]),
        ("burst", [0, 1.5, 1_000_000_001], [1, 1_000_000_000]),
        ("backlog", [0, -5, 0.5, 1_000_000_001], [1, 1_000_000_000]),
        ("paused", [0, 2], [1]),
    ],
)
def test_every_setting_has_its_range(name: Any, refused: list[Any], accepted: list[Any]) -> None:
    for value in [*refused, *NOT_NUMBERS]:
        with pytest.raises(InvalidArgument, match=f"user 'ann': {name} must be "):
            calls.limit(KEYS, [Setting("ann", name, value)])
    for value in [*accepted, None]:
        assert calls.limit(KEYS, [Setting("ann", name, value)])


def test_all_problems_are_reported_at_once() -> None:
    wrong: list[Any] = [("ann", "weight", 0), ("", "weight", 5), ("a\nb", "cap", 1), ("bob", "speed", 1), (5, "cap", 0)]
    with pytest.raises(InvalidArgument) as caught:
        calls.limit(KEYS, [Setting(*one) for one in wrong])
    assert caught.value.problems == (
        "user 'ann': weight must be a number from 0.01 to 100, not 0",
        "weight is set for one user, not for all",
        r"user_id 'a\nb' has control characters: use printable text",
        "user 'bob': unknown setting 'speed': choose one of weight, cap, rate, burst, backlog, paused",
        "user_id must be a string, not int: 5",
        "user 5: cap must be a whole number from 1 to 1,000,000,000, not 0",
    )


def test_equal_numbers_are_sent_as_equal_strings() -> None:
    values = [Setting("ann", "weight", 2.0), Setting("ann", "weight", 2), Setting("ann", "rate", 0.1)]
    call = calls.limit(KEYS, [*values, Setting(ALL_USERS, "cap", None)])
    assert call.args == ("ann", "weight", "2", "ann", "weight", "2", "ann", "rate", "0.1", "", "cap", "")


@pytest.mark.parametrize("backlog", [-1, 1.5, float("nan"), True, "5", 1_000_000_001])
def test_the_queue_s_backlog_has_a_range_too(backlog: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"queue 'q': backlog must be a whole number from 1"):
        calls.configure(KEYS, backlog=backlog)


def test_a_cost_mode_is_one_of_two() -> None:
    mode: Any = "sum"
    with pytest.raises(InvalidArgument, match="cost_mode must be 'time' or 'count', not 'sum'"):
        calls.configure(KEYS, cost_mode=mode)


@pytest.mark.parametrize("user", ["", "a\nb", "x" * 129, None])
def test_an_invalid_user_id_is_refused_by_purge_and_read(user: Any) -> None:
    with pytest.raises(InvalidArgument, match="user_id"):
        calls.purge(KEYS, user, reason="", result_ttl_ms=1)
    with pytest.raises(InvalidArgument, match="user_id"):
        calls.read_user(KEYS, user)
