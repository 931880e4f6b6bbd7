"""The installed command: an error is one clear line and an exit code, and nothing is written."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from fairque.client import Task, TaskState
from fairque.protocol.embedded import EmbeddedServer
from fairque.protocol.service import codes
from fairque.testing.internal import PATIENCE, eventually

TASKS = """
@task
def hello(name):
    return f"Hello {name}"
"""


@pytest.fixture
def server(fairque_server_url: str) -> Iterator[Any]:
    """A client to inspect the server."""
    with redis.Redis.from_url(fairque_server_url, decode_responses=True) as client:
        yield client


@pytest.mark.parametrize(
    ("args", "environ", "expected", "words"),
    [
        ([], {}, 2, "name at least one MODULE"),
        (["nobody"], {}, 6, "module 'nobody' cannot be imported"),
        (["tasks:hello"], {}, 6, "is not a TaskHandler but TaskFunction"),
        (["tasks"], {"FAIRQUE_REDIS_URL": "redis://localhost:1/0"}, 3, "redis://localhost:1/0 does not answer"),
        (["tasks"], {"FAIRQUE_WORKER_CONCURENCY": "2"}, 78, "FAIRQUE_WORKER_CONCURENCY"),
        (["tasks", "--config", "wrong.yaml"], {}, 78, "wrong.yaml:2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_reported_clearly_and_nothing_is_written(
    project: Any, server: Any, *, args: list[str], environ: dict[str, str], expected: int, words: str
) -> None:
    project.write(TASKS)
    (project.folder / "wrong.yaml").write_text("worker:\n  concurrency: many\n")
    code, output, errors = project.run(*(args or ["--burst"]), environ={"FAIRQUE_REDIS_RETRIES": "0", **environ})
    assert (code, output) == (expected, "")
    assert words in errors
    assert "Traceback" not in errors
    lines = errors.splitlines()
    assert len(lines) == 1 or lines[0].startswith("Usage:"), errors
    name = project.environ["FAIRQUE_QUEUE_NAME"]
    assert server.keys(f"fairque:{{{name}}}:*") == []


def test_a_queue_of_another_version_is_refused_and_left_unchanged(project: Any, server: Any) -> None:
    project.write(TASKS)
    meta = f"fairque:{{{project.environ['FAIRQUE_QUEUE_NAME']}}}:meta"
    server.hset(meta, "schema", "99")
    code, _, errors = project.run("tasks", "--burst")
    assert code == 4
    assert "has schema 99, this fairque-protocol supports 1: upgrade fairque-protocol here" in errors
    assert errors.count("\n") == 1
    assert server.hgetall(meta) == {"schema": "99"}


def test_a_server_that_may_evict_tasks_is_refused_and_left_unchanged(project: Any) -> None:
    project.write(TASKS)
    with EmbeddedServer() as own, redis.Redis.from_url(own.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        code, _, errors = project.run("tasks", "--burst", environ={"FAIRQUE_REDIS_URL": own.url})
        assert client.dbsize() == 0
    assert code == 3
    assert "CONFIG SET maxmemory-policy noeviction" in errors
    assert errors.count("\n") == 1


def test_options_name_another_server_and_queue_than_the_environment(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handle = queue.push(Task(func="tasks:hello", args=["you"]))
    url, name = project.environ["FAIRQUE_REDIS_URL"], project.environ["FAIRQUE_QUEUE_NAME"]
    elsewhere = {"FAIRQUE_REDIS_URL": "redis://localhost:1/0", "FAIRQUE_QUEUE_NAME": "elsewhere"}
    code, _, errors = project.run("tasks", "--url", url, "--queue", name, "--burst", environ=elsewhere)
    assert code == 0, errors
    assert handle.result(0) == "Hello you"


def test_a_configuration_file_is_enough(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handle = queue.push(Task(func="tasks:hello", args=["you"]))
    (project.folder / "fairque.yaml").write_text(
        "redis:\n  url: ${SERVER}\n"
        f"queue:\n  name: {project.environ.pop('FAIRQUE_QUEUE_NAME')}\n"
        "worker:\n  modules: [tasks]\n  concurrency: 1\n"
    )
    server = {"SERVER": project.environ.pop("FAIRQUE_REDIS_URL")}
    code, _, errors = project.run("--config", "fairque.yaml", "--burst", environ=server)
    assert code == 0, errors
    assert handle.result(0) == "Hello you"


def test_the_installed_script_is_the_same_command() -> None:
    script = shutil.which("fairque-worker", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("fairque-worker is not installed here, only importable")
    run = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.startswith("fairque-worker, version ")


HANGS = """
@task(timeout=0.2, retries=0)
def hangs():
    note()
    while True:
        time.sleep(0.01)
