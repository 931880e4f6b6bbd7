"""settle: the value of an ended task, or the error that says why there is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.client.outcomes import settle
from fairque.protocol.calls import Outcome
from fairque.protocol.errors import ProtocolError, TaskCanceled, TaskFailed
from fairque.protocol.model.states import TaskState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def ended(state: TaskState, left: Any) -> Outcome:
    return Outcome(state, left if isinstance(left, bytes) else json.dumps(left).encode())


@given(JSON)
def test_a_finished_task_gives_its_result(value: Any) -> None:
    assert settle("t", ended(TaskState.FINISHED, value)) == value


def test_a_finished_task_that_left_nothing_gives_none() -> None:
    assert settle("t", ended(TaskState.FINISHED, b"")) is None


def test_a_failed_task_tells_all_that_is_kept_of_its_error() -> None:
    left = {"type": "KeyError", "error": "'k'", "traceback": "Traceback …", "reason": "retries", "worker": "w"}
    with pytest.raises(TaskFailed, match=r"task t failed: KeyError: 'k' \(retries\)") as caught:
        settle("t", ended(TaskState.FAILED, left))
    error = caught.value
    assert (error.task_id, error.error_type, error.error) == ("t", "KeyError", "'k'")
    assert (error.traceback, error.reason) == ("Traceback …", "retries")


@pytest.mark.parametrize("left", [b"", {}, {"error": None}, {"type": 5}])
def test_a_failed_task_that_left_little_is_a_task_failed_all_the_same(left: Any) -> None:
    with pytest.raises(TaskFailed):
        settle("t", ended(TaskState.FAILED, left))


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        ("not needed", "not needed"),
        ({"type": "Cancel", "error": "no such picture", "reason": "the task canceled itself"}, "no such picture"),
        ({"type": "Cancel", "error": "", "reason": "the task canceled itself"}, "the task canceled itself"),
        (b"", ""),
        (["odd"], "['odd']"),
    ],
)
def test_a_canceled_task_gives_the_reason(left: Any, reason: str) -> None:
    with pytest.raises(TaskCanceled) as caught:
        settle("t", ended(TaskState.CANCELED, left))
    assert caught.value.reason == reason


@pytest.mark.parametrize("state", [s for s in TaskState if s.terminal])
def test_what_is_no_json_is_told_with_task_and_bytes(state: TaskState) -> None:
    with pytest.raises(ProtocolError, match=rf"task t is {state}, but what it left is not JSON .*b'\{{'"):
        settle("t", ended(state, b"{"))


@pytest.mark.parametrize("state", [s for s in TaskState if not s.terminal])
def test_a_task_that_has_not_ended_has_no_outcome(state: TaskState) -> None:
    with pytest.raises(ProtocolError, match="has no outcome yet"):
        settle("t", Outcome(state, b""))
