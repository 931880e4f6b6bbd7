"""Pipelines end to end: tasks that depend on others, pushed in one call and run by a worker process."""

from typing import Any

import pytest

from fairque.client import After, Task, TaskCanceled, TaskFailed, TaskState
from fairque.testing.internal import PATIENCE

TASKS = """
@task
def step(name):
    note(name)
    return name

@task(retries=0)
def broken():
    raise ValueError("no luck")
"""


def step(name: str, **fields: Any) -> Task[Any]:
    return Task(func="tasks:step", args=[name], **fields)


def test_a_pipeline_runs_in_its_order_whatever_the_order_of_its_push(project: Any, queue: Any) -> None:
    project.write(TASKS)
    extract = step("extract")
    cleaned = [step("clean", depends_on=extract), step("validate", depends_on=extract)]
    load = step("load", depends_on=cleaned)
    handles = queue.push_many([load, *cleaned, extract])
    assert [handle.state() for handle in handles] == [TaskState.DEFERRED] * 3 + [TaskState.QUEUED]
    project.start("tasks", "--concurrency", "4")
    assert handles[0].result(PATIENCE) == "load"
    names = [line[3] for line in project.ledger()]
    assert (names[0], sorted(names[1:3]), names[3:]) == ("extract", ["clean", "validate"], ["load"])


def test_a_failure_ends_its_dependents_except_those_that_run_anyway(project: Any, queue: Any) -> None:
    project.write(TASKS)
    broken = Task(func="tasks:broken")
    handles = queue.push_many(
        [
            broken,
            step("never", depends_on=broken),
            step("cleaning up", depends_on=After(broken.task_id, on_failure="run")),
        ]
    )
    project.start("tasks")
    with pytest.raises(TaskFailed):
        handles[0].result(PATIENCE)
    with pytest.raises(TaskCanceled, match=f"task {broken.task_id}, on which it depends, did not finish"):
        handles[1].result(PATIENCE)
    assert handles[2].result(PATIENCE) == "cleaning up"
