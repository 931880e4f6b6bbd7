"""Shares of users with limits, in virtual time, against weighted water-filling: FAIRNESS.md, promise 3.

Each test run uses the same few examples. `hatch run fairness:search` tries thousands of new ones, or the number in
FAIRQUE_TEST_SHARES, and prints the worst result.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import permutations
from math import ceil, inf
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from fairque.testing.fairness.ledger import CostMode
from fairque.testing.fairness.simulation.report import fair_allocation
from fairque.testing.internal import examples

if TYPE_CHECKING:
    from tests.fairness.conftest import Floor, Member

SEARCH = int(os.environ.get("FAIRQUE_TEST_SHARES", "0"))
SECONDS = 300
#: Allowed deviation of a share, beyond one task.
TOLERANCE = 0.03
#: K and Bc, in seconds or tasks; the most that is charged in advance.
LEEWAY = {"time": 10.0, "count": 8}
CREDIT = {"time": 2.0, "count": 8}
PREPAID = 10.0
ROUNDING = 1e-6

NewFloor = type["Floor"]
#: Weight, seconds, spread and cap of a user.
Kind = tuple[float, float, float, int | None]


def tried(few: int, many: int) -> settings:
    return settings(
        max_examples=SEARCH or examples(few, many),
        derandomize=not SEARCH,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


WORST: dict[str, tuple[float, str]] = {}


@pytest.fixture(autouse=True)
def worst() -> Iterator[None]:
    """Print the worst result of a property, in a search."""
    yield
    if SEARCH:
        for name, (figure, example) in WORST.items():
            print(f"\n{name}: {figure:.4f} in {example}", flush=True)  # noqa: T201 - a report of the job
    WORST.clear()


def note(name: str, figure: float, example: object) -> None:
    if figure > WORST.get(name, (-1.0, ""))[0]:
        WORST[name] = (figure, repr(example))


def members(new_member: type["Member"], kinds: Sequence[Kind], **fields: Any) -> list["Member"]:
    return [
        new_member(name=f"user{n}", weight=weight, length=length, spread=spread, cap=cap, **fields)
        for n, (weight, length, spread, cap) in enumerate(kinds)
    ]


def fair_rates(floor: "Floor", users: Sequence["Member"]) -> dict[str, float]:
    """Fair service of each user per second, by weighted water-filling: worker seconds, or starts if each costs one."""
    lengths = [floor.length(user.name) for user in users]
    units = lengths if floor.cost_mode == "count" else [1.0] * len(users)
    wanted = [
        (user.weight * unit, min(user.cap or floor.workers, (user.rate or inf) * length, floor.workers))
        for user, length, unit in zip(users, lengths, units, strict=True)
    ]
    fair = fair_allocation(floor.workers, wanted)
    return {user.name: got / unit for user, got, unit in zip(users, fair, units, strict=True)}


def off(
    floor: "Floor", user: "Member", fair: float, *, since: float = 0, seconds: float = SECONDS, beyond: float = 0
) -> float:
    """The relative deviation of a user's service from its fair share, beyond one task."""
    beyond += 1 if floor.cost_mode == "count" else user.length * (1 + user.spread)
    return max(0, abs(floor.had(user.name) - since - fair * seconds) - beyond) / (fair * seconds)


def check(name: str, floor: "Floor", users: Sequence["Member"], *, warm_up: float = 0, beyond: float = 0) -> None:
    """Check that all users have their fair share, whether their limits bind or not."""
    floor.join(*users)
    floor.run(warm_up)
    floor.forget_lengths()
    before = {user.name: floor.had(user.name) for user in users}
    floor.run(warm_up + SECONDS)
    for user, fair in zip(users, fair_rates(floor, users).values(), strict=True):
        figure = off(floor, user, fair, since=before[user.name], beyond=beyond)
        note(name, figure, (floor.workers, floor.cost_mode, users))
        assert figure <= TOLERANCE, (user, floor.had(user.name) - before[user.name], fair * SECONDS)


