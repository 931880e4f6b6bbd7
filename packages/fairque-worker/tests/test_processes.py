"""Child processes: what a task does to its process is its own affair, and the worker and the other tasks go on."""

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol import calls, clock
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.states import TaskState
from fairque.protocol.testing import amend_record, eventually
from fairque.worker import RetryPolicy, Task, TaskContext, TaskHandler, Worker

SECONDS = 10
SOON = RetryPolicy(base_seconds=0.01)

TASKS = """
import asyncio, ctypes, os, signal, subprocess, sys, threading, time
from pathlib import Path
from fairque.worker import Cancel, Retry, Snooze, TaskHandler, current_context

HERE = Path(__file__).parent


def pid():
    return os.getpid()

def parent():
    return os.getppid()

def add(a, b):
    return a + b

async def add_later(a, b):
    await asyncio.sleep(0)
    return a + b

def facts():
    context = current_context()
    return [
        context.task_id, context.user_id, context.attempt, context.fence, context.lease_ok(), context.cancelled,
        0 < context.seconds_left <= 60, context.task.args, threading.current_thread() is threading.main_thread(),
    ]

def leave(key, value):
    current_context().xcom.push(key, value)
    return [value]

def fetch(key):
    return current_context().xcom.pull(key)

def tells():
    current_context().progress(3, 10, "reading")

def chats():
    for part in range(20_000):
        current_context().progress(part, message="\\ud800" * part)

async def facts_later():
    await asyncio.sleep(0)
    return current_context().task_id

def fails(kind):
    if kind == "retry": raise Retry("not yet", after=0.01)
    if kind == "snooze" and current_context().attempt < 3: raise Snooze(0.01)
    if kind == "cancel": raise Cancel("no use")
    if kind == "exit": sys.exit(3)
    if kind == "interrupt": raise KeyboardInterrupt
    if kind == "generator": raise GeneratorExit
    if kind == "cancelled": raise asyncio.CancelledError
    if kind == "json": return object()
    if kind == "error": raise ValueError("no luck")
    return current_context().attempt

def dies(how):
    if how == "exit": os._exit(7)
    if how == "segfault": ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)

def dies_once():
    if current_context().attempt == 1:
        os._exit(0)
    return "second"

def note(name):
    (HERE / name).write_text(str(os.getpid()))

def hangs(name):
    note(name)
    while True:
        time.sleep(60)

def hangs_with_a_child(name):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (HERE / "grandchild").write_text(str(child.pid))
    hangs(name)

def heeds(name):
    note(name)
    current_context().wait_cancelled(30)
    return [current_context().cancel_reason, current_context().lease_ok()]

async def heeds_later(name):
    note(name)
    try:
        await asyncio.sleep(30)
    finally:
        note("cleaned")

def environment():
    return [os.environ.get("PYTHONPATH"), sys.path]

def terminates():
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    child.terminate()
    return child.wait(10)

class Echo(TaskHandler):
    def handle(self, task, ctx):
        return [os.getpid(), task.payload, ctx.attempt]

class Loud(TaskHandler):
    def __init__(self):
        self.heard = []

    def handle(self, task, ctx):
        raise ValueError("no luck")

    def on_failure(self, task, error, ctx, *, final):
        note("hook")
        (HERE / "error").write_text(f"{type(error).__name__} {error.kind}: {error} {final}")
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def dead(pid: int) -> bool:
    return not alive(pid)


class Apart:
    """Workers that know the module of the tasks by its name.

    Attributes:
        module: Its name.
    """

    def __init__(self, bench: Any, folder: Path, module: str) -> None:
        self.bench = bench
        self.module = module
        self._folder = folder

    def start(self, handler: str | None = None, *, isolation: str = "process", **options: Any) -> Worker:
        settings = self.bench.settings(modules=(self.module,), isolation=isolation, **options)
        worker = Worker(settings, None if handler is None else f"{self.module}:{handler}")
        self.bench._workers.append(worker)
        worker.start()
        return worker

    def push(self, name: str, *args: Any, **fields: Any) -> str:
        task_id: str = self.bench.push(f"{self.module}:{name}", *args, **fields)
        return task_id

    def result(self, name: str, *args: Any, **fields: Any) -> Any:
        return self.bench.result(self.push(name, *args, **fields))

    def error(self, name: str, *args: Any, **fields: Any) -> Any:
        return self.bench.error(self.push(name, *args, retries=0, **fields))

    def noted(self, name: str) -> int:
        """The process that has left this note."""
        file = self._folder / name
        return int(eventually(lambda: file.exists() and file.read_text(), what=f"the note {name}"))


@pytest.fixture
def apart(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apart]:
    """A module of tasks, and workers that have it; all children have ended with them."""
    module = f"tasks_apart_{os.getpid()}_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield Apart(bench, tmp_path, module)
    bench.close()
    sys.modules.pop(module, None)


def test_a_task_runs_in_a_child_of_the_worker_when_the_worker_says_so(apart: Apart) -> None:
    apart.start()
    assert apart.result("parent") == os.getpid()


def test_a_task_runs_in_a_child_when_it_says_so_itself(apart: Apart) -> None:
    apart.start(isolation="thread")
    assert apart.result("pid") == os.getpid()
    assert apart.result("parent", isolation="process") == os.getpid()


def test_a_task_may_run_in_a_thread_of_a_worker_of_processes(apart: Apart) -> None:
    apart.start()
    assert apart.result("pid", isolation="thread") == os.getpid()


def test_a_child_is_used_again(apart: Apart) -> None:
    apart.start(concurrency=1)
    assert apart.result("pid") == apart.result("pid")


def test_as_many_children_run_tasks_at_a_time_as_there_are_slots(apart: Apart) -> None:
    apart.start(concurrency=2, cancel_grace_seconds=0.05)
    for name in ("one", "two"):
        apart.push("hangs", name)
    assert apart.noted("one") != apart.noted("two")


class TestWhatIsHandedOn:
    def test_the_output_of_another_task_is_an_argument(self, apart: Apart) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", 2)
        two: Any = apart.bench.task(f"{apart.module}:add", one.output[0], 3)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id) == 5

    def test_values_are_left_and_pulled(self, apart: Apart) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", {"a": "ä"})
        two = apart.bench.task(f"{apart.module}:fetch", "rows", depends_on=one)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id) == {"a": "ä"}

    def test_a_value_that_is_missing_ends_the_task(self, apart: Apart) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", 2)
        two = apart.bench.task(f"{apart.module}:fetch", "row", depends_on=one)
        apart.bench.push_all([one, two])
        error = apart.bench.error(two.task_id)
        assert (error["type"], error["reason"], error["attempts"]) == ("OutputMissing", "input", 1)

    def test_the_user_is_that_of_the_parent(self, apart: Apart) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:pid", user="bob")
        two = Task.create(func=f"{apart.module}:facts", depends_on=one, timeout=60)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id)[1] == "bob"

    def test_progress_reaches_the_queue(self, apart: Apart) -> None:
        apart.start()
        task_id = apart.push("tells")
        apart.bench.result(task_id)
        (told,) = apart.bench._runner.run(calls.read_progress(apart.bench.keys, [task_id]))
        assert (told.done, told.total, told.message, told.attempt) == (3, 10, "reading", 1)

    def test_of_much_progress_the_last_word_reaches_the_queue(self, apart: Apart) -> None:
        apart.start()
        task_id = apart.push("chats")
        apart.bench.result(task_id)
        (told,) = apart.bench._runner.run(calls.read_progress(apart.bench.keys, [task_id]))
        assert told.done == 19_999


def test_functions_and_coroutines_leave_their_results(apart: Apart) -> None:
    apart.start()
    assert [apart.result("add", 1, 2), apart.result("add_later", 3, 4), apart.result("note", "x")] == [3, 7, None]


def test_the_context_is_that_of_the_task(apart: Apart) -> None:
    apart.start()
    task_id = apart.push("facts", timeout=60, user="bob")
    found = apart.bench.result(task_id)
    info = apart.bench.info(task_id)
    assert found == [task_id, "bob", 1, found[3], True, False, True, [], True]
    assert abs(found[3] / 1000 - info.started_at) < 1_000
    later = apart.push("facts_later")
    assert apart.bench.result(later) == later


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("error", ("ValueError", "no luck", "retries")),
        ("retry", ("Retry", "not yet", "retries")),
        ("exit", ("SystemExit", "3", "retries")),
        ("interrupt", ("KeyboardInterrupt", "", "retries")),
        ("generator", ("GeneratorExit", "", "retries")),
        ("cancelled", ("CancelledError", "", "retries")),
    ],
)
def test_what_a_task_raises_comes_back_as_text(apart: Apart, kind: str, expected: tuple[str, ...]) -> None:
    apart.start(concurrency=1)
    error = apart.error("fails", kind)
    assert (error["type"], error["error"], error["reason"]) == expected
    assert "Traceback" in error["traceback"]
    assert f"{apart.module}.py" in error["traceback"]
    # The only slot and its child go on.
    assert apart.result("add", 1, 2) == 3


def test_a_result_that_is_no_json_is_a_failed_attempt(apart: Apart) -> None:
    apart.start()
    error = apart.error("fails", "json")
    assert (error["type"], "no JSON value" in error["error"]) == ("InvalidTask", True)


def test_a_task_in_a_child_decides_itself_what_becomes_of_it(apart: Apart) -> None:
    apart.start()
    assert apart.result("fails", "snooze", retries=0) == 3
    reason = apart.bench.reaches(apart.push("fails", "cancel"), TaskState.CANCELED)
    assert (reason["error"], reason["reason"]) == ("no use", "the task canceled itself")
    retried = apart.push("fails", "retry", retries=1)
    apart.bench.error(retried)
    assert apart.bench.info(retried).attempts == 2


def test_an_unknown_function_is_unknown_in_a_child_too(apart: Apart) -> None:
    apart.start()
    task_id = apart.push("ad", 1, 2, retries=0)
    eventually(lambda: apart.bench.state(task_id) is TaskState.SCHEDULED, what="a pause")
    assert apart.bench.info(task_id).failures == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "ended with exit code 7"),
        ("segfault", "was ended by SIGSEGV"),
        ("SIGABRT", "was ended by SIGABRT"),
        ("SIGKILL", "was ended by SIGKILL, as the kernel does when the memory is used up"),
    ],
)
def test_a_task_that_ends_its_process_fails_alone_and_says_how(
    apart: Apart, how: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    apart.start(concurrency=2)
    apart.push("heeds", "neighbour")
    neighbour = apart.noted("neighbour")
    error = apart.error("dies", how)
    assert (error["type"], error["reason"]) == ("ChildDied", "retries")
    assert error["error"] == f"the child process of the task {words}" or words in error["error"]
    assert alive(neighbour)
    assert apart.result("add", 1, 2) == 3
    # Where it was, when it could say so, stands on standard error.
    assert ("ctypes" in capfd.readouterr().err) is (how == "segfault")


def test_a_task_whose_process_died_is_tried_again(apart: Apart) -> None:
    apart.start(concurrency=1)
    task_id = apart.push("dies_once", retries=1, retry=SOON)
    assert apart.bench.result(task_id) == "second"
    assert (apart.bench.info(task_id).failures, apart.bench.stats().expired) == (1, 0)


def test_a_child_that_died_while_it_had_nothing_to_do_is_replaced_and_no_task_fails(apart: Apart) -> None:
    apart.start(concurrency=1)
    first = apart.result("pid")
    os.kill(first, signal.SIGKILL)
    task_id = apart.push("pid", retries=0)
    assert apart.bench.result(task_id) != first
    assert apart.bench.info(task_id).attempts == 1


def test_a_task_above_its_timeout_is_killed_with_all_that_it_started(apart: Apart) -> None:
    apart.start(concurrency=1)
    error = apart.error("hangs_with_a_child", "hung", timeout=1.0)
    assert error["type"] == "TaskTimeout"
    assert error["error"].endswith("the timeout of 1 s: its child process was killed")
    for name in ("hung", "grandchild"):
        eventually(partial(dead, apart.noted(name)), what=f"the end of {name}")
    assert apart.result("add", 1, 2) == 3


def test_the_start_of_a_child_does_not_count_for_the_timeout(apart: Apart) -> None:
    apart.start()
    assert apart.result("add", 1, 2, timeout=0.1, retries=0) == 3


def test_a_canceled_task_in_a_child_is_told(apart: Apart, short: Any) -> None:
    apart.start(**short)
    task_id = apart.push("heeds", "begun")
    apart.noted("begun")
    apart.bench.cancel(task_id)
    assert apart.bench.result(task_id) == ["it was canceled", True]


def test_a_canceled_coroutine_in_a_child_is_cancelled_and_may_clean_up(apart: Apart, short: Any) -> None:
    apart.start(**short)
    task_id = apart.push("heeds_later", "begun", retries=5)
    apart.noted("begun")
    apart.bench.cancel(task_id)
    reason = apart.bench.reaches(task_id, TaskState.CANCELED)
    assert reason["reason"] == "canceled while it ran"
    assert apart.noted("cleaned") == apart.noted("begun")


def test_a_canceled_task_that_does_not_heed_it_is_killed_after_the_grace_and_the_state_says_so(
    apart: Apart, short: Any
) -> None:
    apart.start(cancel_grace_seconds=0.3, concurrency=1, **short)
    task_id = apart.push("hangs", "hung", retries=5)
    pid = apart.noted("hung")
    apart.bench.cancel(task_id)
    reason = apart.bench.reaches(task_id, TaskState.CANCELED)
    assert reason["reason"] == "killed: it was canceled and went on for 0.3 s"
    eventually(lambda: not alive(pid), what="its end")
    assert apart.result("add", 1, 2) == 3


def test_a_task_whose_lease_is_lost_is_killed_and_left_to_others_and_no_failure(apart: Apart, short: Any) -> None:
    worker = apart.start(cancel_grace_seconds=0.3, concurrency=1, **short)
    task_id = apart.push("hangs", "hung", retries=0)
    pid = apart.noted("hung")
    amend_record(apart.bench.client, f"{apart.bench.keys.prefix}t:{task_id}", token="1:")  # noqa: S106 - of a lease
    eventually(lambda: not alive(pid), what="the end of the old attempt")
    eventually(lambda: apart.bench.info(task_id).attempts == 2, what="the next attempt")
    assert apart.bench.info(task_id).failures == 0
    worker.stop(0)


def test_a_worker_that_stops_kills_what_still_runs_and_leaves_no_child(apart: Apart) -> None:
    worker = apart.start(concurrency=2)
    idle = apart.result("pid")
    task_id = apart.push("hangs", "hung")
    pids = [apart.noted("hung"), idle]
    began = clock.monotonic()
    worker.stop(0)
    assert clock.monotonic() - began < SECONDS
    assert worker.all_ended
    assert not [pid for pid in pids if alive(pid)]
    info = apart.bench.info(task_id)
    assert (info.state, info.attempts) == (TaskState.QUEUED, 0)


def test_a_handler_of_ones_own_runs_in_the_child_when_it_has_a_name(apart: Apart) -> None:
    apart.start("Echo")
    pid, payload, attempt = apart.bench.result(apart.bench.push(None, payload={"a": 1}))
    assert (payload, attempt) == ({"a": 1}, 1)
    assert pid != os.getpid()


def test_hooks_run_in_the_worker_and_get_the_error_as_text(apart: Apart, tmp_path: Path) -> None:
    apart.start("Loud")
    apart.bench.error(apart.bench.push(None, retries=0))
    assert apart.noted("hook") == os.getpid()
    text = eventually(lambda: (tmp_path / "error").exists() and (tmp_path / "error").read_text())
    assert text == "RemoteError ValueError: no luck True"


class Nameless(TaskHandler):
    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
        return os.getpid()


def test_a_handler_that_is_an_object_cannot_be_had_by_a_child_and_the_error_says_what_to_do(bench: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"its handler is an object.*Worker\(settings, 'MODULE:ATTR'\)"):
        Worker(bench.settings(isolation="process"), Nameless())


def test_children_without_modules_would_know_no_function(bench: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"child processes import worker\.modules, and there are none"):
        Worker(bench.settings(isolation="process"))


def test_a_task_that_wants_a_process_fails_clearly_where_there_can_be_none(bench: Any) -> None:
    bench.start(Nameless())
    error = bench.error(bench.push(None, isolation="process", retries=0))
    assert error["error"].startswith("this worker has no child processes: its handler is an object")


def test_a_task_whose_last_worker_was_lost_runs_in_a_child(apart: Apart) -> None:
    apart.start(isolation="thread")
    solo = apart.bench.task(f"{apart.module}:parent", delay=0.3)
    apart.bench.push_all([solo])
    amend_record(apart.bench.client, f"{apart.bench.keys.prefix}t:{solo.task_id}", solo=True)
    assert apart.bench.result(solo.task_id) == os.getpid()


def test_a_task_whose_last_worker_was_lost_runs_beside_others_where_no_child_can_have_the_handler(bench: Any) -> None:
    bench.start(Nameless())
    solo = bench.task(None, delay=0.2)
    bench.push_all([solo])
    amend_record(bench.client, f"{bench.keys.prefix}t:{solo.task_id}", solo=True)
    assert bench.result(solo.task_id) == os.getpid()


def test_a_child_has_the_path_and_the_environment_of_its_worker(apart: Apart) -> None:
    apart.start()
    assert apart.result("environment") == [os.environ.get("PYTHONPATH"), [str(folder) for folder in sys.path]]


def test_what_a_task_in_a_child_starts_can_be_terminated(apart: Apart) -> None:
    apart.start()
    assert apart.result("terminates") == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_stops_a_whole_service_does_not_end_the_children_before_their_worker(
    apart: Apart, number: int
) -> None:
    apart.start(concurrency=1)
    pid = apart.result("pid")
    os.kill(pid, number)
    assert apart.result("pid") == pid


def test_a_child_that_cannot_import_the_modules_is_a_failed_attempt_that_says_so(apart: Apart, tmp_path: Path) -> None:
    apart.start(concurrency=1)
    (tmp_path / f"{apart.module}.py").write_text("import nothing_of_the_kind")
    error = apart.error("add", 1, 2)
    assert "could not begin: module" in error["error"]
    assert "No module named 'nothing_of_the_kind'" in error["error"]
    (tmp_path / f"{apart.module}.py").write_text(TASKS)
    assert apart.result("add", 1, 2) == 3


def test_many_short_tasks_in_children_all_end_once(apart: Apart) -> None:
    apart.start(concurrency=4)
    ids = [apart.push("add", n, n) for n in range(200)]
    assert [apart.bench.result(task_id) for task_id in ids] == [2 * n for n in range(200)]
    assert apart.bench.stats().finished == 200
