"""The phases of a worker: one table of moves, and the notification that it is idle."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.worker.phases import MOVES, Phase, Phases


def in_phase(phase: Phase) -> Phases:
    """The shortest way there."""
    ways: dict[Phase, list[Phase]] = {Phase.STARTING: []}
    while phase not in ways:
        for before, after in product(list(ways), Phase):
            if after in MOVES[before]:
                ways.setdefault(after, [*ways[before], after])
    phases = Phases()
    for step in ways[phase]:
        assert phases.move(step)
    return phases


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_a_move_is_made_exactly_when_the_table_has_it(before: Phase, after: Phase) -> None:
    phases = in_phase(before)
    moved = phases.move(after, "a test")
    assert moved == (after in MOVES[before])
    assert phases.phase is (after if moved else before)
    assert (phases.reason == "a test") == moved


@given(st.lists(st.sampled_from(Phase)))
def test_nothing_follows_the_end_and_no_task_is_taken_on_the_way_there(moves: list[Phase]) -> None:
    phases = Phases()
    ending = False
    for to in moves:
        phases.move(to)
        ending = ending or phases.phase in (Phase.DRAINING, Phase.STOPPING, Phase.CRASHED, Phase.ENDED)
        assert not (ending and phases.takes)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING])
def test_a_worker_that_takes_tasks_or_will_is_not_idle(phase: Phase) -> None:
    phases = in_phase(phase)
    assert not phases.note_idle()
    assert not phases.wait_idle(0)


def test_idle_is_reported_once_and_reset_when_tasks_are_taken_again() -> None:
    phases = in_phase(Phase.PAUSED)
    assert [phases.note_idle(), phases.note_idle()] == [True, False]
    assert phases.wait_idle(0)
    phases.move(Phase.RUNNING)
    assert not phases.wait_idle(0)


def test_an_error_is_kept_until_the_end() -> None:
    phases = in_phase(Phase.RUNNING)
    error = RuntimeError("a test")
    phases.move(Phase.CRASHED, "a thread died", error)
    phases.move(Phase.STOPPING)
    phases.move(Phase.ENDED)
    assert phases.error is error


def test_each_move_is_notified_and_a_refused_one_is_not() -> None:
    heard: list[Phase] = []
    phases = Phases(lambda: heard.append(phases.phase))
    phases.move(Phase.RUNNING)
    phases.move(Phase.STARTING)
    phases.move(Phase.PAUSED)
    assert heard == [Phase.RUNNING, Phase.PAUSED]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STARTING])
def test_in_a_forked_child_a_started_worker_counts_as_ended_even_if_its_locks_are_held(phase: Phase) -> None:
    phases = Phases()
    phases.phase = phase
    with phases.turn, phases._lock:
        phases.start_over()
        assert (phases.phase, phases.wait_idle(0)) == (Phase.ENDED, True)
        assert phases.turn.acquire(blocking=False)
        assert not phases.move(Phase.STOPPING)


def test_in_a_forked_child_a_worker_that_has_not_started_may_start() -> None:
    phases = Phases()
    phases.start_over()
    assert phases.move(Phase.RUNNING)
