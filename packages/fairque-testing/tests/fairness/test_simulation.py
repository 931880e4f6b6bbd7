"""Shortened scenarios of the design, and their reports."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

import pytest

from fairque.protocol.model.states import Priority
from fairque.testing.fairness.simulation import PolicyName, SimulatedUser, SimulationReport, simulate

WORKERS = 16
SECONDS = 200


def around(mean: float) -> Callable[[Random], float]:
    return lambda random: random.uniform(0.5 * mean, 1.5 * mean)


def busy(number: int) -> list[SimulatedUser]:
    """Users with more work than any policy gives them: the first with tasks of 10 s, the last with tasks of 20 ms."""
    means = [10 * 500 ** (-index / (number - 1)) for index in range(number)]
    turns = WORKERS * SECONDS / sum(means)
    return [
        SimulatedUser(
            f"busy{index}",
            backlog=int(1.3 * max(WORKERS * SECONDS / number / mean, turns)) + 40,
            run_time=around(mean),
        )
        for index, mean in enumerate(means)
    ]


def sparse(number: int) -> list[SimulatedUser]:
    """Users with occasional short tasks, which arrive when the run times of the others are known."""
    return [SimulatedUser(f"sparse{index}", per_second=0.2, start=30, run_time=0.02) for index in range(number)]


def p99_of_sparse(report: SimulationReport) -> float:
    """The 99th percentile of the wait of the median sparse user."""
    waits = sorted(user.wait_p99 for name, user in report.users.items() if name.startswith("sparse"))
    return waits[len(waits) // 2]


Reports = Mapping[PolicyName, SimulationReport]


def under_each_policy(users: Sequence[SimulatedUser]) -> Reports:
    policies: tuple[PolicyName, ...] = ("fair", "fifo", "round_robin")
    return {p: simulate(users, workers=WORKERS, seconds=SECONDS, seed=1, policy=p) for p in policies}


@pytest.fixture(scope="module")
def scenario_a() -> Reports:
    """15 users with a backlog, 30 sparse ones."""
    return under_each_policy([*busy(15), *sparse(30)])


@pytest.fixture(scope="module")
def scenario_d() -> Reports:
    """80 users with a backlog, more than workers, and 20 sparse ones."""
    return under_each_policy([*busy(80), *sparse(20)])


class TestBackloggedAndSparseUsers:
    def test_share_a_pool_fairly(self, scenario_a: Reports) -> None:
        report = scenario_a["fair"]
        assert report.jain >= 0.99
        assert p99_of_sparse(report) <= 0.1
        assert report.utilisation > 0.99

    def test_share_a_pool_that_is_smaller_than_their_number_fairly(self, scenario_d: Reports) -> None:
        report = scenario_d["fair"]
        assert report.jain >= 0.99
        assert p99_of_sparse(report) <= 0.15

    @pytest.mark.parametrize(("policy", "jain", "wait"), [("fifo", 0.2, 100), ("round_robin", 0.4, 2)])
    @pytest.mark.thorough
    def test_get_much_less_fair_shares_under_simpler_policies(
        self, scenario_a: Reports, scenario_d: Reports, policy: PolicyName, jain: float, wait: float
    ) -> None:
        for reports in (scenario_a, scenario_d):
            assert reports[policy].jain < jain
            assert p99_of_sparse(reports[policy]) > wait
            assert reports[policy].lag > 5 * reports["fair"].lag


def test_a_flood_of_new_users_leaves_a_ninth_to_existing_users() -> None:
    """New users arrive with one task each, at 150 % of the capacity of the workers."""
    flood = [SimulatedUser(f"new{n}", backlog=1, start=n / 60, run_time=0.1) for n in range(3_600)]
    users = [SimulatedUser("ann", backlog=5_000, run_time=0.1), SimulatedUser("bob", backlog=5_000, run_time=0.1)]
    report = simulate([*users, *flood], workers=4, seconds=60)
    assert report["ann"].share + report["bob"].share >= 1 / 9
    assert abs(report["ann"].served - report["bob"].served) <= 2


def test_a_user_whose_tasks_are_all_critical_gets_no_more_than_its_share() -> None:
    users = [SimulatedUser(f"user{n}", backlog=2_000, run_time=around(0.5)) for n in range(10)]
    urgent = SimulatedUser("urgent", backlog=2_000, run_time=around(0.5), priority=Priority.CRITICAL)
    report = simulate([*users, urgent], workers=WORKERS, seconds=200)
    assert report["urgent"].share == pytest.approx(1 / 11, abs=0.003)
    assert report.jain > 0.999


def test_a_user_whose_tasks_are_critical_is_ahead_by_its_credit_of_two_seconds() -> None:
    users = [
        SimulatedUser("ann", backlog=500, run_time=0.1),
        SimulatedUser("urgent", backlog=500, run_time=0.1, priority=Priority.CRITICAL),
    ]
    report = simulate(users, workers=1, seconds=20)
    assert report["urgent"].served - report["ann"].served in range(19, 22)


def test_service_used_while_no_other_user_waited_does_not_count_later() -> None:
    """Ann's long tasks fill all workers when Bob arrives; from then on both get half."""
    ann = SimulatedUser("ann", every=100 / WORKERS, run_time=100.0)
    before = simulate([ann], workers=WORKERS, seconds=1_000)["ann"].served_seconds
    bob = SimulatedUser("bob", backlog=10_000, start=1_000, run_time=around(5.0))
    after = simulate([ann, bob], workers=WORKERS, seconds=3_000)["ann"].served_seconds - before
    assert after / (2_000 * WORKERS) == pytest.approx(0.5, abs=0.05)


