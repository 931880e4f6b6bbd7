"""The asynchronous classes have the names, signatures and docstrings of the synchronous ones."""

import inspect
import re
from typing import Any

import pytest

from fairque import client
from fairque.client import (
    AsyncDeadLetters,
    AsyncPipelineHandle,
    AsyncSchedules,
    AsyncTaskHandle,
    AsyncTaskQueue,
    AsyncUsers,
    DeadLetters,
    PipelineHandle,
    Schedules,
    TaskHandle,
    TaskQueue,
    Users,
    aio,
)

TWINS = [
    (TaskQueue, AsyncTaskQueue),
    (TaskHandle, AsyncTaskHandle),
    (Users, AsyncUsers),
    (DeadLetters, AsyncDeadLetters),
    (Schedules, AsyncSchedules),
    (PipelineHandle, AsyncPipelineHandle),
]
#: They do no I/O.
PLAIN = {"from_url", "from_config", "TaskQueue.get", "PipelineHandle.task", "watch_progress"}


def public(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def plain(text: object) -> str:
    return re.sub(
        r"\b(aio|aio_handle|aio_many|aio_pipelines|handle|many|pipelines)\.", "queue.", str(text).replace("Async", "")
    )


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_twins_have_the_same_methods(one: type, other: type) -> None:
    assert public(one).keys() == public(other).keys()


@pytest.mark.parametrize(("one", "other", "name"), [(one, other, n) for one, other in TWINS for n in public(one)])
def test_twins_agree_on_signature_and_docstring(one: type, other: type, name: str) -> None:
    first, second = getattr(one, name), getattr(other, name)
    assert plain(inspect.signature(first)) == plain(inspect.signature(second))
    assert plain(inspect.getdoc(first)) == plain(inspect.getdoc(second))
    assert inspect.iscoroutinefunction(second) is not bool({name, f"{one.__name__}.{name}"} & PLAIN)


@pytest.mark.parametrize("name", ["as_completed", "gather"])
def test_functions_of_the_same_name_agree_on_signature_and_docstring(name: str) -> None:
    first, second = getattr(client, name), getattr(aio, name)
    assert plain(inspect.signature(first)) == plain(inspect.signature(second))
    assert inspect.getdoc(first) == inspect.getdoc(second)


def test_every_public_method_says_what_it_does() -> None:
    for kind in (kind for twins in TWINS for kind in twins):
        assert all(inspect.getdoc(getattr(kind, name)) for name in public(kind))
