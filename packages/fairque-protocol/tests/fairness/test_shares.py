"""Shares of users with limits, in virtual time, against weighted water-filling: FAIRNESS.md, promise 3.

Each run of the tests takes the same few examples. `hatch run fairness:search` takes thousands of new ones and prints
the worst that it met; FAIRQUE_SHARES says how many.
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairque.protocol.fairness.ledger import CostMode
from fairque.protocol.fairness.simulation.report import fair_allocation

if TYPE_CHECKING:
    from tests.fairness.conftest import Floor, Member

SEARCH = int(os.environ.get("FAIRQUE_SHARES", "0"))
SECONDS = 300
#: What a share may be off by, beside one task.
TOLERANCE = 0.03
#: K and B, in seconds or tasks; M, the most that is charged ahead.
LEEWAY = {"time": 10.0, "count": 8}
PREPAID = 10.0

NewFloor = type["Floor"]
#: Weight, seconds, spread and cap of a user.
Kind = tuple[float, float, float, int | None]


def examples(number: int) -> settings:
    return settings(
        max_examples=SEARCH or number,
        derandomize=not SEARCH,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


WORST: dict[str, tuple[float, str]] = {}


@pytest.fixture(scope="module", autouse=True)
def worst() -> Iterator[None]:
    """Print the worst that each property met, when it was a search."""
    yield
    if SEARCH:
        for name, (figure, example) in WORST.items():
            print(f"\n{name}: {figure:.4f} in {example}", end="")  # noqa: T201 - a report of the job


def note(name: str, figure: float, example: object) -> None:
    if figure > WORST.get(name, (-1.0, ""))[0]:
        WORST[name] = (figure, repr(example))


def members(new_member: type["Member"], kinds: Sequence[Kind], **fields: Any) -> list["Member"]:
    return [
        new_member(name=f"user{n}", weight=weight, length=length, spread=spread, cap=cap, **fields)
        for n, (weight, length, spread, cap) in enumerate(kinds)
    ]


def fair_rates(floor: "Floor", users: Sequence["Member"]) -> dict[str, float]:
    """What each user should have a second, by weighted water-filling: worker seconds, or starts where each costs one."""
    counted = floor.cost_mode == "count"
    wanted = [
        (
            user.weight * (user.length if counted else 1),
            min(user.cap or floor.workers, (user.rate or float("inf")) * user.length, floor.workers),
        )
        for user in users
    ]
    fair = fair_allocation(floor.workers, wanted)
    return {user.name: got / (user.length if counted else 1) for user, got in zip(users, fair, strict=True)}


def off(floor: "Floor", user: "Member", fair: float, since: float = 0, seconds: float = SECONDS) -> float:
    """By which part of its fair share a user had more or less, beyond one task."""
    one = 1 if floor.cost_mode == "count" else user.length * (1 + user.spread)
    return max(0, abs(floor.had(user.name) - since - fair * seconds) - one) / (fair * seconds)


def check(name: str, floor: "Floor", users: Sequence["Member"], seconds: float = SECONDS) -> None:
    """All users have their fair share, whether their limits bind or not."""
    floor.join(*users)
    floor.run(seconds)
    for user, fair in zip(users, fair_rates(floor, users).values(), strict=True):
        figure = off(floor, user, fair, seconds=seconds)
        note(name, figure, (floor.workers, floor.cost_mode, users))
        assert figure <= TOLERANCE, (user, floor.had(user.name), fair * seconds)


weights = st.sampled_from([0.5, 1.0, 2.0, 4.0]) | st.floats(0.5, 4)
lengths = st.sampled_from([0.1, 0.3, 1.0]) | st.floats(0.1, 1)
spreads = st.sampled_from([0.0, 0.0, 0.5, 0.9])
caps = st.none() | st.integers(1, 4)
kinds = st.lists(st.tuples(weights, lengths, spreads, caps), min_size=2, max_size=6)


class TestACap:
    @pytest.mark.parametrize(
        ("workers", "kinds"),
        [
            (3, [(0.5, 0.1, 0, 1), (1, 1, 0, None), (1, 1, 0, None), (4, 0.1, 0, 1)]),
            (2, [(0.5, 0.1, 0, 1), (1, 1, 0, None), (1, 1, 0, None)]),
            (1, [(0.5, 0.1, 0, None), (1, 0.1, 0, 1)]),
        ],
    )
    @pytest.mark.parametrize("mode", ["time", "count"])
    def test_that_does_not_bind_takes_nothing_from_a_share(
        self, new_floor: NewFloor, new_member: type["Member"], workers: int, kinds: list[Kind], mode: CostMode
    ) -> None:
        check("named", new_floor(workers, cost_mode=mode), members(new_member, kinds))

    @examples(15)
    @given(kinds, st.integers(1, 6), st.sampled_from(["time", "time", "count"]), st.integers(0, 1_000))
    def test_gives_each_user_its_share_whether_it_binds_or_not(
        self, new_floor: NewFloor, new_member: type["Member"], kinds: list[Kind], workers: int, mode: CostMode, seed: int
    ) -> None:
        check("caps", new_floor(workers, seed, mode), members(new_member, kinds))
