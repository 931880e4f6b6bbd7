"""The wording check finds rejected phrases, and accepts plain English."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "wording.py"


@pytest.fixture(scope="module")
def wording() -> Any:
    spec = importlib.util.spec_from_file_location("wording", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "the worker " + "goes on",
        "`verify --fix` " + "mends it",
        "None waits " + "for ever",
        "it is read " + "anew",
        "this is " + "no task",
        "a run " + "brings its task",
        "        schedule: " + "It.",
        "        settings: " + "The same.",
        "a schedule that " + "is no more",
        "refused " + "for want of a right",
        "a push " + "of which nobody knows",
        "it " + "looks whether the server answers",
        "retried with " + "growing pauses",
        "it runs " + "all the same",
        "a reader that " + "holds others up",
        "the task was " + "cancelled",
        "def is_" + "cancelled_task",
        "a " + "cancellation",
        "a schedule that fires no task " + "any more.",
        "the worker " + "sees to it that it ends",
        "an output that " + "cannot be had",
        "a listener that " + "is told of an ending",
        "under which name, " + "nobody can say",
        "text " + "for people",
        "a task that " + "failed for good",
        "it waits " + "in vain",
        "the " + "very same task",
        "with " + "all that is wrong",
        "others are " + "left alone",
        "InvalidTask: It " + "cannot be the id of a task",
        "it ends " + "as ever",
        "it ended some " + "while ago",
    ],
)
def test_a_rejected_phrase_is_found_with_its_line(wording: Any, line: str) -> None:
    assert [number for number, *_ in wording.turns(f"A line.\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "it continues from now on",
        "there is no server",
        "a task that is no longer waiting",
        "None means no limit",
        "one task at a time, and any more tasks wait",
        "a person told us; the record counts the told dependents",
        "user.anew = True",
        "we recommend and amend",
        "a canceled coroutine raises CancelledError, and its cancelation shows in task.cancelled()",
    ],
)
def test_plain_english_is_accepted(wording: Any, line: str) -> None:
    assert list(wording.turns(line)) == []
