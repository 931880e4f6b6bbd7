"""Users between two snapshots: which ones are compared, their fair shares, and Jain's index."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.users import UserRow, UsersSnapshot, waits_for
from fairque.protocol.reasons import WaitReason


def row(user: str, served: float = 0.0, **changes: Any) -> UserRow:
    fields: dict[str, Any] = {
        "weight": 1.0,
        "cap": None,
        "paused": False,
        "waiting": 5,
        "running": 1,
        "since": from_epoch_ms(1_000),
    }
    fields["reason"] = WaitReason.TURN
    return UserRow(user_id=user, served=served, **{**fields, **changes})


def snapshot(*rows: UserRow, at_ms: int = 5_000) -> UsersSnapshot:
    return UsersSnapshot(read_at=from_epoch_ms(at_ms), rows={one.user_id: one for one in rows})


def test_the_share_of_each_user_is_compared_with_its_fair_share() -> None:
    before = snapshot(row("ann", 10, weight=3.0), row("bob", 5))
    report = snapshot(row("ann", 40, weight=3.0), row("bob", 15), at_ms=65_000).since(before)
    assert report.seconds == 60.0
    assert [(u.user_id, u.served, u.share, u.fair_share) for u in report.users] == [
        ("ann", 30, 0.75, 0.75),
        ("bob", 10, 0.25, 0.25),
    ]
    assert report.jain == 1.0


def test_the_index_is_a_quarter_if_one_of_four_got_everything() -> None:
    names = ["a", "b", "c", "d"]
    after = [row(name, 8.0 if name == "a" else 0.0) for name in names]
    assert snapshot(*after).since(snapshot(*map(row, names))).jain == 0.25


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": WaitReason.USER_CAP},
        {"reason": WaitReason.IDLE, "waiting": 0},
        {"since": from_epoch_ms(5_001)},
        {"since": from_epoch_ms(2_000)},
        {"weight": 2.0},
    ],
    ids=["parked", "without work", "new", "made again", "of another weight"],
)
def test_users_that_did_not_compete_throughout_are_not_compared(changes: dict[str, Any]) -> None:
    before, after = snapshot(row("ann"), row("bob")), snapshot(row("ann", 5), row("bob", 9, **changes))
    for report in (after.since(before), before.since(after)):
        assert [one.user_id for one in report.users] == ["ann"]


def test_users_in_only_one_snapshot_are_not_compared() -> None:
    report = snapshot(row("ann", 5), row("new", 9)).since(snapshot(row("ann"), row("gone")))
    assert [(one.user_id, one.share, one.fair_share) for one in report.users] == [("ann", 1.0, 1.0)]


def test_without_users_or_service_there_is_no_index() -> None:
    assert snapshot().since(snapshot()).jain is None
    report = snapshot(row("ann")).since(snapshot(row("ann")))
    assert (report.jain, report.users[0].share) == (None, 0.0)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.001, 1e6)), min_size=1, max_size=20))
def test_shares_add_up_and_the_index_is_between_one_nth_and_one(users: list[tuple[float, float]]) -> None:
    before = snapshot(*(row(f"u{i}", weight=weight) for i, (weight, _) in enumerate(users)))
    after = snapshot(*(row(f"u{i}", served, weight=weight) for i, (weight, served) in enumerate(users)))
    report = after.since(before)
    assert sum(one.share for one in report.users) == pytest.approx(1)
    assert sum(one.fair_share for one in report.users) == pytest.approx(1)
    assert report.jain is not None
    assert 1 / len(users) - 1e-9 <= report.jain <= 1 + 1e-9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, WaitReason.TURN),
        ({"lane": "F"}, WaitReason.TURN),
        ({"lane": "P", "cap": 1}, WaitReason.USER_CAP),
        ({"lane": "P", "cap": 2}, WaitReason.USER_RATE),
        ({"lane": "P", "paused": True}, WaitReason.USER_PAUSED),
        ({"lane": "", "waiting": 0}, WaitReason.RUNNING),
        ({"lane": "", "waiting": 0, "running": 0}, WaitReason.IDLE),
    ],
)
def test_the_reason_follows_from_the_stored_lane(changes: dict[str, Any], reason: WaitReason) -> None:
    has: dict[str, Any] = {"lane": "R", "paused": False, "waiting": 5, "running": 1, "cap": None}
    assert waits_for(**{**has, **changes}) is reason
