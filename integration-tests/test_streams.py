"""Workers whose log cannot be written, or gets records that cannot be formatted, run their tasks and end cleanly."""

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest

from fairque.client import Task
from fairque.testing.internal import PATIENCE, only_thorough

TASKS = """
from fairque.client import TaskContext


class Unreadable:
    def __repr__(self):
        raise ValueError


def odd(ctx):
    circle = []
    circle.append(circle)
    ctx.logger.warning("odd %s", Unreadable(), extra={"event": 1, "name": "x", "level": circle, "bytes": b"\\xff"})
    ctx.logger.warning("a\\x1b[31m\\n%s" % "\\udc80", extra={"huge": "x" * 10_000_000, "many": {1: Unreadable()}})
    ctx.logger.warning("%d", "x", extra=[1])
    return "done"


@task
def in_thread(ctx: TaskContext):
    return odd(ctx)


@task
async def on_loop(ctx: TaskContext):
    return odd(ctx)


@task(isolation="process")
def apart(ctx: TaskContext):
    return odd(ctx)
"""


@pytest.mark.parametrize(
    "redirections",
    ["2>&-", "<&- >&- 2>&-", "2>/dev/full", *only_thorough("2>log", ">&- 2>&-", ">/dev/full 2>/dev/full")],
)
@pytest.mark.parametrize("form", ["text", *only_thorough("json")])
def test_a_worker_continues_whatever_and_wherever_its_tasks_log(
    project: Any, queue: Any, redirections: str, form: str
) -> None:
    project.write(TASKS)
    isolations: dict[str, Any] = {"in_thread": None, "on_loop": None, "apart": "process"}
    handles = [queue.push(Task(func=f"tasks:{name}", isolation=kind)) for name, kind in isolations.items()]
    shell = ["/bin/sh", "-c", f'exec "$0" "$@" {redirections}', sys.executable]
    ended = subprocess.run(
        [*shell, "-m", "fairque.worker", "tasks", "--burst", "--log-format", form],
        cwd=project.folder,
        env={**os.environ, **project.environ},
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert [handle.result(timeout=0) for handle in handles] == ["done"] * 3
    if redirections == "2>log":
        said = (project.folder / "log").read_text()
        assert "\x1b" not in said
        assert said.count("its arguments cannot be filled in") == 6
        assert len(said) < 1_000_000


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_task_that_closes_a_standard_stream_does_not_keep_others_from_their_child_processes(
    project: Any, queue: Any, number: int
) -> None:
    project.write(
        "@task\ndef closes(number):\n    os.close(number)\n\n@task(isolation='process')\ndef apart():\n    return 1\n"
    )
    closing = Task(func="tasks:closes", args=[number])
    after = Task(func="tasks:apart", isolation="process", depends_on=[closing], retries=0)
    queue.push(closing >> after)
    code, _, said = project.run("tasks", "--burst")
    assert code == 0, said
    assert queue.task(after.task_id).result(timeout=0) == 1


PROGRAM = """
import os, sys
from fairque.client import Task, TaskQueue
from fairque.worker import Worker

queue = TaskQueue.from_url(os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"])
handle = queue.push(Task(func="tasks:apart", user_id="ann", isolation="process"))
worker = Worker.from_url(
    os.environ["FAIRQUE_REDIS_URL"], queue=os.environ["FAIRQUE_QUEUE_NAME"], modules=["tasks"]
)
worker.start()
with open("result", "w") as file:
    file.write(handle.result(timeout=200))
worker.stop()
"""


@pytest.mark.parametrize("environ", [{}, {"FAIRQUE_REDIS_URL": "embedded://"}], ids=["given", "embedded"])
def test_a_program_without_standard_streams_runs_tasks_in_child_processes(
    project: Any, environ: dict[str, str]
) -> None:
    project.write("@task\ndef apart():\n    return 'done'\n")
    (project.folder / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.quote(sys.executable)} program.py <&- >&- 2>&-"],
        cwd=project.folder,
        env={**os.environ, **project.environ, **environ},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert (project.folder / "result").read_text() == "done"
