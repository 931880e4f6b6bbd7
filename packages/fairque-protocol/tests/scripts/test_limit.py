"""limit: weight, cap, rate, burst, backlog and pause of users, at once and on what waits already."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.protocol import calls
from fairque.protocol.calls import ALL_USERS, Setting, SettingName
from fairque.protocol.errors import ConfigurationError, QueueFull
from fairque.protocol.model.states import Priority, TaskState

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: What is left of a queue whose users have ended.
BOOKS = {"meta", "g", "counts"}


def set_limits(queue: "Bench", user: str = "ann", **values: float | None) -> int:
    names: dict[str, Any] = values
    return queue.run(calls.limit(queue.keys, [Setting(user, name, value) for name, value in names.items()]))


def standing(queue: "Bench", user: str = "ann") -> Any:
    return queue.run(calls.read_user(queue.keys, user))


def tag(queue: "Bench", user: str = "ann") -> float:
    """Where the user stands against virtual time, in service: (S - V) * w."""
    record = queue.snapshot("u:", "g", f"cfg:{user}")
    weight = float(record.get(f"cfg:{user}", {}).get("weight", 1))
    return (float(record[f"u:{user}"]["S"]) - float(record["g"]["V"])) * weight


def drain(queue: "Bench") -> None:
    """Run all tasks to their end, whatever limits hold them up, and forget them."""
    for _ in range(200):
        while held := queue.pop(100):
            queue.advance(5)
            queue.finish(*held)
        queue.advance(1_000)
        queue.sweep()
        if not queue.snapshot("users", "kept"):
            return
    raise AssertionError(queue.snapshot())


class TestCap:
    def test_no_more_tasks_run_than_the_cap_allows(self, queue: "Bench") -> None:
        set_limits(queue, cap=2)
        queue.fill("ann", 5)
        first, second = queue.pop(5)
        assert queue.pop(5) == ()
        queue.finish(first)
        (third,) = queue.pop(5)
        queue.release(second)
        assert queue.pop_ids(5) == [second.task_id]
        assert standing(queue).running == 2
        assert third.task_id == "t3"

    def test_other_users_are_served_meanwhile(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        queue.fill("ann", 3)
        queue.fill("bob", 3)
        assert sorted(queue.info(t.task_id).user_id for t in queue.pop(10)) == ["ann", "bob", "bob", "bob"]

    def test_a_capped_user_is_in_no_ring_and_no_worker_is_kept_awake(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        queue.fill("ann", 3, priority=Priority.CRITICAL)
        queue.pop(5)
        queue.woken()
        assert queue.wait_ms() == 30_000
        assert not queue.woken()
        assert not queue.snapshot("ready", "fresh", "critical", "timers")

    def test_a_critical_task_waits_for_the_cap(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        running = queue.started()
        queue.push(queue.task(task_id="c", priority=Priority.CRITICAL))
        assert queue.pop() == ()
        queue.finish(running)
        assert queue.pop_ids() == ["c"]

    def test_a_raised_cap_acts_on_what_waits_and_wakes_a_worker(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        queue.fill("ann", 5)
        queue.pop(5)
        queue.woken()
        set_limits(queue, cap=3)
        assert queue.woken()
        assert len(queue.pop(5)) == 2

    def test_a_lowered_cap_lets_go_on_what_runs_and_starts_no_more(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        held = queue.pop(3)
        set_limits(queue, cap=2)
        assert queue.pop(5) == ()
        queue.finish(held[0])
        assert queue.pop(5) == ()
        queue.finish(held[1])
        assert len(queue.pop(5)) == 1

    def test_a_cap_taken_back_frees_the_backlog(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        queue.fill("ann", 4)
        queue.pop()
        set_limits(queue, cap=None)
        assert len(queue.pop(10)) == 3

    def test_a_lost_lease_gives_its_place_back(self, queue: "Bench") -> None:
        set_limits(queue, cap=1)
        queue.fill("ann", 2)
        queue.pop()
        queue.advance(30_000)
        assert queue.pop_ids() == ["t1"]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.tuples(st.sampled_from("pfrcwx"), st.integers(1, 4)), max_size=25))
    def test_the_cap_is_never_exceeded_whatever_happens(self, queue: "Bench", steps: list[tuple[str, int]]) -> None:
        for key in queue.snapshot():
            queue.client.delete(f"{queue.keys.prefix}{key}")
        queue.client.hset(queue.keys.meta, "test", "1")
        cap, held = 4, []
        set_limits(queue, cap=cap)
        queue.fill("ann", 10)
        queue.fill("bob", 2)
        for step, number in steps:
            before = len([t for t in held if queue.info(t.task_id).user_id == "ann"])
            match step:
                case "p":
                    held += queue.pop(number)
                case "f":
                    queue.finish(*held[:number]) if held else None
                    del held[:number]
                case "r":
                    queue.release(*held[:number]) if held else None
                    del held[:number]
                case "c":
                    cap = number
                    set_limits(queue, cap=cap)
                case "w":
                    set_limits(queue, weight=number * 10)
                case "x":
                    set_limits(queue, paused=1 if number % 2 else None)
            now = standing(queue).running
            assert now <= max(cap, before)
            assert now == len([t for t in held if queue.info(t.task_id).user_id == "ann"])


class TestPause:
    def test_a_paused_user_starts_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        set_limits(queue, paused=1)
        assert queue.pop(5) == ()
        assert not queue.snapshot("ready", "fresh", "critical")

    def test_what_is_pushed_in_a_pause_is_kept(self, queue: "Bench") -> None:
        set_limits(queue, paused=1)
        queue.woken()
        queue.fill("ann", 3)
        assert not queue.woken()
        assert queue.wait_ms() is None
        assert standing(queue).waiting == 3

    def test_running_tasks_go_on_in_a_pause(self, queue: "Bench") -> None:
        held = queue.started()
        set_limits(queue, paused=1)
        assert queue.finish(held) == [(1, TaskState.FINISHED)]

    def test_a_resumed_user_is_served_and_a_worker_woken(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        set_limits(queue, paused=1)
        queue.woken()
        set_limits(queue, paused=None)
        assert queue.woken()
        assert len(queue.pop(5)) == 3

    def test_paused_time_earns_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 40)
        queue.fill("bob", 80)
        set_limits(queue, paused=1)
        for _ in range(40):
            (held,) = queue.pop()
            queue.advance(1_000)
            queue.finish(held, ran_us=1_000_000)
        set_limits(queue, paused=None)
        users = []
        for _ in range(20):
            (held,) = queue.pop()
            users.append(queue.info(held.task_id).user_id)
            queue.advance(1_000)
            queue.finish(held, ran_us=1_000_000)
        assert abs(users.count("ann") - users.count("bob")) <= 2

    def test_a_pause_keeps_the_user_s_debt(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        ann, _ = queue.pop(2)
        queue.advance(10_000)
        queue.finish(ann, ran_us=10_000_000)
        before = tag(queue)
        set_limits(queue, paused=1)
        assert queue.snapshot("owe") == {"owe": [("ann", before)]}
        set_limits(queue, paused=None)
        assert tag(queue) == before
        assert not queue.snapshot("owe")

    def test_a_pause_of_nobody_known_holds_its_first_push(self, queue: "Bench") -> None:
        set_limits(queue, "new", paused=1)
        queue.fill("new", 1)
        assert queue.pop() == ()


class TestRate:
    def test_a_task_more_than_the_rate_allows_waits_for_its_time(self, queue: "Bench") -> None:
        set_limits(queue, rate=2)
        queue.fill("ann", 3)
        assert queue.pop_ids(5) == ["t1"]
        assert queue.wait_ms() == 500
        queue.advance(499)
        assert queue.wait_ms() == 1
        queue.advance(1)
        assert queue.pop_ids(5) == ["t2"]

    def test_a_limited_user_spends_no_attempt_and_stands_in_the_timers_alone(self, queue: "Bench") -> None:
        set_limits(queue, rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        for _ in range(5):
            queue.advance(100)
            assert queue.pop(5) == ()
        found = queue.snapshot("timers", "ready", "fresh")
        assert found == {"timers": [("ann", float(queue.now_us + 500_000))]}
        assert (queue.info("t2").attempts, queue.info("t2").failures) == (0, 0)

    def test_a_burst_may_start_at_once(self, queue: "Bench") -> None:
        set_limits(queue, rate=1, burst=3)
        queue.fill("ann", 10)
        assert len(queue.pop(10)) == 3
        queue.advance(1_000)
        assert len(queue.pop(10)) == 1
        queue.advance(60_000)
        assert [len(queue.pop(10)), queue.wait_ms()] == [3, 1_000]

    def test_over_any_time_no_more_start_than_burst_and_rate_allow(self, queue: "Bench") -> None:
        set_limits(queue, rate=7, burst=4)
        queue.fill("ann", 100)
        starts = []
        for _ in range(400):
            starts += [queue.now_us] * len(queue.pop(10))
            queue.advance(13)
        assert len(starts) == 4 + int(7 * 399 * 0.013)
        for first in range(len(starts)):
            for last in range(first, len(starts)):
                assert last - first + 1 <= 4 + 7 * (starts[last] - starts[first]) / 1e6 + 1e-6

    def test_emptying_the_queue_in_between_fills_no_bucket(self, queue: "Bench") -> None:
        set_limits(queue, rate=1)
        queue.finish(queue.started())
        queue.sweep()
        assert queue.snapshot("timers") == {"timers": [("ann", float(queue.now_us + 1_000_000))]}
        queue.push()
        assert queue.pop() == ()
        queue.advance(1_000)
        assert queue.pop_ids() == ["t2"]

    def test_a_release_gives_no_start_back(self, queue: "Bench") -> None:
        set_limits(queue, rate=1)
        queue.release(queue.started())
        assert queue.pop() == ()
        queue.advance(1_000)
        assert queue.pop_ids() == ["t1"]

    def test_a_raised_rate_acts_at_once(self, queue: "Bench") -> None:
        set_limits(queue, rate=0.001)
        queue.fill("ann", 3)
        queue.pop(5)
        queue.woken()
        set_limits(queue, rate=10)
        assert queue.woken()
        assert queue.wait_ms() == 100

    def test_a_lowered_rate_counts_from_the_start_that_was_allowed(self, queue: "Bench") -> None:
        set_limits(queue, rate=10)
        queue.fill("ann", 3)
        queue.pop(5)
        set_limits(queue, rate=1)
        assert queue.wait_ms() == 100
        queue.advance(100)
        assert queue.pop_ids(5) == ["t2"]
        assert queue.wait_ms() == 1_000

    def test_a_rate_taken_back_frees_the_backlog(self, queue: "Bench") -> None:
        set_limits(queue, rate=0.001)
        queue.fill("ann", 3)
        queue.pop(5)
        queue.woken()
        set_limits(queue, rate=None)
        assert queue.woken()
        assert not queue.snapshot("timers")
        assert len(queue.pop(5)) == 2

    def test_a_paused_user_is_in_no_timer_and_comes_back_to_its_rate(self, queue: "Bench") -> None:
        set_limits(queue, rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        set_limits(queue, paused=1)
        assert not queue.snapshot("timers")
        queue.advance(400)
        set_limits(queue, paused=None)
        assert queue.wait_ms() == 600

    def test_sweep_lets_a_limited_user_back_too(self, queue: "Bench") -> None:
        set_limits(queue, rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        queue.advance(1_000)
        queue.woken()
        queue.sweep()
        assert queue.woken()
        assert queue.snapshot("ready").keys() == {"ready"}

    def test_a_start_that_comes_sooner_than_all_others_shortens_a_rest(self, queue: "Bench") -> None:
        set_limits(queue, "slow", rate=0.01)
        set_limits(queue, "fast", rate=10)
        queue.fill("slow", 2)
        queue.pop(5)
        queue.fill("fast", 1)
        queue.pop(5)
        queue.woken()
        queue.fill("fast", 1)
        assert queue.wait_ms() == 100


class TestWeight:
    def test_users_are_served_by_their_weights(self, queue: "Bench") -> None:
        set_limits(queue, weight=3)
        queue.fill("ann", 60)
        queue.fill("bob", 60)
        users = []
        for _ in range(40):
            (held,) = queue.pop()
            users.append(queue.info(held.task_id).user_id)
            queue.advance(100)
            queue.finish(held, ran_us=100_000)
        assert abs(users.count("ann") - 30) <= 2

    @pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 0.5), (0.25, 64)])
    def test_a_debt_stays_the_same_in_service(self, queue: "Bench", before: float, after: float) -> None:
        set_limits(queue, weight=before)
        queue.fill("ann", 3)
        queue.fill("bob", 3)
        ann, _ = queue.pop(2)
        queue.advance(8_000)
        queue.finish(ann, ran_us=8_000_000)
        owed = tag(queue)
        assert owed == 8_000_000
        set_limits(queue, weight=after)
        assert tag(queue) == owed

    @pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 0.5), (0.25, 64)])
    def test_a_lead_stays_the_same_in_service(self, queue: "Bench", before: float, after: float) -> None:
        """A charge ahead that was too high is given back, and so a tag may be below virtual time."""
        set_limits(queue, weight=before)
        queue.push(queue.task("ann", cost=8), queue.task("ann"), queue.task("bob"), queue.task("bob"))
        ann, bob = queue.pop(2)
        queue.finish(bob)
        queue.pop()
        queue.advance(8_000)
        queue.client.hset(f"{queue.keys.prefix}g", "V", "8000000")
        queue.finish(ann, ran_us=1_000)
        lead = tag(queue)
        assert lead < 0
        set_limits(queue, weight=after)
        assert tag(queue) == lead

    @pytest.mark.parametrize("first", [0.01, 100])
    def test_flipping_the_weight_while_a_task_runs_mints_no_credit(self, queue: "Bench", first: float) -> None:
        set_limits(queue, weight=first)
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        held = [t for t in queue.pop(2) if queue.info(t.task_id).user_id == "ann"]
        weights = [100, 0.01] if first == 0.01 else [0.01, 100]
        for weight in weights * 5:
            set_limits(queue, weight=weight)
            queue.advance(500)
            queue.beat(*held)
        queue.finish(*held, ran_us=5_000_000)
        assert tag(queue) == pytest.approx(5_000_000, abs=1)

    def test_the_place_of_a_critical_task_follows_the_weight(self, queue: "Bench") -> None:
        queue.fill("ann", 3, priority=Priority.CRITICAL)
        queue.pop()
        set_limits(queue, weight=2)
        found = queue.snapshot("critical", "u:ann")
        assert found["critical"] == [("ann", float(found["u:ann"]["S"]) - 1_000_000)]

    def test_a_weight_of_an_unknown_user_makes_no_record_of_it(self, queue: "Bench") -> None:
        set_limits(queue, "new", weight=5)
        assert queue.snapshot("u:", "users", "cfg:") == {"cfg:new": {"weight": "5"}}


class TestBacklog:
    def test_a_push_above_the_user_s_backlog_is_refused_and_nothing_written(self, queue: "Bench") -> None:
        set_limits(queue, backlog=3)
        queue.fill("ann", 2)
        before = queue.snapshot()
        with pytest.raises(QueueFull, match=r"user 'ann' has 2 waiting tasks of at most 3") as caught:
            queue.push(queue.task("bob"), queue.task("ann"), queue.task("ann"))
        assert caught.value.retry_after >= 1
        assert queue.snapshot() == before

    def test_scheduled_tasks_wait_too(self, queue: "Bench") -> None:
        set_limits(queue, backlog=2)
        queue.push(queue.task(delay_ms=5_000), queue.task())
        with pytest.raises(QueueFull):
            queue.push()

    def test_running_tasks_wait_no_more(self, queue: "Bench") -> None:
        set_limits(queue, backlog=1)
        queue.started()
        queue.push()
        with pytest.raises(QueueFull):
            queue.push()

    def test_a_push_again_of_stored_tasks_is_no_push(self, queue: "Bench") -> None:
        set_limits(queue, backlog=2)
        tasks = [queue.task(), queue.task()]
        queue.push(*tasks)
        assert [code for code, _, _ in queue.push(*tasks)] == [2, 2]

    def test_a_lowered_backlog_drops_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        set_limits(queue, backlog=2)
        assert len(queue.pop(10)) == 5

    def test_a_retry_is_never_refused(self, queue: "Bench") -> None:
        set_limits(queue, backlog=1)
        held = queue.started()
        queue.push()
        assert queue.fail(held) == [(1, TaskState.SCHEDULED)]
        queue.advance(1_000)
        assert len(queue.pop(5)) == 2


class TestDefaults:
    def test_the_defaults_hold_for_everybody_and_own_values_win(self, queue: "Bench") -> None:
        set_limits(queue, ALL_USERS, cap=1)
        set_limits(queue, "bob", cap=3)
        for user in ("ann", "bob", "cem"):
            queue.fill(user, 5)
        users = [queue.info(t.task_id).user_id for t in queue.pop(20)]
        assert {user: users.count(user) for user in users} == {"ann": 1, "bob": 3, "cem": 1}

    def test_an_own_burst_goes_with_the_rate_of_all(self, queue: "Bench") -> None:
        set_limits(queue, ALL_USERS, rate=1)
        set_limits(queue, "bob", burst=2)
        queue.fill("ann", 5)
        queue.fill("bob", 5)
        users = [queue.info(t.task_id).user_id for t in queue.pop(20)]
        assert sorted(users) == ["ann", "bob", "bob"]

    def test_a_backlog_of_all_is_one_for_each(self, queue: "Bench") -> None:
        set_limits(queue, ALL_USERS, backlog=2)
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        with pytest.raises(QueueFull, match="user 'bob'"):
            queue.fill("bob", 1)

    def test_a_lowered_default_cap_is_kept_by_users_who_stand_in_a_ring(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.pop(2)
        set_limits(queue, ALL_USERS, cap=2)
        assert queue.pop(5) == ()
        assert standing(queue).running == 2
        assert not queue.snapshot("ready", "fresh")

    def test_a_default_rate_is_kept_by_users_who_stand_in_a_ring(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        set_limits(queue, ALL_USERS, rate=1)
        assert len(queue.pop(5)) == 1

    def test_a_raised_default_acts_when_a_task_of_the_user_moves(self, queue: "Bench") -> None:
        set_limits(queue, ALL_USERS, cap=1)
        queue.fill("ann", 5)
        held = queue.started()
        set_limits(queue, ALL_USERS, cap=3)
        queue.finish(held)
        assert len(queue.pop(5)) == 3

    @pytest.mark.parametrize("name", ["weight", "paused"])
    def test_weight_and_pause_have_no_default(self, queue: "Bench", name: SettingName) -> None:
        with pytest.raises(ConfigurationError, match=f"{name} is set for one user, not for all"):
            set_limits(queue, ALL_USERS, **{name: 1})


def test_the_same_settings_again_change_nothing(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.pop()
    values = {"weight": 2.5, "cap": 1, "rate": 0.1, "burst": 3, "backlog": 9, "paused": 1}
    assert set_limits(queue, **values) == 6
    queue.woken()
    before = queue.snapshot()
    queue.advance(1_000)
    assert set_limits(queue, **values) == 0
    assert not queue.woken()
    assert queue.snapshot() == before


def test_settings_taken_back_leave_nothing(queue: "Bench") -> None:
    set_limits(queue, cap=1, weight=2)
    set_limits(queue, ALL_USERS, rate=1)
    assert queue.snapshot("configured") == {"configured": [("", 0.0), ("ann", 0.0)]}
    set_limits(queue, cap=None, weight=None)
    set_limits(queue, ALL_USERS, rate=None)
    assert not queue.snapshot("cfg:", "configured")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("ann", "cap"),
        ("ann", "cap", "0"),
        ("ann", "cap", "1.5"),
        ("ann", "cap", "nan"),
        ("ann", "cap", "inf"),
        ("ann", "cap", "many"),
        ("ann", "weight", "0.009"),
        ("ann", "weight", "101"),
        ("ann", "rate", "-1"),
        ("ann", "rate", "0"),
        ("ann", "backlog", "-1"),
        ("ann", "paused", "2"),
        ("ann", "speed", "1"),
        ("", "weight", "1"),
        ("", "paused", "1"),
        ("x" * 129, "cap", "1"),
        ("a\nb", "cap", "1"),
        ("ann", "cap", "1", "ann", "weight", "nan"),
        ("ann", "cap", "1") * 1_001,
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_script_refuses_what_cannot_be_and_changes_nothing(queue: "Bench", arguments: tuple[str, ...]) -> None:
    queue.fill("ann", 2)
    before = queue.snapshot()
    assert queue.raw("limit", *arguments)[0] == -5
    assert queue.snapshot() == before


def test_everything_is_gone_when_all_has_ended(queue: "Bench") -> None:
    set_limits(queue, cap=2, rate=5, burst=2, weight=0.01)
    set_limits(queue, ALL_USERS, rate=100)
    for user in ("ann", "bob", "cem"):
        queue.fill(user, 6)
        queue.fill(user, 2, priority=Priority.CRITICAL)
    drain(queue)
    set_limits(queue, cap=None, rate=None, burst=None, weight=None)
    set_limits(queue, ALL_USERS, rate=None)
    left = set(queue.snapshot()) - {key for key in queue.snapshot() if key.startswith("claim:")}
    assert left - {"wake"} == BOOKS
