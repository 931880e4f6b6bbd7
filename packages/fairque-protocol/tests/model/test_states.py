"""States, priorities, and the table of transitions."""

import pytest

from fairque.protocol.model.states import TRANSITIONS, Priority, TaskState

TERMINAL = {TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELED}


@pytest.mark.parametrize("state", TaskState)
def test_finished_failed_and_canceled_are_final(state: TaskState) -> None:
    assert state.ended == (state in TERMINAL)


def test_only_a_redrive_leaves_a_final_state() -> None:
    assert [(t.verb, t.before, t.after) for t in TRANSITIONS if t.before in TERMINAL] == [
        ("redrive", TaskState.FAILED, TaskState.QUEUED)
    ]


def test_no_transition_is_listed_twice() -> None:
    assert len(set(TRANSITIONS)) == len(TRANSITIONS)


def test_every_final_state_is_reachable_from_every_other_state() -> None:
    steps = {(t.before, t.after) for t in TRANSITIONS}
    reached = {after for before, after in steps if before is None}
    for _ in TaskState:
        reached |= {after for before, after in steps if before in reached}
    assert reached == set(TaskState)


def test_only_a_running_task_can_finish_or_fail_unless_its_message_or_record_is_gone() -> None:
    ends, spoiled = {TaskState.FINISHED, TaskState.FAILED}, {"leave_waiting", "free"}
    assert {t.before for t in TRANSITIONS if t.after in ends and t.verb not in spoiled} == {TaskState.STARTED}


def test_priorities_are_ordered_by_their_numbers() -> None:
    assert [p.name for p in sorted(Priority)] == ["VERY_LOW", "LOW", "NORMAL", "HIGH", "VERY_HIGH", "CRITICAL"]
    assert [p.value for p in sorted(Priority)] == [1, 2, 3, 4, 5, 6]