weights = st.sampled_from([0.5, 1.0, 2.0, 4.0]) | st.floats(0.5, 4)
lengths = st.sampled_from([0.1, 0.3, 1.0]) | st.floats(0.1, 1)
spreads = st.sampled_from([0.0, 0.0, 0.5, 0.9])
seeds = st.integers(0, 1_000)
modes = st.sampled_from(["time", "time", "count"])
caps = st.none() | st.integers(1, 4)
kinds = st.lists(st.tuples(weights, lengths, spreads, caps), min_size=2, max_size=6)


class TestUsersWithoutLimits:
    @tried(5, 15)
    @given(kinds=kinds, workers=st.integers(1, 6), mode=modes, seed=seeds)
    def test_differ_by_no_more_than_their_running_tasks_whatever_limits_the_others_have(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        floor, users = new_floor(workers, seed, mode), members(new_member, kinds)
        floor.join(*users)
        while any(floor.loads[user.name].started == 0 for user in users):
            floor.run(floor.now_us / 1_000_000 + 0.05)
        longest = max(user.length * (1 + user.spread) for user in users)
        leads = [Lead(floor, one, other) for one, other in permutations([u for u in users if u.cap is None], 2)]
        floor.after = [lead.look for lead in leads]
        floor.run(60)
        for lead in leads:
            figure = lead.most / apart(floor, lead.one, lead.other, longest)
            note("apart", figure, (workers, mode, seed, users))
            assert figure <= 1 + ROUNDING


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
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        workers: int,
        kinds: list[Kind],
        mode: CostMode,
    ) -> None:
        check("named", new_floor(workers, cost_mode=mode), members(new_member, kinds))

    @tried(5, 15)
    @given(kinds=kinds, workers=st.integers(1, 6), mode=modes, seed=seeds)
    def test_gives_each_user_its_share_whether_it_binds_or_not(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        check("caps", new_floor(workers, seed, mode), members(new_member, kinds))

    @tried(3, 4)
    @example(heavy=[(0.9, 0.5, 0, 1)], light=[(0.1, 10, 0, None)] * 10, workers=2, seed=0)
    @example(heavy=[(1, 1, 0, 2)], light=[(0.1, 10, 0, None)] * 20, workers=4, seed=0)
    @given(
        heavy=st.lists(
            st.tuples(st.floats(0.5, 2), st.floats(0.5, 2), spreads, st.integers(1, 3)), min_size=1, max_size=2
        ),
        light=st.lists(st.tuples(st.floats(0.05, 0.2), st.floats(2, 10), spreads, st.none()), min_size=3, max_size=20),
        workers=st.integers(2, 5),
        seed=seeds,
    )
    @pytest.mark.thorough
    def test_gives_a_heavy_user_its_share_among_many_light_ones_with_long_tasks(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        heavy: list[Kind],
        light: list[Kind],
        workers: int,
        seed: int,
    ) -> None:
        """After each round of all light users, the heavy one has to catch up by much more than K."""
        floor, users = new_floor(workers, seed), members(new_member, [*heavy, *light])
        floor.join(*users)
        floor.run(3_000)
        before = {user.name: floor.had(user.name) for user in users}
        floor.run(9_000)
        for user in users[: len(heavy)]:
            fair = fair_rates(floor, users)[user.name]
            figure = off(floor, user, fair, since=before[user.name], seconds=6_000)
            note("light", figure, (workers, seed, users))
            assert figure <= TOLERANCE


class TestRatesRetriesPausesAndCriticalTasks:
    """None of them changes a share."""

    @tried(3, 8)
    @given(
        kinds=kinds,
        rates=st.lists(st.floats(0.5, 20), min_size=6, max_size=6),
        workers=st.integers(1, 6),
        seed=seeds,
    )
    def test_a_rate_takes_nothing_from_a_share(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        rates: list[float],
        workers: int,
        seed: int,
    ) -> None:
        """With a burst for the longest wait of a user for a worker: two tasks of each of the others.

        The burst is used at the beginning, so the time after it is measured.
        """
        wait = sum(2 * length * (1 + spread) for _, length, spread, _ in kinds)
        free, *limited = (evolve(user, cap=None) for user in members(new_member, kinds))
        limited = [
            evolve(user, rate=rate, burst=ceil(rate * wait) + 1) for user, rate in zip(limited, rates, strict=False)
        ]
        check("rates", new_floor(workers, seed), [free, *limited], warm_up=100)

    def test_a_rate_with_a_cap_takes_nothing_from_a_share(
        self, new_floor: NewFloor, new_member: type["Member"]
    ) -> None:
        first, *others = members(new_member, [(0.5, 0.1, 0, None), (1, 1, 0, None), (1, 1, 0, None), (4, 0.1, 0, 1)])
        check("named rate", new_floor(3), [evolve(first, rate=5, burst=5), *others], warm_up=100)

    @tried(3, 8)
    @given(kinds=kinds, failing=st.floats(0.05, 0.5), workers=st.integers(1, 6), mode=modes, seed=seeds)
    def test_retries_take_nothing_from_a_share(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        failing: float,
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        first, *others = members(new_member, kinds)
        check("retries", new_floor(workers, seed, mode), [evolve(first, failing=failing), *others])

    @tried(3, 8)
    @example(
        kinds=[(0.5, 0.1, 0, None), (0.5, 0.1, 0, None), (1, 0.1, 0, 1)], urgent=0.75, workers=2, mode="count", seed=0
    )
    @given(kinds=kinds, urgent=st.floats(0.05, 1), workers=st.integers(1, 6), mode=modes, seed=seeds)
    def test_critical_tasks_add_nothing_to_a_share(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        urgent: float,
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        first, *others = members(new_member, kinds)
        users = [evolve(first, urgent=urgent), *others]
        check("critical", new_floor(workers, seed, mode), users, beyond=CREDIT[mode])

    @tried(3, 8)
    @given(kinds=kinds, workers=st.integers(1, 6), mode=modes, seed=seeds)
    def test_a_pause_neither_adds_nor_takes(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        kinds: list[Kind],
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        floor, users = new_floor(workers, seed, mode), members(new_member, kinds)
        floor.join(*users)
        floor.run(100)
        floor.set("user0", paused=True)
        floor.run(200)
        floor.set("user0", paused=False)
        before = {user.name: floor.had(user.name) for user in users}
        floor.run(200 + SECONDS)
        for user, fair in zip(users, fair_rates(floor, users).values(), strict=True):
            # During the pause the caps of the others may have bound.
            figure = off(floor, user, fair, since=before[user.name], beyond=LEEWAY[mode])
            note("pause", figure, (workers, mode, users))
            assert figure <= TOLERANCE


@define
class Lead:
    """The largest lead of one user over another in any interval so far, in service per weight."""

    floor: "Floor"
    one: "Member"
    other: "Member"
    lowest: float = field(init=False, default=inf)
    most: float = field(init=False, default=0.0)

    def look(self) -> None:
        had = self.floor.had(self.one.name) / self.one.weight - self.floor.had(self.other.name) / self.other.weight
        self.lowest = min(self.lowest, had)
        self.most = max(self.most, had - self.lowest)


def apart(floor: "Floor", one: "Member", other: "Member", longest: float) -> float:
    """Promises 1 and 2: how far the service per weight of two users may differ."""
    if floor.cost_mode == "count":
        return 1 / one.weight + 1 / other.weight
    prepaid = min(longest, PREPAID)
    return sum(
        min(user.cap or floor.workers, floor.workers) * (user.length * (1 + user.spread) + prepaid) / user.weight
        for user in (one, other)
    )


bound = st.tuples(st.sampled_from([2.0, 4.0]), st.floats(1, 5), spreads, st.integers(1, 2))
unbound = st.lists(st.tuples(st.floats(0.5, 1), st.floats(1, 5), spreads, st.none()), min_size=1, max_size=3)


class TestACapThatBinds:
    @tried(3, 4)
    @given(capped=bound, others=unbound, workers=st.integers(5, 7), mode=modes, seed=seeds)
    def test_for_ten_thousand_seconds_has_earned_nothing_when_it_is_removed(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        capped: Kind,
        others: list[Kind],
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        floor = new_floor(workers, seed, mode)
        ann, *rest = members(new_member, [capped, *others])
        floor.join(ann, *rest)
        floor.run(10_000)
        floor.set(ann.name, cap=None)
        free = evolve(ann, cap=None)
        longest = max(user.length * (1 + user.spread) for user in (ann, *rest))
        leads = [Lead(floor, free, user) for user in rest]
        floor.after = [lead.look for lead in leads]
        floor.run(10_000 + SECONDS)
        for lead in leads:
            figure = lead.most / apart(floor, free, lead.other, longest)
            note("raised", figure, (workers, mode, seed, ann, rest))
            assert figure <= 1 + ROUNDING

    @tried(3, 4)
    @given(capped=bound, others=unbound, workers=st.integers(5, 7), mode=modes, seed=seeds)
    @pytest.mark.thorough
    def test_for_ten_thousand_seconds_is_worth_the_leeway_when_others_arrive(
        self,
        *,
        new_floor: NewFloor,
        new_member: type["Member"],
        capped: Kind,
        others: list[Kind],
        workers: int,
        mode: CostMode,
        seed: int,
    ) -> None:
        """So many users arrive that the cap no longer binds."""
        floor = new_floor(workers, seed, mode)
        ann, *rest = members(new_member, [capped, *others])
        floor.join(ann, *rest)
        floor.run(10_000)
        new = [new_member(name=f"new{n}", length=1.0, spread=0.5) for n in range(6 * workers)]
        floor.join(*new)
        # Measured after all of them have been served once as new users.
        while any(floor.loads[user.name].started == 0 for user in new):
            floor.run(floor.now_us / 1_000_000 + 1)
        longest = max(user.length * (1 + user.spread) for user in (ann, *rest, *new))
        leads = [Lead(floor, ann, user) for user in new]
        floor.after = [lead.look for lead in leads]
        floor.run(10_000 + SECONDS)
        for lead in leads:
            figure = (lead.most - apart(floor, ann, lead.other, longest)) / (LEEWAY[mode] / ann.weight)
            note("joined", figure, (workers, mode, seed, ann, rest))
            assert figure <= 1 + ROUNDING


class TestLimitsThatBindAtTimes:
    def test_are_worth_no_more_than_the_first_leeway_however_often_others_come_and_go(
        self, new_floor: NewFloor, new_member: type["Member"]
    ) -> None:
        """While they are gone the cap of a user binds, otherwise it does not."""
        floor = new_floor(4)
        ann, bob = new_member(name="ann", length=1.0, cap=1), new_member(name="bob", length=1.0)
        floor.join(bob, ann)
        now = 0.0
        for turn in range(4):
            floor.run(now := now + 100)
            lead = Lead(floor, ann, bob)
            floor.after = [lead.look]
            others = [new_member(name=f"user{turn}.{number}", length=1.0) for number in range(24)]
            floor.join(*others)
            floor.run(now := now + 400)
            floor.after = []
            for other in others:
                floor.leave(other.name)
            assert lead.most <= apart(floor, ann, bob, 1.0) + LEEWAY["time"]

    def test_are_worth_no_more_however_often_a_user_makes_its_rate_bind(
        self, new_floor: NewFloor, new_member: type["Member"]
    ) -> None:
        """With tiny tasks its rate holds it back, with long ones it does not; each round is twice as long."""
        tiny, steady = (new_member(name=name, length=length) for name, length in (("sly", 0.01), ("steady", 1.0)))
        tiny = evolve(tiny, rate=2.0, burst=2)
        floor, long = new_floor(4), evolve(tiny, length=5.0)
        floor.join(steady, tiny)
        floor.run(5)
        most, now = 0.0, 5.0
        for seconds in (8, 16, 32, 64, 128):
            floor.loads["sly"].member = tiny
            floor.run(now := now + seconds)
            floor.loads["sly"].member = long
            lead = Lead(floor, long, steady)
            floor.after = [lead.look]
            floor.run(now := now + 4 * seconds + 40)
            floor.after, most = [], max(most, lead.most)
        assert most <= apart(floor, long, steady, long.length) + LEEWAY["time"]
