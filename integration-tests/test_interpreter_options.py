"""Options of the interpreter of a worker, such as -O, are also those of the processes that it starts."""

from typing import Any

import pytest

from fairque.client import Task
from fairque.testing.internal import PATIENCE, only_thorough

TASKS = """
@task
def options():
    return [
        sys.flags.optimize, sys.flags.dev_mode, sys.flags.utf8_mode, sys.flags.no_user_site, sys.stdout.write_through,
        sys._xoptions.get("int_max_str_digits"), "error::UserWarning" in sys.warnoptions, sys.flags.safe_path,
    ]
"""

OPTIONS = ["-O", "-u", "-X", "dev", "-X", "utf8=0", "-X", "int_max_str_digits=999", "-W", "error::UserWarning"]
ISOLATED = [*OPTIONS, "-I"]


@pytest.mark.parametrize(
    ("processes", "isolation", "python"),
    [*only_thorough(("1", "process", OPTIONS), ("2", "thread", OPTIONS)), ("2", "process", ISOLATED)],
)
def test_a_task_finds_the_options_of_the_interpreter_wherever_it_runs(
    project: Any, queue: Any, processes: str, isolation: Any, python: list[str]
) -> None:
    project.write(TASKS)
    handle = queue.push(Task(func="tasks:options", isolation=isolation))
    worker = project.begin("--burst", "--processes", processes, "tasks", python=python)
    assert worker.ends() == 0, worker.stderr
    isolated = python is ISOLATED
    # A child process never looks for modules beside a script.
    safe = isolated or isolation == "process"
    assert handle.result(PATIENCE) == [1, True, 0, int(isolated), True, "999", True, safe]