def test_a_cap_that_does_not_bind_takes_nothing_from_a_user() -> None:
    """It is at its cap while its one task runs, and still gets its whole share."""
    users = [
        SimulatedUser("half", weight=0.5, backlog=500, run_time=0.1),
        SimulatedUser("capped", cap=1, backlog=500, run_time=0.1),
    ]
    report = simulate(users, workers=1, seconds=30)
    assert report["capped"].share == pytest.approx(2 / 3, abs=0.01)


def test_a_cap_a_weight_and_a_rate_hold() -> None:
    report = simulate(
        [
            SimulatedUser("capped", cap=1, backlog=1_000, run_time=0.5),
            SimulatedUser("limited", rate=2, burst=3, backlog=1_000, run_time=0.25),
            SimulatedUser("heavy", weight=3, backlog=5_000, run_time=around(0.2)),
            SimulatedUser("light", backlog=5_000, run_time=around(0.2)),
        ],
        workers=8,
        seconds=100,
    )
    # Sometimes another user held back by its rate is before it in line for the next free worker.
    assert report["capped"].served_seconds == pytest.approx(100, rel=0.003)
    assert report["limited"].served in range(198, 204)
    assert report["heavy"].served_seconds / report["light"].served_seconds == pytest.approx(3, rel=0.03)
    assert [user.fair_share for user in report.users.values()] == pytest.approx(
        [user.share for user in report.users.values()], rel=0.03
    )


def test_workers_wake_up_in_time_for_a_rate_limit_alone() -> None:
    report = simulate([SimulatedUser("ann", rate=10, backlog=50, run_time=0.01)], workers=4, seconds=10)
    assert report["ann"].served == 50
    assert report["ann"].wait_max == pytest.approx(4.9, abs=0.001)


def test_a_task_that_is_longer_than_its_lease_keeps_it() -> None:
    report = simulate([SimulatedUser("ann", backlog=3, run_time=5.0)], workers=2, seconds=20, lease=0.1)
    assert (report["ann"].served, report["ann"].served_seconds) == (3, 15.0)


def test_round_robin_gives_each_user_a_task_in_turn() -> None:
    users = [SimulatedUser(name, backlog=50, run_time=1) for name in ("ann", "bob", "eve")]
    report = simulate(users, workers=1, seconds=30, policy="round_robin")
    assert [user.served for user in report.users.values()] == [10, 10, 10]


def test_tasks_come_from_the_start_to_the_stop() -> None:
    users = [
        SimulatedUser("regular", every=1, start=2, stop=5, run_time=0.01),
        SimulatedUser("random", per_second=100, start=2, stop=5, run_time=0.01),
        SimulatedUser("once", backlog=7, start=2, run_time=0.01),
    ]
    report = simulate(users, workers=50, seconds=100)
    assert (report["regular"].served, report["once"].served) == (3, 7)
    assert report["random"].served in range(250, 350)


