"""The sentences about waiting users and tasks."""

from typing import Any

import pytest

from fairque.protocol.model.limits import Limits
from fairque.protocol.model.standing import TaskStanding, UserStanding
from fairque.protocol.model.states import TaskState


def user(**fields: Any) -> UserStanding:
    given = dict.fromkeys(["cap", "rate", "backlog", "oldest_seconds", "users_ahead", "next_start_at", "last_pop_at"])
    numbers = dict.fromkeys(["waiting", "waiting_critical", "scheduled", "running", "since", "queue_running"], 0)
    standing = {"weight": 1.0, "burst": 1, "paused": False, "own_limits": Limits(), "served": 0.0, "ahead": 0.0}
    return UserStanding(**{"user_id": "ann", "at_ms": 0, "lane": "", **standing, **given, **numbers, **fields})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"running": 1}, "user 'ann' has 1 task running and none waiting"),
        ({"running": 1_200}, "user 'ann' has 1,200 tasks running and none waiting"),
        ({"scheduled": 1}, "user 'ann' has 1 task waiting for a time or for other tasks"),
        ({"waiting": 1, "running": 1, "cap": 1}, "user 'ann' runs 1 task, as many as its cap of 1 allows"),
        ({"waiting": 1, "last_pop_at": 0, "users_ahead": 0}, "user 'ann' is the next one to be served"),
        ({"waiting": 1, "last_pop_at": 0, "users_ahead": 1}, "user 'ann' waits for its turn behind 1 other user"),
        ({"waiting": 1, "last_pop_at": 0, "users_ahead": 9}, "user 'ann' waits for its turn behind 9 other users"),
    ],
    ids=["running", "many running", "scheduled", "cap", "next", "behind one", "behind some"],
)
def test_singular_and_plural_are_used(fields: dict[str, Any], text: str) -> None:
    assert user(**fields).explain() == text


@pytest.mark.parametrize(
    ("due_at", "text"),
    [(-5, "0 s"), (20, "0.02 s"), (1_500, "1.5 s"), (86_400_000, "86,400 s"), (10**12, "1,000,000,000 s")],
    ids=["past", "soon", "in a moment", "in a day", "in thirty years"],
)
def test_a_wait_of_any_length_is_a_plain_number(due_at: int, text: str) -> None:
    fields: dict[str, Any] = {"place": None, "due_at": due_at, "lease_ends_at": None, "user": user()}
    assert TaskStanding(task_id="t1", state=TaskState.SCHEDULED, **fields).explain() == f"task t1 is due in {text}"
