"""Programs that patch the standard library: clients work in them, and workers and schedulers refuse to start."""

import importlib.util
import os
import subprocess
import sys
from typing import Any

import pytest

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
TASKS = """
@task
def double(number):
    return 2 * number
"""
CLIENT = """
import os, threading
from fairque.client import Task, TaskQueue

url, name = os.environ["FAIRQUE_REDIS_URL"], os.environ["FAIRQUE_QUEUE_NAME"]
with TaskQueue.from_url(url, queue=name, default_user_id="ann") as queue:
    handles = [queue.push(Task(func="tasks:double", args=[number])) for number in range(10)]
    results = []
    waiting = [threading.Thread(target=lambda one=one: results.append(one.result(timeout=60))) for one in handles]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join()
print(sorted(results))
"""
SERVICES = {
    "worker": "from fairque.worker import Worker; Worker.from_url(url, queue=name, burst=True).run()",
    "scheduler": "from fairque.scheduler import TaskScheduler; TaskScheduler.from_url(url, queue=name).run()",
}


@pytest.fixture(params=PATCHES)
def patch(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    # Both warn about code that they use themselves.
    return f"import warnings; warnings.simplefilter('ignore')\n{PATCHES[request.param]}"


def run(project: Any, code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_a_client_pushes_and_waits_in_a_patched_program(project: Any, patch: str, *, early: bool) -> None:
    """Whether the patch is applied before the import of the client, or after it."""
    project.write(TASKS)
    project.start()
    ended = run(project, f"{patch}\n{CLIENT}" if early else f"import fairque.client\n{patch}\n{CLIENT}")
    assert ended.stdout == f"{[2 * number for number in range(10)]}\n", ended.stderr


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_refuses_a_patched_program_and_says_what_to_do(
    project: Any, patch: str, service: str, *, early: bool
) -> None:
    address = 'import os; url, name = os.environ["FAIRQUE_REDIS_URL"], os.environ["FAIRQUE_QUEUE_NAME"]'
    code = f"{address}\n{SERVICES[service]}"
    ended = run(project, f"{patch}\n{code}" if early else f"import fairque.{service}\n{patch}\n{code}")
    assert ended.returncode == 1
    assert f"and a {service} needs real ones" in ended.stderr
    assert "ConfigurationError" in ended.stderr


def test_a_module_that_patches_is_refused_by_the_command(project: Any, patch: str) -> None:
    project.write(TASKS, prelude=f"{patch}\nfrom fairque.client import task\n")
    code, _, errors = project.run("tasks", "--burst")
    assert code == 78, errors
    assert "and a worker needs real ones" in errors
    assert errors.count("\n") == 1
