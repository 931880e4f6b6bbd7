"""Names end to end: a worker finds and runs the tasks of a module, in whatever way the pushing module is run."""

import os
import subprocess
import sys
from typing import Any

import pytest

from fairque.client import Task
from fairque.testing.internal import only_thorough

SHOP = """
import multiprocessing, os, sys
from fairque.client import TaskContext, TaskQueue, task

@task(retries=0)
def add(one: int, other: int, ctx: "TaskContext | None" = None) -> list[object]:
    return [one + other, ctx.func if ctx else None]

def push(task_id: str) -> None:
    url, name = os.environ["FAIRQUE_REDIS_URL"], os.environ["FAIRQUE_QUEUE_NAME"]
    with TaskQueue.from_url(url, queue=name, default_user_id="ann") as queue:
        queue.push(add.options(task_id=task_id).task(1, other=2))

if __name__ == "__main__":
    push("own")
    for start in sys.argv[1:]:
        child = multiprocessing.get_context(start).Process(target=push, args=(start,))
        child.start()
        child.join()
"""


@pytest.mark.parametrize(
    ("command", "children"),
    [
        *only_thorough((["shop/tasks.py"], ["spawn", "forkserver"])),
        (["-m", "shop.tasks"], ["spawn", "forkserver"]),
        # In these, multiprocessing cannot find functions of the module.
        (["-m", "cProfile", "-m", "shop.tasks"], []),
        *only_thorough((["-m", "pdb", "-c", "continue", "-c", "quit", "-m", "shop.tasks"], [])),
    ],
    ids=" ".join,
)
def test_a_worker_runs_the_tasks_of_a_module_that_is_run_in_any_way(
    project: Any, queue: Any, command: list[str], children: list[str]
) -> None:
    (project.folder / "shop").mkdir()
    (project.folder / "shop" / "__init__.py").touch()
    project.write(SHOP, "shop/tasks", prelude="")
    subprocess.run(
        [sys.executable, *command, *children],
        cwd=project.folder,
        env={**os.environ, **project.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    project.run("shop.tasks", "--burst")
    for task_id in ("own", *children):
        assert queue.task(task_id).result(timeout=0) == [3, "shop.tasks:add"]


def test_a_name_that_reaches_into_a_module_runs_nothing_and_says_what_to_do(project: Any, queue: Any) -> None:
    project.write(
        "from concurrent import futures\n"
        "def __getattr__(name):\n    (HERE / 'asked').touch()\n    raise AttributeError(name)\n"
        "class Jobs:\n    @property\n    def run(self): (HERE / 'asked').touch()\n"
    )
    names = ["tasks:futures.ProcessPoolExecutor", "tasks:missing", "tasks:Jobs.run", "elsewhere:run"]
    for name in names:
        queue.push(Task(func=name))
    _, _, log = project.run("tasks", "--burst")
    assert not (project.folder / "asked").exists()
    for name in names:
        assert f"no task function {name!r} is registered here" in log.replace("\\'", "'")
    for advice in ("it was renamed or removed", "Start the worker with the module that defines it"):
        assert advice in log
