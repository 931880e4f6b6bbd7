"""What the courier does next, and when a burst is over: pure decisions."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fairque.worker.taking.turn import Action, CourierState, burst_is_over, count_to_report, next_action

RESTING = CourierState(
    takes=True,
    burst=False,
    endings=0,
    held=0,
    free=4,
    in_flight=False,
    waiting=False,
    interrupted=False,
    expects_tasks=False,
    current=True,
    more=False,
    hooks=0,
    postponed=False,
    short_tasks_run=False,
)

views = st.builds(
    CourierState,
    takes=st.booleans(),
    burst=st.booleans(),
    endings=st.integers(0, 2),
    held=st.integers(0, 2),
    free=st.integers(0, 2),
    in_flight=st.booleans(),
    waiting=st.booleans(),
    interrupted=st.booleans(),
    expects_tasks=st.booleans(),
    current=st.booleans(),
    more=st.booleans(),
    hooks=st.integers(0, 1),
    postponed=st.booleans(),
    short_tasks_run=st.booleans(),
).filter(lambda view: not (view.in_flight and view.waiting))


@pytest.mark.parametrize(
    ("changes", "deed"),
    [
        ({}, Action.WAIT),
        ({"expects_tasks": True}, Action.TAKE),
        ({"held": 1, "short_tasks_run": True}, Action.SLEEP),
        ({"expects_tasks": True, "held": 1, "short_tasks_run": True}, Action.TAKE),
        ({"endings": 1}, Action.TAKE),
        ({"endings": 1, "waiting": True}, Action.REPORT),
        ({"endings": 1, "takes": False}, Action.REPORT),
        ({"free": 0}, Action.SLEEP),
        ({"waiting": True}, Action.SLEEP),
        ({"takes": False}, Action.SLEEP),
        ({"takes": False, "waiting": True}, Action.INTERRUPT),
        ({"takes": False, "waiting": True, "interrupted": True}, Action.SLEEP),
        ({"burst": True}, Action.FINISH),
        ({"burst": True, "held": 1}, Action.WAIT),
        ({"burst": True, "hooks": 1}, Action.SLEEP),
        ({"burst": True, "postponed": True}, Action.WAIT),
        ({"burst": True, "waiting": True, "postponed": True}, Action.SLEEP),
        ({"burst": True, "current": False}, Action.TAKE),
        ({"burst": True, "more": True}, Action.WAIT),
        ({"burst": True, "waiting": True}, Action.INTERRUPT),
        ({"burst": True, "waiting": True, "more": True}, Action.SLEEP),
        ({"burst": True, "waiting": True, "held": 1}, Action.SLEEP),
    ],
)
def test_the_next_action_follows_from_what_is_held_and_what_was_answered(changes: dict[str, Any], deed: Action) -> None:
    assert next_action(evolve(RESTING, **changes)) is deed


@given(views)
def test_a_burst_ends_only_when_nothing_is_held_or_pending_and_a_current_answer_says_so(view: CourierState) -> None:
    if next_action(view) is Action.FINISH:
        assert burst_is_over(view)
        assert (view.held, view.endings, view.hooks, view.waiting) == (0, 0, 0, False)
        assert view.current
        assert not view.more
        assert not view.postponed


@given(views)
def test_an_ending_is_kept_back_only_while_an_answer_is_on_its_way(view: CourierState) -> None:
    if view.endings and not view.in_flight:
        assert next_action(view) in (Action.REPORT, Action.TAKE)


@given(views)
def test_nothing_is_sent_beside_a_request_under_way(view: CourierState) -> None:
    if view.in_flight:
        assert next_action(view) is Action.SLEEP


@given(st.integers(1, 100), st.integers(0, 100))
def test_of_what_has_ended_at_once_half_is_reported_first_if_little_else_is_held(endings: int, held: int) -> None:
    now = count_to_report(endings, held)
    assert 1 <= now <= endings
    # A lone task, and few, never wait for others.
    assert now == endings or (2 * held < endings and endings >= 8 and now >= endings - now)


@given(views)
def test_nothing_is_taken_beside_a_wait_beyond_the_slots_or_when_no_tasks_are_taken(view: CourierState) -> None:
    if next_action(view) in (Action.TAKE, Action.WAIT):
        assert view.takes
        assert view.free > 0
        assert not view.waiting


@given(views)
def test_a_worker_that_does_not_take_tasks_waits_for_no_work(view: CourierState) -> None:
    if not view.takes and view.waiting and not view.endings and not view.interrupted:
        assert next_action(view) is Action.INTERRUPT
