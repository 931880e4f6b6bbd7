"""limit: weights, backlogs and defaults of users, and that settings are made all or none."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.limits import ALL_USERS, Setting
from fairque.protocol.errors import InvalidArgument, QueueFull
from fairque.protocol.limits import LimitName
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: What is left of a queue whose users have ended.
BOOKS = {"meta", "g", "counts"}


def tag(queue: "Bench", user: str = "ann") -> float:
    """The lead of a user over virtual time, in cost: (S - V) * w."""
    record = queue.snapshot("u:", "g", f"cfg:{user}")
    weight = float(record.get(f"cfg:{user}", {}).get("weight", 1))
    return (float(record[f"u:{user}"]["S"]) - float(record["g"]["V"])) * weight


def drain(queue: "Bench") -> None:
    """Run all tasks to their end, whatever limits block them, and forget them."""
    for _ in range(200):
        while held := queue.pop(100):
            queue.advance(5)
            queue.finish(*held)
        queue.advance(1_000)
        queue.sweep()
        if not queue.snapshot("users", "kept"):
            return
    raise AssertionError(queue.snapshot())


class TestWeight:
    def test_users_are_served_by_their_weights(self, queue: "Bench") -> None:
        queue.limit(weight=3)
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
    def test_a_debt_stays_the_same_in_cost_when_the_weight_changes(
        self, queue: "Bench", before: float, after: float
    ) -> None:
        queue.limit(weight=before)
        queue.fill("ann", 3)
        queue.fill("bob", 3)
        ann, _ = queue.pop(2)
        queue.advance(8_000)
        queue.finish(ann, ran_us=8_000_000)
        owed = tag(queue)
        assert owed == 8_000_000
        queue.limit(weight=after)
        assert tag(queue) == owed

    @pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 0.5), (0.25, 64)])
    def test_a_lead_stays_the_same_in_cost_when_the_weight_changes(
        self, queue: "Bench", before: float, after: float
    ) -> None:
        """A charge ahead that was too high is given back, and so a tag may be below virtual time."""
        queue.limit(weight=before)
        queue.push(queue.task("ann", cost=8), queue.task("ann"), queue.task("bob"), queue.task("bob"))
        ann, bob = queue.pop(2)
        queue.finish(bob)
        queue.pop()
        queue.advance(8_000)
        queue.amend_globals(V=8_000_000)
        queue.finish(ann, ran_us=1_000)
        lead = tag(queue)
        assert lead < 0
        queue.limit(weight=after)
        assert tag(queue) == lead

    @pytest.mark.parametrize("first", [0.01, 100])
    def test_changing_the_weight_while_a_task_runs_creates_no_credit(self, queue: "Bench", first: float) -> None:
        queue.limit(weight=first)
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        held = [t for t in queue.pop(2) if queue.info(t.task_id).user_id == "ann"]
        weights = [100, 0.01] if first == 0.01 else [0.01, 100]
        for weight in weights * 5:
            queue.limit(weight=weight)
            queue.advance(500)
            queue.beat(*held)
        queue.finish(*held, ran_us=5_000_000)
        assert tag(queue) == pytest.approx(5_000_000, abs=1)

    def test_the_place_of_a_critical_task_follows_the_weight(self, queue: "Bench") -> None:
        queue.fill("ann", 3, priority=Priority.CRITICAL)
        queue.pop()
        queue.limit(weight=2)
        found = queue.snapshot("critical", "u:ann")
        assert found["critical"] == [("ann", float(found["u:ann"]["S"]) - 1_000_000)]

    def test_setting_the_weight_of_an_unknown_user_creates_no_record(self, queue: "Bench") -> None:
        queue.limit("new", weight=5)
        assert queue.snapshot("u:", "users", "cfg:") == {"cfg:new": {"weight": "5"}}


class TestBacklog:
    def test_a_push_above_the_user_s_backlog_is_refused_and_nothing_written(self, queue: "Bench") -> None:
        queue.limit(backlog=3)
        queue.fill("ann", 2)
        before = queue.snapshot()
        with pytest.raises(QueueFull, match=r"user 'ann' has 2 waiting tasks of at most 3") as caught:
            queue.push(queue.task("bob"), queue.task("ann"), queue.task("ann"))
        assert caught.value.retry_after >= 1
        assert queue.snapshot() == before

    def test_scheduled_tasks_count_for_the_backlog(self, queue: "Bench") -> None:
        queue.limit(backlog=2)
        queue.push(queue.task(delay_ms=5_000), queue.task())
        with pytest.raises(QueueFull):
            queue.push()

    def test_running_tasks_do_not_count_for_the_backlog(self, queue: "Bench") -> None:
        queue.limit(backlog=1)
        queue.started()
        queue.push()
        with pytest.raises(QueueFull):
            queue.push()

    def test_repeating_a_push_of_stored_tasks_is_not_refused(self, queue: "Bench") -> None:
        queue.limit(backlog=2)
        tasks = [queue.task(), queue.task()]
        queue.push(*tasks)
        assert [code for code, _, _ in queue.push(*tasks)] == [2, 2]

    def test_a_lowered_backlog_drops_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.limit(backlog=2)
        assert len(queue.pop(10)) == 5

    def test_a_retry_is_never_refused(self, queue: "Bench") -> None:
        queue.limit(backlog=1)
        held = queue.started()
        queue.push()
        assert queue.fail(held) == [(1, TaskState.SCHEDULED)]
        queue.advance(1_000)
        assert len(queue.pop(5)) == 2


class TestDefaults:
    def test_defaults_apply_to_all_users_and_own_limits_override_them(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, cap=1)
        queue.limit("bob", cap=3)
        for user in ("ann", "bob", "cem"):
            queue.fill(user, 5)
        users = [queue.info(t.task_id).user_id for t in queue.pop(20)]
        assert {user: users.count(user) for user in users} == {"ann": 1, "bob": 3, "cem": 1}

    def test_an_own_burst_applies_to_the_default_rate(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, rate=1)
        queue.limit("bob", burst=2)
        queue.fill("ann", 5)
        queue.fill("bob", 5)
        users = [queue.info(t.task_id).user_id for t in queue.pop(20)]
        assert sorted(users) == ["ann", "bob", "bob"]

    def test_a_default_backlog_applies_to_each_user(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, backlog=2)
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        with pytest.raises(QueueFull, match="user 'bob'"):
            queue.fill("bob", 1)

    def test_a_lowered_default_cap_applies_to_users_in_a_ring(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.pop(2)
        queue.limit(ALL_USERS, cap=2)
        assert queue.pop(5) == ()
        assert queue.standing().running == 2
        assert not queue.snapshot("ready", "fresh")

    def test_a_default_rate_applies_to_users_in_a_ring(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.limit(ALL_USERS, rate=1)
        assert len(queue.pop(5)) == 1

    def test_a_raised_default_applies_when_a_task_of_the_user_moves(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, cap=1)
        queue.fill("ann", 5)
        held = queue.started()
        queue.limit(ALL_USERS, cap=3)
        queue.finish(held)
        assert len(queue.pop(5)) == 3

    @pytest.mark.parametrize("name", ["weight", "paused"])
    def test_weight_and_pause_have_no_default(self, queue: "Bench", name: LimitName) -> None:
        with pytest.raises(InvalidArgument, match=f"{name} is set for one user, not for all"):
            queue.run(calls.limit(queue.keys, [Setting(ALL_USERS, name, 1)]))


def test_the_same_settings_again_change_nothing(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.pop()
    values: dict[str, Any] = {"weight": 2.5, "cap": 1, "rate": 0.1, "burst": 3, "backlog": 9, "paused": 1}
    assert queue.limit(**values) == 6
    queue.woken()
    before = queue.snapshot()
    queue.advance(1_000)
    assert queue.limit(**values) == 0
    assert not queue.woken()
    assert queue.snapshot() == before


def test_removed_settings_leave_nothing_behind(queue: "Bench") -> None:
    queue.limit(cap=1, weight=2)
    queue.limit(ALL_USERS, rate=1)
    assert queue.snapshot("configured") == {"configured": [("", 0.0), ("ann", 0.0)]}
    queue.limit(cap=None, weight=None)
    queue.limit(ALL_USERS, rate=None)
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
def test_the_script_refuses_invalid_values_and_changes_nothing(queue: "Bench", arguments: tuple[str, ...]) -> None:
    queue.fill("ann", 2)
    before = queue.snapshot()
    assert queue.raw("limit", *arguments)[0] == -5
    assert queue.snapshot() == before


def test_nothing_is_left_once_everything_has_ended(queue: "Bench") -> None:
    queue.limit(cap=2, rate=5, burst=2, weight=0.01)
    queue.limit(ALL_USERS, rate=100)
    for user in ("ann", "bob", "cem"):
        queue.fill(user, 6)
        queue.fill(user, 2, priority=Priority.CRITICAL)
    drain(queue)
    queue.limit(cap=None, rate=None, burst=None, weight=None)
    queue.limit(ALL_USERS, rate=None)
    left = set(queue.snapshot()) - {key for key in queue.snapshot() if key.startswith("claim:")}
    assert left - {"wake"} == BOOKS
