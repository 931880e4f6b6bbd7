"""The section ``fairness``: limits that load, and limits that are refused with their place, all at once."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import fields_dict, frozen

from fairque.protocol.config import FairnessSection
from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import LIMITS
from fairque.protocol.model.limits import Limits

Load = Callable[..., "Settings"]
Problems = Callable[..., list[str]]


@frozen(kw_only=True)
class Settings:
    fairness: FairnessSection | None = None


def test_a_complete_section_loads(load: Load) -> None:
    found = load(
        """
fairness:
  cost_mode: count
  backlog: 1_000_000
  user_defaults: {cap: 50, rate: 10, burst: 20, backlog: 5_000}
  users:
    acme: {weight: 3, cap: 200}
    "42": {paused: true, rate: .5}
    nobody:
"""
    )
    assert found.fairness == FairnessSection(
        cost_mode="count",
        backlog=1_000_000,
        user_defaults=Limits(cap=50, rate=10.0, burst=20, backlog=5_000),
        users={
            "acme": Limits(weight=3.0, cap=200),
            "42": Limits(paused=True, rate=0.5),
            "nobody": Limits(),
        },
    )


def test_one_key_can_come_from_the_environment(load: Load) -> None:
    found = load("fairness: {cost_mode: time}", {"FAIRQUE_FAIRNESS_BACKLOG": "5"})
    assert found.fairness == FairnessSection(backlog=5)


def test_all_problems_are_reported_at_once_with_their_places(problems: Problems) -> None:
    found = problems(
        """fairness:
  cost_mode: sum
  backlog: 0
  user_defaults:
    weight: 2
    cap: 1.5
  users:
    acme:
      weight: 200
      cap: 0
      rate: -1
      burst: "5"
      backlog: true
      paused: 1
    ann: {speed: 3, weight: .nan}
    bob: 5
"""
    )
    assert found == [
        "dev.yaml:2: fairness.cost_mode: expected one of 'time', 'count', found the string 'sum'",
        "dev.yaml:3: fairness.backlog: must be a whole number from 1 to 1,000,000,000, not 0",
        "dev.yaml:5: fairness.user_defaults.weight: is set for one user, not for all",
        "dev.yaml:6: fairness.user_defaults.cap: expected an integer, found the number 1.5",
        "dev.yaml:9: fairness.users.acme.weight: must be a number from 0.01 to 100, not 200.0",
        "dev.yaml:10: fairness.users.acme.cap: must be a whole number from 1 to 1,000,000,000, not 0",
        "dev.yaml:11: fairness.users.acme.rate: must be a number from 0.000001 to 1,000,000, not -1.0",
        "dev.yaml:12: fairness.users.acme.burst: expected an integer, found the string '5' (remove the quotes)",
        "dev.yaml:13: fairness.users.acme.backlog: expected an integer, found the boolean true",
        "dev.yaml:14: fairness.users.acme.paused: expected a boolean (true or false), found the integer 1",
        "dev.yaml:15: fairness.users.ann.speed: unknown key (known: backlog, burst, cap, paused, rate, weight)",
        "dev.yaml:15: fairness.users.ann.weight: expected a finite number, found the number .nan",
        "dev.yaml:16: fairness.users.bob: expected a mapping, found the integer 5",
    ]


def test_an_invalid_user_id_is_refused(problems: Problems) -> None:
    (found,) = problems('fairness:\n  users: {"": {cap: 1}, "a\\tb": {cap: 1}, ann: {cap: 1}}')
    assert found.startswith("dev.yaml:2: fairness.users: a user id is empty")
    assert "a user id 'a\\tb' has control characters" in found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", 0])
@pytest.mark.parametrize("name", ["weight", "cap", "rate", "burst", "backlog"])
def test_limits_in_code_are_checked_too(name: str, value: Any) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name}: must be a"):
        Limits(**changes)


def test_a_cap_in_code_is_a_whole_number() -> None:
    cap: Any = 1.5
    with pytest.raises(ValueError, match="cap: must be a whole number"):
        Limits(cap=cap)


@pytest.mark.parametrize("value", [0, 1, "yes"])
def test_a_pause_in_code_is_a_boolean(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="paused: must be True or False"):
        Limits(paused=value)


def test_every_limit_has_rules() -> None:
    assert fields_dict(Limits).keys() == LIMITS.keys()


@pytest.mark.parametrize("limits", [Limits(weight=2), Limits(paused=False)])
def test_defaults_of_all_users_in_code_are_neither_weights_nor_pauses(limits: Limits) -> None:
    with pytest.raises(ValueError, match=r"user_defaults: .* is set for one user, not for all"):
        FairnessSection(user_defaults=limits)
