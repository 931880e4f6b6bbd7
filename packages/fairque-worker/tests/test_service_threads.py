"""No thread of a worker dies unnoticed: it survives an error, or the worker crashes and names the thread."""

import asyncio
import ctypes
import itertools
import logging
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import Worker, current_context
from fairque.worker.phases import Phase

EXHAUSTED = [MemoryError(), OSError(24, "Too many open files"), RuntimeError("can't start new thread")]


def failing(call: Callable[..., Any], error: BaseException, times: float) -> Callable[..., Any]:
    """Wraps a call so that the first times fail."""
    left = times

    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return call(*args, **kwargs)

    return run


def alive(worker: Worker) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.http_port}/livez", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("error", EXHAUSTED, ids=lambda error: type(error).__name__)
def test_a_heartbeat_that_fails_for_lack_of_something_is_sent_later_and_no_task_runs_twice(
    bench: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    begun: list[int] = []
    beats = threading.Semaphore(0)

    def long() -> None:
        begun.append(current_context().attempt)
        # Each beat renews the lease, so the task is held for much longer than one lease.
        for _ in range(8):
            assert beats.acquire(timeout=PATIENCE)

    worker = bench.worker(long, lease=3.0, heartbeat=0.5)
    beat = worker._heart._consumer.beat

    def counted(*args: Any) -> Any:
        answer = beat(*args)
        beats.release()
        return answer

    monkeypatch.setattr(worker._heart._consumer, "beat", failing(counted, error, 2))
    worker.start()
    task_id = bench.push(long)
    bench.reaches(task_id, TaskState.FINISHED)
    assert begun == [1]


@pytest.mark.parametrize("part", ["heart", "watch"])
def test_a_thread_that_keeps_failing_ends_the_worker_which_says_which_one(
    bench: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    worker = bench.worker(http_port=0)
    service = getattr(worker, f"_{part}").service
    monkeypatch.setattr(service, "_step", failing(lambda: None, MemoryError(), float("inf")))
    monkeypatch.setattr(service, "_patience", 0.0)
    with pytest.raises(FairqueError, match=r"the worker crashed: MemoryError\(\)"):
        worker.run()
    assert worker._phases.reason == ""
    assert isinstance(worker._phases.error, MemoryError)


def test_a_thread_that_is_ended_by_something_else_than_an_exception_ends_the_worker_too(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.worker()
    monkeypatch.setattr(worker._heart.service, "_step", failing(lambda: None, SystemExit(0), 1))
    with pytest.raises(FairqueError, match="the worker crashed: SystemExit"):
        worker.run()


def test_a_courier_that_dies_while_the_worker_stops_is_reported_too(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.worker(burst=True)
    monkeypatch.setattr(worker._courier, "_wind_up", failing(lambda: None, SystemExit(0), 1))
    with pytest.raises(FairqueError, match="the worker crashed: SystemExit"):
        worker.run()


def test_a_worker_with_a_dead_thread_is_not_alive_and_its_tasks_are_asked_to_stop(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, told = threading.Event(), threading.Event()

    def patient() -> None:
        begun.set()
        context = current_context()
        eventually(lambda: context.should_stop, what="the request to stop")
        told.set()

    worker = bench.start(patient, http_port=0)
    bench.push(patient)
    assert begun.wait(PATIENCE)
    monkeypatch.setattr(worker._watch.service, "_step", failing(lambda: None, SystemExit(0), 1))
    worker._watch.service._wake()
    assert told.wait(PATIENCE)
    assert alive(worker) == (503, "crashed: thread fairque-watch died\n")
    assert worker.wait_idle(PATIENCE)


def test_a_courier_that_is_short_of_something_reports_and_takes_when_it_has_it_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing() -> None:
        """The shortest task."""

    worker = bench.worker(nothing)
    consumer = worker._consumer
    monkeypatch.setattr(consumer, "request", failing(consumer.request, EXHAUSTED[0], 3))
    worker.start()
    task_id = bench.push(nothing)
    bench.reaches(task_id, TaskState.FINISHED)
    assert bench.info(task_id).attempts == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_worker_that_cannot_start_all_its_threads_starts_none(
    bench: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    worker = bench.worker(http_port=0)
    start, left = threading.Thread.start, number

    def begin(thread: threading.Thread) -> None:
        nonlocal left
        if thread.name in ("fairque-heart", "fairque-watch", "fairque-courier"):
            left -= 1
            if left < 0:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    with pytest.raises(FairqueError, match="can't start new thread"):
        worker.start()
    monkeypatch.undo()

    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("fairque-")]

    eventually(lambda: not threads(), what="the end of all threads")
    with pytest.raises(FairqueError, match="create a new Worker"):
        worker.start()


def test_progress_without_a_thread_to_send_it_goes_with_the_ending(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        if thread.name == "fairque-progress":
            raise RuntimeError("can't start new thread")
        start(thread)

    def tells() -> None:
        current_context().progress(1, 2)

    monkeypatch.setattr(threading.Thread, "start", begin)
    bench.start(tells)
    assert bench.reaches(bench.push(tells), TaskState.FINISHED) is None


@pytest.mark.parametrize(
    ("used", "cause"),
    [(100.0, 'a task kept the interpreter to itself: give such tasks isolation="process"'), (0.0, "stood still")],
)
def test_the_warning_of_a_late_heartbeat_says_how_late_what_ran_and_what_to_do(
    bench: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, used: float, cause: str
) -> None:
    def holds() -> None:
        # Like a long regular expression, this sleeps without releasing the interpreter.
        ctypes.PyDLL(None).usleep(1_500_000)

    worker = bench.worker(holds, lease=1.0, heartbeat=0.2)
    looks = itertools.count()
    monkeypatch.setattr("fairque.worker.keeping.leases.time.process_time", lambda: used * next(looks))
    worker.start()
    task_id = bench.push(holds)

    def warnings() -> list[Any]:
        # On a busy machine others may come before it, while the task has not begun.
        records = (vars(record) for record in caplog.records if record.msg == "the heartbeat was late")
        return [record for record in records if record["tasks"] == [task_id]]

    with caplog.at_level("WARNING", logger="fairque.worker"):
        eventually(warnings, what="the warning")
    record = warnings()[0]
    assert record["late_seconds"] >= 0.2
    assert cause in record["cause"]
    assert record["functions"] == ["holds"]


async def closes_the_selector() -> None:
    loop: Any = asyncio.get_running_loop()
    os.close(loop._selector.fileno())
    await asyncio.sleep(0)


def test_an_event_loop_that_a_task_has_broken_ends_the_worker_which_stops_in_good_order(bench: Any) -> None:
    """Coroutines on a broken loop, and new ones, would wait forever."""
    worker = bench.start(closes_the_selector, http_port=0)
    bench.push(closes_the_selector)
    assert worker.wait_idle(PATIENCE)
    assert alive(worker) == (503, "crashed: thread fairque-loop died\n")
    assert isinstance(worker._phases.error, OSError)
    worker.stop(0)
    assert worker._phases.phase is Phase.ENDED


def test_a_worker_that_can_open_no_file_at_its_start_says_so(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("fairque.protocol.wire.scripts.script_names", none_left)
    with pytest.raises(FairqueError, match=r"the scripts of fairque cannot be read: .*Too many open files"):
        bench.worker().start()


@pytest.mark.parametrize("part", ["courier", "heart"])
def test_a_handler_of_the_log_that_exits_keeps_no_worker_that_has_crashed(
    bench: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    worker = bench.worker()
    monkeypatch.setattr(getattr(worker, f"_{part}").service, "_step", failing(lambda: None, SystemExit(0), 1))
    logger = logging.getLogger("fairque.worker")

    def exits(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        raise SystemExit(1)

    logger.addFilter(exits)
    try:
        with pytest.raises(FairqueError, match="the worker crashed: SystemExit"):
            worker.run()
    finally:
        logger.removeFilter(exits)


CLOSES = """
import os, resource, sys
from fairque.client import Task, TaskQueue
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.registry import Registry
from fairque.worker import FunctionTaskHandler, Worker

url, name, function = sys.argv[1:]
def thread(): os.closerange(3, 256)
async def coroutine(): os.closerange(3, 256)
def lowers(): resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def pipes():
    silent, _ = os.pipe()
    for number in range(3, 256): os.dup2(silent, number)
registry = Registry()
for one in (thread, coroutine, lowers, pipes): registry.register(one, one.__name__)
with TaskQueue.from_url(url, queue=name) as queue:
    queue.push(Task(func=function, user_id="ann"))
worker = Worker.from_url(url, queue=name, handler=FunctionTaskHandler(registry=registry), http_port=0)
try:
    worker.run()
except FairqueError as error:
    print(error)
"""


@pytest.mark.parametrize("function", ["thread", "coroutine"])
def test_a_task_that_closes_all_descriptors_ends_the_worker_which_says_what_happened(
    bench: Any, tmp_path: Path, function: str
) -> None:
    program = tmp_path / "closes.py"
    program.write_text(CLOSES)
    command = [sys.executable, str(program), bench.url, bench.keys.name, function]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - as below
    assert ended.stdout.startswith("the worker crashed: OSError(9, 'Bad file descriptor'). Code"), ended.stderr[-3_000:]
    assert 'isolation="process"' in ended.stdout


@pytest.mark.thorough
def test_a_task_that_puts_silent_pipes_in_the_place_of_all_descriptors_ends_the_worker_which_says_what_happened(
    bench: Any, tmp_path: Path
) -> None:
    program = tmp_path / "closes.py"
    program.write_text(CLOSES)
    command = [sys.executable, str(program), bench.url, bench.keys.name, "pipes"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - as above
    assert ended.stdout.startswith("the worker crashed: OSError("), ended.stderr[-3_000:]
    assert "Code in this process, as os.closerange or os.dup2, has closed" in ended.stdout


@pytest.mark.thorough
def test_a_task_that_lowers_the_limit_of_open_files_ends_the_worker_which_says_what_to_do(
    bench: Any, tmp_path: Path
) -> None:
    program = tmp_path / "closes.py"
    program.write_text(CLOSES)
    command = [sys.executable, str(program), bench.url, bench.keys.name, "lowers"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - as above
    said = "The limit of open files (RLIMIT_NOFILE, ulimit -n) of this process is 0 now"
    assert ended.stdout.startswith("the worker crashed: OSError(22, 'Invalid argument'). " + said), ended.stderr[
        -3_000:
    ]


LATE = """
import asyncio, sys, threading
from fairque.protocol.config import QueueSection, RedisSection
from fairque.protocol.model.registry import Registry
from fairque.testing.internal import calls
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.worker import *

url, name = sys.argv[1:]
def fine(): current_context().progress(1, 2); return 1
def wrong(): raise ValueError("a test")
def again():
    if current_context().attempt == 1: raise Snooze(0)
def off(): raise Cancel("a test")
async def coroutine(): await asyncio.sleep(0)
registry = Registry()
for one in (fine, wrong, again, off, coroutine): registry.register(one, one.__name__)
options = WorkerSection(concurrency=4, stop_timeout=1)
settings = WorkerSettings(redis=RedisSection(url=url), queue=QueueSection(name=name), worker=options)
keys, runner = QueueKeys(name), Runner(RedisSection(url=url))
worker = Worker(settings, FunctionTaskHandler(registry=registry), burst=False)
worker.start()
runner.run(calls.read_stats(keys))
before = {name for name in sys.modules if name.startswith(("fairque", "redis"))}
import fairque.protocol.wire.scripts as scripts
def gone(*_): raise FileNotFoundError("the files of another version are here now")
scripts.expand = gone
first = Task(func="fine", user_id="ann")
tasks = [first, *(Task(func=f, user_id="ann", retries=0, depends_on=[first.task_id]) for f in
    ("wrong", "again", "off", "coroutine", "fine"))]
runner.run(calls.push(keys, tasks, message_limit=100_000))
while runner.run(calls.read_stats(keys)).finished < 4: pass
worker.dump()
worker.stop(0)
after = {name for name in sys.modules if name.startswith(("fairque", "redis"))}
print(sorted(after - before))
"""


def test_a_running_worker_reads_no_script_and_no_module_that_it_has_not_read_at_its_start(
    bench: Any, tmp_path: Path
) -> None:
    """An upgrade in place would give it files of another version, and without descriptors none could be read."""
    program = tmp_path / "late.py"
    program.write_text(LATE)
    command = [sys.executable, str(program), bench.url, bench.keys.name]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - as above
    assert (ended.stdout.strip(), ended.returncode) == ("[]", 0), ended.stderr[-3_000:]
