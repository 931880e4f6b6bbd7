"""settle: the result of an ended task, or the error that says why it has none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.client.outcomes import settle
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import ErrorInfo, ProtocolError, TaskCanceled, TaskFailed
from fairque.protocol.model.states import TaskState
from fairque.protocol.reasons import CancelCause, DeadReason

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def ended(state: TaskState, stored: Any) -> Outcome:
    return Outcome(state, stored if isinstance(stored, bytes) else json.dumps(stored).encode())


@given(JSON)
def test_a_finished_task_returns_its_result(value: Any) -> None:
    assert settle("t", ended(TaskState.FINISHED, value)) == value


def test_a_finished_task_without_a_result_returns_none() -> None:
    assert settle("t", ended(TaskState.FINISHED, b"")) is None


def test_a_failed_task_raises_everything_stored_about_its_error() -> None:
    stored = {"type": "KeyError", "error": "'k'", "traceback": "Traceback …", "reason": "retries", "worker": "w"}
    with pytest.raises(TaskFailed, match=r"task t failed: KeyError: 'k' \(retries\)") as caught:
        settle("t", ended(TaskState.FAILED, stored))
    error = caught.value
    assert (error.task_id, error.error) == ("t", ErrorInfo("KeyError", "'k'", "Traceback …"))
    assert error.reason is DeadReason.RETRIES


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("deliveries", DeadReason.LOST_WORKERS),
        ("input", DeadReason.INPUT),
        ("of a newer release", DeadReason.UNKNOWN),
        (None, DeadReason.UNKNOWN),
    ],
)
def test_a_failed_task_says_why_it_gets_no_further_attempt(stored: Any, reason: DeadReason) -> None:
    with pytest.raises(TaskFailed) as caught:
        settle("t", ended(TaskState.FAILED, {"type": "E", "error": "no", "reason": stored}))
    assert caught.value.reason is reason


@pytest.mark.parametrize("stored", [b"", {}, {"error": None}, {"type": 5}])
def test_a_failed_task_with_an_incomplete_error_still_raises_task_failed(stored: Any) -> None:
    with pytest.raises(TaskFailed):
        settle("t", ended(TaskState.FAILED, stored))


@pytest.mark.parametrize(
    ("stored", "cause", "reason"),
    [
        ("not needed", CancelCause.REQUESTED, "not needed"),
        ({"type": "ValueError", "error": "no", "reason": "its child was ended"}, CancelCause.REQUESTED, "no"),
        (
            {"type": "Cancel", "error": "no such picture", "reason": "the task canceled itself"},
            CancelCause.TASK,
            "no such picture",
        ),
        (
            {"type": "Cancel", "error": "", "reason": "the task canceled itself"},
            CancelCause.TASK,
            "the task canceled itself",
        ),
        (
            "task p, on which it depends, did not finish",
            CancelCause.DEPENDENCY,
            "task p, on which it depends, did not finish",
        ),
        (b"", CancelCause.UNKNOWN, ""),
        (["odd"], CancelCause.UNKNOWN, "['odd']"),
    ],
)
def test_a_canceled_task_raises_the_cause_and_the_reason(stored: Any, cause: CancelCause, reason: str) -> None:
    with pytest.raises(TaskCanceled) as caught:
        settle("t", ended(TaskState.CANCELED, stored))
    assert (caught.value.cause, caught.value.reason) == (cause, reason)


@pytest.mark.parametrize("state", [s for s in TaskState if s.ended])
def test_an_outcome_that_is_not_json_is_reported_with_task_and_bytes(state: TaskState) -> None:
    with pytest.raises(ProtocolError, match=rf"task t is {state}, but its outcome is not JSON .*b'\{{'"):
        settle("t", ended(state, b"{"))


@pytest.mark.parametrize("state", [s for s in TaskState if not s.ended])
def test_a_task_that_has_not_ended_has_no_outcome(state: TaskState) -> None:
    with pytest.raises(ProtocolError, match="has not ended"):
        settle("t", Outcome(state, b""))
