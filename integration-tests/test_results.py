"""Results end to end: progress, logs and contexts of real workers, many handles, and redriven dead letters."""

import json
from typing import Any

import pytest

from fairque.client import BulkReport, Task, TaskFailed
from fairque.client.progress import show_progress
from fairque.testing.internal import PATIENCE, eventually

TASKS = """
from fairque.client import TaskContext

@task(retries=0)
def load(ctx: TaskContext, rows: int) -> str:
    for done in range(rows + 1):
        ctx.progress(done, rows, f"row {done}")
    ctx.logger.info("loaded %d rows", rows, extra={"table": "orders"})
    if (HERE / "broken").exists():
        raise ValueError("broken")
    return ctx.task_id

@task
async def wait(name: str, *, ctx: TaskContext | None = None) -> int:
    ctx.progress(1, 2, name)
    while not (HERE / name).exists():
        await asyncio.sleep(0.005)
    return ctx.attempt
"""


def load(rows: int) -> Task[str]:
    return Task(func="tasks:load", args=[rows], retries=0)


def test_a_task_reports_its_progress_and_logs_under_its_own_name(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handle = queue.push(load(50))
    _, _, log = project.run("tasks", "--burst", "--log-format", "json")
    assert handle.result(0) == handle.task_id
    told = handle.progress()
    assert (told.done, told.total, told.message) == (50, 50, "row 50")
    (line,) = [json.loads(line) for line in log.splitlines() if "loaded" in line]
    assert (line["event"], line["task_id"], line["attempt"]) == ("loaded 50 rows", handle.task_id, 1)
    assert (line["user_id"], line["table"]) == ("ann", "orders")


def test_a_watcher_sees_the_progress_of_a_coroutine_while_it_runs(project: Any, queue: Any) -> None:
    project.write(TASKS)
    project.start("tasks")
    handle = queue.push(Task(func="tasks:wait", args=["go"]))
    seen = []
    for told in handle.watch_progress(timeout=PATIENCE):
        seen.append(told)
        project.touch("go")
    assert [one.message for one in seen] == ["go"]
    assert handle.result(timeout=PATIENCE) == 1


def test_many_results_arrive_as_tasks_end(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handles = queue.push_many([load(2) for _ in range(200)])
    project.start("tasks")
    ended = queue.as_completed(handles, timeout=PATIENCE)
    assert {handle.result(timeout=0) for handle in ended} == {handle.task_id for handle in handles}
    assert queue.gather(*handles) == [handle.task_id for handle in handles]
    show_progress(*handles)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_dead_letters_run_again_once_their_cause_is_fixed(project: Any, queue: Any, isolation: str) -> None:
    project.write(TASKS)
    project.touch("broken")
    project.start("tasks", environ={"FAIRQUE_WORKER_ISOLATION": isolation})
    handles = queue.push_many([load(1) for _ in range(3)])
    with pytest.raises(TaskFailed, match="ValueError: broken"):
        handles[0].result(timeout=PATIENCE)
    eventually(lambda: len(queue.dead_letters.list()) == 3)
    (letter, *_) = queue.dead_letters.list()
    assert (letter.func, letter.user_id, letter.reason, letter.error.message) == (
        "tasks:load",
        "ann",
        "retries",
        "broken",
    )
    (project.folder / "broken").unlink()
    assert queue.task(letter.task_id).retry().task_ids == (letter.task_id,)
    assert queue.dead_letters.retry_all(func="tasks:load") == BulkReport(matched=2, changed=2, refused=0, scanned=2)
    assert queue.gather(*handles, timeout=30) == [handle.task_id for handle in handles]
    assert len(queue.dead_letters.list()) == 0
