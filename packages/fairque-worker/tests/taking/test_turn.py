"""What the courier does next, and when a burst is over: pure decisions."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fairque.worker.taking.turn import Deed, View, burst_is_over, next_deed

RESTING = View(
    takes=True,
    burst=False,
    endings=0,
    held=0,
    free=4,
    waiting=False,
    interrupted=False,
    hungry=False,
    current=True,
    more=False,
    hooks=0,
)

views = st.builds(
    View,
    takes=st.booleans(),
    burst=st.booleans(),
    endings=st.integers(0, 2),
    held=st.integers(0, 2),
    free=st.integers(0, 2),
    waiting=st.booleans(),
    interrupted=st.booleans(),
    hungry=st.booleans(),
    current=st.booleans(),
    more=st.booleans(),
    hooks=st.integers(0, 1),
)


@pytest.mark.parametrize(
    ("changes", "deed"),
    [
        ({}, Deed.WAIT),
        ({"hungry": True}, Deed.TAKE),
        ({"endings": 1}, Deed.TAKE),
        ({"endings": 1, "waiting": True}, Deed.REPORT),
        ({"endings": 1, "takes": False}, Deed.REPORT),
        ({"free": 0}, Deed.SLEEP),
        ({"waiting": True}, Deed.SLEEP),
        ({"takes": False}, Deed.SLEEP),
        ({"takes": False, "waiting": True}, Deed.INTERRUPT),
        ({"takes": False, "waiting": True, "interrupted": True}, Deed.SLEEP),
        ({"burst": True}, Deed.FINISH),
        ({"burst": True, "held": 1}, Deed.WAIT),
        ({"burst": True, "hooks": 1}, Deed.SLEEP),
        ({"burst": True, "current": False}, Deed.TAKE),
        ({"burst": True, "more": True}, Deed.WAIT),
        ({"burst": True, "waiting": True}, Deed.INTERRUPT),
        ({"burst": True, "waiting": True, "more": True}, Deed.SLEEP),
        ({"burst": True, "waiting": True, "held": 1}, Deed.SLEEP),
    ],
)
def test_the_next_deed_follows_from_what_is_held_and_what_was_answered(changes: dict[str, Any], deed: Deed) -> None:
    assert next_deed(evolve(RESTING, **changes)) is deed


@given(views)
def test_a_burst_ends_only_when_nothing_is_held_or_on_its_way_and_an_answer_that_knows_all_says_so(view: View) -> None:
    if next_deed(view) is Deed.FINISH:
        assert burst_is_over(view)
        assert (view.held, view.endings, view.hooks, view.waiting) == (0, 0, 0, False)
        assert view.current
        assert not view.more


@given(views)
def test_an_ending_is_never_kept_back(view: View) -> None:
    if view.endings:
        assert next_deed(view) in (Deed.REPORT, Deed.TAKE)


@given(views)
def test_nothing_is_taken_beside_a_wait_beyond_the_slots_or_when_no_tasks_are_taken(view: View) -> None:
    if next_deed(view) in (Deed.TAKE, Deed.WAIT):
        assert view.takes
        assert view.free > 0
        assert not view.waiting


@given(views)
def test_a_worker_that_does_not_take_tasks_waits_for_no_work(view: View) -> None:
    if not view.takes and view.waiting and not view.endings and not view.interrupted:
        assert next_deed(view) is Deed.INTERRUPT
