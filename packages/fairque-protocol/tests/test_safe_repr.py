"""Values that cannot be shown are refused with the right error."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fairque.protocol.durations import to_ms
from fairque.protocol.errors import InvalidTask
from fairque.protocol.limits import id_problem
from fairque.protocol.model.retry import Backoff, Retry
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import Task
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.schedules import schedule_problems
from fairque.testing.fairness.records import settings_problems


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError("it has no representation")


#: A whole number with more digits than the interpreter writes.
LONG = 10**5_000
VALUES: dict[str, Any] = {"unshown": Unshown(), "long": LONG, "long inside": [LONG]}


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    assert safe_repr(Unshown()) == "<Unshown that cannot be shown>"
    assert safe_repr(LONG) == "<int that cannot be shown>"
    assert safe_repr("a" * 100, 5) == "'aaaa"


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize(
    "name",
    ["delay", "timeout", "dedup_ttl", "retries", "backoff", "isolation", "cost", "priority", "kwargs", "user_id", "at"],
)
def test_a_field_of_a_task_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidTask, match=name):
        Task(**{name: value})


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize(
    "refuse",
    [
        lambda value: Retry(after=value),
        lambda value: Backoff(factor=value),
        lambda value: to_ms(value, "delay"),
        lambda value: Task(args=[1], depends_on=[value]),
    ],
    ids=["Retry", "Backoff", "to_ms", "depends_on"],
)
def test_other_values_are_shown_in_the_error(refuse: Callable[[Any], object], value: Any) -> None:
    with pytest.raises((InvalidTask, ValueError), match="that cannot be shown"):
        refuse(value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("name", ["every", "jitter", "misfire", "misfire_grace", "overlap", "paused", "task"])
def test_a_field_of_a_schedule_is_refused_by_its_name(name: str, value: Any) -> None:
    known: dict[str, Any] = {"task": Task(user_id="ann", func="shop:pack"), "every": 60, name: value}
    assert any(name in problem for problem in schedule_problems(Schedule("nightly", **known)))


def test_an_id_and_a_limit_are_refused_by_their_names() -> None:
    assert "user_id must be a string, not int" in str(id_problem(LONG, "user_id"))
    problems = settings_problems(LONG, LONG, LONG, LONG)
    assert [one.partition(" ")[0] for one in problems] == ["weight", "cap", "rate", "burst"]


def test_true_is_not_a_priority() -> None:
    with pytest.raises(InvalidTask, match="priority True is unknown"):
        Task(priority=True)  # type: ignore[arg-type]  # that it is refused is the point


def test_the_error_for_a_time_that_is_too_far_away_shows_it_as_written() -> None:
    with pytest.raises(InvalidTask, match=r"^at datetime.datetime\(9999, .* is too far away"):
        Task(at=datetime(9999, 1, 1, tzinfo=UTC))