class TestFairShare:
    def test_is_no_more_than_a_user_can_use_from_its_start_on(self) -> None:
        users = [
            SimulatedUser("late", cap=1, start=60, backlog=500, run_time=1),
            SimulatedUser("slow", rate=0.5, start=60, backlog=500, run_time=1),
            SimulatedUser("ann", backlog=500, run_time=1),
        ]
        report = simulate(users, workers=2, seconds=100)
        assert [report[name].fair_share * 200 for name in ("late", "slow", "ann")] == pytest.approx([40, 21, 139])

    def test_is_no_more_than_a_task_can_run_until_the_end(self) -> None:
        users = [SimulatedUser("long", backlog=1, run_time=1_000), SimulatedUser("ann", backlog=500, run_time=1)]
        report = simulate(users, workers=4, seconds=100)
        assert [report["long"].fair_share, report["ann"].fair_share] == pytest.approx([0.25, 0.75])


class TestReport:
    def test_has_the_values_of_a_calculated_example(self) -> None:
        """One worker: ann at 0 to 2 s, bob at 2 to 4 s, ann at 4 to 6 s; her third task waits at the end."""
        report = simulate(
            [SimulatedUser("ann", backlog=3, run_time=2), SimulatedUser("bob", every=9, run_time=2)],
            workers=1,
            seconds=5,
        )
        ann, bob = report["ann"], report["bob"]
        assert (ann.served, ann.served_seconds, ann.share, ann.fair_share) == (1, 3.0, 0.6, 0.6)
        assert (ann.wait_p50, ann.wait_p99, ann.wait_max) == (4.0, 5.0, 5.0)
        assert (bob.served, bob.served_seconds, bob.wait_max) == (1, 2.0, 2.0)
        assert (report.jain, report.lag, report.utilisation) == (1.0, 0.0, 1.0)

    def test_measures_the_lag_between_users_that_always_have_work(self) -> None:
        users = [SimulatedUser(name, backlog=100, run_time=1) for name in ("ann", "bob")]
        report = simulate(users, workers=1, seconds=50, policy="fifo")
        assert (report.jain, report.lag) == (0.5, 50.0)
        assert simulate(users, workers=1, seconds=50).lag == pytest.approx(1, abs=0.03)

    def test_compares_only_users_with_work_from_the_beginning(self) -> None:
        users = [SimulatedUser("ann", backlog=500, run_time=1), SimulatedUser("bob", backlog=500, run_time=1, start=50)]
        report = simulate(users, workers=1, seconds=100)
        assert (report.jain, report.lag) == (1, 0)

    def test_is_the_same_for_the_same_seed(self) -> None:
        users = [SimulatedUser(f"user{n}", per_second=5, run_time=around(0.1)) for n in range(5)]
        one, two, other = (simulate(users, workers=2, seconds=20, seed=seed) for seed in (1, 1, 2))
        assert one == two
        assert one != other

    def test_has_the_same_tasks_under_each_policy(self) -> None:
        users = [SimulatedUser("ann", per_second=5, run_time=around(0.01)), SimulatedUser("bob", backlog=3)]
        reports = [simulate(users, workers=9, seconds=50, policy=p) for p in ("fair", "fifo", "round_robin")]
        assert len({report["ann"].served_seconds for report in reports}) == 1

    def test_is_empty_without_work(self) -> None:
        report = simulate([SimulatedUser("late", backlog=5, start=100)], workers=1, seconds=10)
        assert (report["late"].served, report["late"].wait_max, report.utilisation) == (0, 0, 0)

    def test_prints_as_a_table(self) -> None:
        lines = str(simulate([SimulatedUser("ann", backlog=5)], workers=1, seconds=10)).splitlines()
        assert [line.split()[0] for line in lines] == ["served", "ann", "jain"]

    def test_has_only_simulated_users(self) -> None:
        report = simulate([SimulatedUser("ann", backlog=5)], workers=1, seconds=10)
        with pytest.raises(KeyError, match="no user 'bob' was simulated; there are 'ann'"):
            report["bob"]


def test_settings_can_be_tried_without_a_server() -> None:
    report = simulate(
        [SimulatedUser("noisy", backlog=10_000, run_time=0.05), SimulatedUser("quiet", every=1.0, run_time=0.05)],
        workers=4,
        seconds=60,
    )
    assert report["quiet"].wait_p99 < 0.1
