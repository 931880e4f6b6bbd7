"""End to end: a producer pushes, a worker process runs, the producer reads the result."""

import os
import subprocess
import sys
from typing import Any

import pytest

from fairque.client import Task, TaskCanceled, TaskFailed, TaskState
from fairque.testing.internal import PATIENCE, eventually

TASKS = """
@task
def add(a, b):
    return a + b

@task(name="later")
async def add_later(a, b):
    await asyncio.sleep(0.01)
    return {"sum": a + b, "who": current_context().user_id}

@task(retries=1, backoff=Backoff(base=0.01))
def broken():
    note()
    raise ValueError("no luck")

@task
def stoppable():
    note()
    if current_context().wait_stop(20):
        raise RuntimeError("stopped")

def plain(a):
    return -a
"""


def call(func: str, *args: Any, **fields: Any) -> Task[Any]:
    return Task(func=func, args=args, **fields)


def test_a_worker_process_runs_functions_coroutines_and_plain_functions_of_its_module(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handles = queue.push_many([call("tasks:add", 1, 2), call("later", 3, 4, user_id="bob"), call("tasks:plain", 5)])
    project.start("tasks", "--concurrency", "2")
    assert [handle.result(PATIENCE) for handle in handles] == [3, {"sum": 7, "who": "bob"}, -5]
    assert {handle.state() for handle in handles} == {TaskState.FINISHED}


def test_the_producer_learns_why_a_task_failed_and_that_one_was_canceled(project: Any, queue: Any) -> None:
    project.write(TASKS)
    project.start(environ={"FAIRQUE_WORKER_HEARTBEAT": "0.1"})
    failing = queue.push(call("tasks:broken", retries=1))
    running = queue.push(call("tasks:stoppable"))
    with pytest.raises(TaskFailed, match="ValueError: no luck") as caught:
        failing.result(PATIENCE)
    assert caught.value.reason == "retries"
    assert 'raise ValueError("no luck")' in caught.value.error.traceback
    project.noted(running.task_id)
    assert running.cancel() == "requested"
    with pytest.raises(TaskCanceled):
        running.result(PATIENCE)


HANDLER = """
from fairque.worker import TaskHandler

class Upper(TaskHandler):
    def __init__(self):
        self.seen = 0

    def handle(self, task, ctx):
        if task.payload is None:
            raise ValueError("nothing to do")
        return task.payload.upper()

    def on_success(self, task, result, ctx):
        note(f"success:{result}")

    def on_failure(self, task, error, ctx, *, final):
        note(f"failure:{final}")
"""


def test_a_custom_handler_runs_payloads_and_is_notified_of_the_endings(project: Any, queue: Any) -> None:
    project.write(HANDLER)
    good = queue.push(Task(payload="text"))
    bad = queue.push(Task(retries=0))
    project.start("tasks:Upper")
    assert good.result(PATIENCE) == "TEXT"
    with pytest.raises(TaskFailed, match="nothing to do"):
        bad.result(PATIENCE)
    eventually(lambda: len(project.ledger()) == 2, what="both hooks")
    assert {(line[0], line[3]) for line in project.ledger()} == {
        (good.task_id, "success:TEXT"),
        (bad.task_id, "failure:True"),
    }


PRODUCER = """
import os
from fairque.client import TaskQueue, task

@task
def double(number):
    return 2 * number

if __name__ == "__main__":
    url, name = os.environ["FAIRQUE_REDIS_URL"], os.environ["FAIRQUE_QUEUE_NAME"]
    with TaskQueue.from_url(url, queue=name, default_user_id="ann") as queue:
        print(queue.push(double.task(21)).result(timeout=60))
"""


def test_tasks_defined_in_the_producers_script_run_on_a_worker(project: Any) -> None:
    project.write(PRODUCER, "shop", prelude="")
    project.start("shop")
    produced = subprocess.run(
        [sys.executable, "shop.py"],
        cwd=project.folder,
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (produced.stdout, produced.returncode) == ("42\n", 0), produced.stderr


def test_a_burst_drains_the_queue_and_ends(project: Any, queue: Any) -> None:
    project.write(TASKS)
    handles = queue.push_many([call("tasks:add", number, 1) for number in range(100)])
    later = queue.push(call("tasks:add", 0, 0, delay=1_000))
    code, _, errors = project.run("tasks", "--burst")
    assert code == 0, errors
    assert [handle.result(0) for handle in handles] == list(range(1, 101))
    assert later.state() is TaskState.SCHEDULED


PRINTS = """
import atexit

@task
def prints():
    print("printed by the task")

atexit.register(print, "said at the end")
"""


def test_output_and_exit_functions_of_a_task_are_not_lost(project: Any, queue: Any) -> None:
    project.write(PRINTS)
    queue.push(call("tasks:prints"))
    code, output, _ = project.run("tasks", "--burst")
    assert (code, output) == (0, "printed by the task\nsaid at the end\n")