"""


def test_a_worker_exits_with_7_to_be_restarted_after_too_many_tasks_that_cannot_be_stopped(
    project: Any, queue: Any
) -> None:
    project.write(HANGS)
    worker = project.start("tasks", environ={"FAIRQUE_WORKER_MAX_ABANDONED": "1"})
    handles = [queue.push(Task(func="tasks:hangs", timeout=0.2, retries=0)) for _ in range(2)]
    assert worker.ends() == 7
    assert {handle.state() for handle in handles} == {TaskState.FAILED}
    assert "continued after their timeouts: restart the worker" in worker.stderr
    assert "Traceback" not in worker.stderr.splitlines()[-1]


@pytest.mark.thorough
def test_a_supervisor_restarts_a_worker_that_could_not_stop_its_tasks(project: Any, queue: Any) -> None:
    project.write(HANGS + TASKS)
    environ = {"FAIRQUE_WORKER_MAX_ABANDONED": "0"}
    supervisor = project.begin("--processes", "2", "tasks", environ=environ)
    failed = queue.push(Task(func="tasks:hangs", timeout=0.2, retries=0))
    project.noted(failed.task_id)
    eventually(lambda: "a worker process ended" in supervisor.stderr, what="the end of a worker")
    assert "exit_code=7" in supervisor.stderr or '"exit_code": 7' in supervisor.stderr
    assert queue.push(Task(func="tasks:hello", args=["you"])).result(PATIENCE) == "Hello you"


def test_a_worker_that_breaks_ends_with_1(project: Any, queue: Any) -> None:
    project.write(
        TASKS
        + """
import fairque.worker.taking.reporter

def broken(*args):
    raise RuntimeError("a defect")

fairque.worker.taking.reporter.Reporter.exchange = broken
"""
    )
    queue.push(Task(func="tasks:hello", args=["you"]))
    code, _, errors = project.run("tasks")
    assert code == 1
    assert "the worker crashed: RuntimeError('a defect')" in errors


def test_the_help_lists_every_exit_code(project: Any) -> None:
    code, output, _ = project.run("--help")
    text = " ".join(output.split())
    assert code == 0
    found = {code for name, code in codes.__dict__.items() if name.isupper() and isinstance(code, int)}
    assert len(found) == 10
    for code in found:
        assert f" {code} " in text.partition("Exit codes:")[2]


HANDLER = """
from fairque.worker import TaskHandler

class Echo(TaskHandler):
    def handle(self, task, ctx):
        return [task.payload, os.getpid()]
"""


def test_a_handler_named_on_the_command_line_runs_in_children_too(project: Any, queue: Any) -> None:
    project.write(HANDLER)
    handle = queue.push(Task(payload={"a": 1}))
    worker = project.start("tasks:Echo", environ={"FAIRQUE_WORKER_ISOLATION": "process"})
    payload, pid = handle.result(PATIENCE)
    assert payload == {"a": 1}
    assert pid != worker.pid


def test_an_unknown_isolation_is_a_configuration_error(project: Any) -> None:
    project.write(TASKS)
    code, _, errors = project.run("tasks", environ={"FAIRQUE_WORKER_ISOLATION": "fork"})
    assert code == 78
    assert "thread" in errors
