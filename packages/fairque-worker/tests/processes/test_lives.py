"""Each child has one owner: whatever goes wrong, it is reused or ended, and a failed start uses up no retry."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from fairque.protocol import clock
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import eventually, only_thorough, read_message, write_message
from fairque.worker.jobs import Unstarted
from fairque.worker.processes import children as pool
from fairque.worker.processes import process
from fairque.worker.processes.children import Children
from fairque.worker.processes.process import Child, Recipe


def children_of(pid: int) -> set[int]:
    """The living child processes of a process, without those that wait to be reaped."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.add(int(folder.name))
    return found


@pytest.fixture
def new_children() -> Callable[[], set[int]]:
    """Returns the children that were started during the test."""
    before = children_of(os.getpid())
    return lambda: children_of(os.getpid()) - before


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start of a child is retried soon after a failure."""
    monkeypatch.setattr(pool, "_PAUSES_SECONDS", (0.05, 0.05))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda message: message.decode().replace("add", "\ud800").encode("utf-8", "surrogatepass"),
        lambda message: message.decode().encode("utf-16"),
        lambda message: message.replace(b'"args"', b'"ergs"'),
        lambda message: message[:-5],
    ],
    ids=["lone surrogates", "UTF-16", "other arguments", "cut"],
)
def test_thirty_corrupt_messages_leave_no_child_behind(
    apart: Any, new_children: Callable[[], set[int]], spoil: Callable[[bytes], bytes]
) -> None:
    apart.start(concurrency=2)
    assert apart.result("add", 1, 2) == 3
    tasks = [apart.bench.task(f"{apart.module}:add", 1, 2, delay=0.3, retries=0) for _ in range(30)]
    apart.bench.push_all(tasks)
    raw: Any = redis.Redis.from_url(apart.bench.url)
    for one in tasks:
        message = read_message(raw, apart.bench.keys.prefix, one.task_id)
        write_message(raw, apart.bench.keys.prefix, one.task_id, spoil(message))
    raw.close()
    ends = (TaskState.FAILED, TaskState.FINISHED)
    for one in tasks:
        eventually(partial(lambda task_id: apart.bench.state(task_id) in ends, one.task_id))
    assert len(new_children()) <= 2
    assert apart.result("add", 1, 2) == 3


class Spoiled(BaseException):
    """An unexpected error."""


@pytest.mark.parametrize("error", [Spoiled, ValueError, *only_thorough(MemoryError, KeyError)])
@pytest.mark.parametrize("where", ["_greeted", "answers", "prepare"])
def test_no_child_is_left_when_its_start_raises_anything(
    new_children: Callable[[], set[int]],
    monkeypatch: pytest.MonkeyPatch,
    soon: None,  # noqa: ARG001 - it acts
    where: str,
    error: type[BaseException],
) -> None:
    children = Children(Recipe(worker="w", modules=(), handler=None, result_limit=1_000, input_limit=1_000), "", 1.0)
    with children.lend() as first:
        assert first.alive

    def raises(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Child, where, raises)
    for _ in range(3):
        with pytest.raises((error, Unstarted)), children.lend(), children.lend():
            raise Unstarted("both could be had", 0)
    monkeypatch.undo()
    assert len(new_children()) <= 2
    children.stop()
    eventually(lambda: not new_children(), what="the end of all children")


def _fail(children: Children) -> None:
    with children.lend() as child:
        child.talking = True
        raise Spoiled


def test_no_child_is_left_when_its_task_raises_anything(new_children: Callable[[], set[int]]) -> None:
    children = Children(Recipe(worker="w", modules=(), handler=None, result_limit=1_000, input_limit=1_000), "", 1.0)
    for _ in range(5):
        with pytest.raises(Spoiled):
            _fail(children)
    eventually(lambda: not new_children(), what="the end of all children")
    # A child that has received nothing yet can be reused.
    with pytest.raises(Spoiled), children.lend() as kept:
        raise Spoiled
    with children.lend() as again:
        assert again is kept
    children.stop()


class TestOneThatCannotBegin:
    """The task is given back uncounted, with a reason, and runs as soon as a child can start."""

    @pytest.fixture
    def broken(self) -> Iterator[pytest.MonkeyPatch]:
        """Patches that the test can undo separately."""
        with pytest.MonkeyPatch.context() as broken:
            yield broken

    @pytest.fixture
    def ended_well(self, apart: Any, soon: None) -> Callable[..., None]:  # noqa: ARG002 - it acts
        def ended_well(fix: Callable[[], None], words: str, caplog: pytest.LogCaptureFixture) -> None:
            apart.start(concurrency=1)
            task_id = apart.push("add", 1, 2, retries=0)

            def said() -> list[dict[str, Any]]:
                return [vars(one) for one in caplog.records if "could not be started here" in one.msg]

            eventually(lambda: len(said()) > 1, what="two words on it")
            assert words in said()[0]["why"]
            assert said()[0]["task_id"] == task_id
            fix()
            assert apart.bench.result(task_id) == 3
            assert apart.bench.info(task_id).failures == 0

        return ended_well

    def test_since_the_system_lets_no_process_begin(
        self, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        broken.setattr(subprocess, "Popen", fails)
        ended_well(broken.undo, "cannot be run: Resource temporarily unavailable", caplog)

    def test_since_there_is_no_such_interpreter(
        self, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken.setattr(sys, "executable", "/nowhere/python")
        ended_well(broken.undo, "'/nowhere/python' (sys.executable)", caplog)

    def test_since_it_ends_at_once(
        self, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken.setattr(sys, "executable", "/bin/false")
        ended_well(broken.undo, "ended with exit code 1", caplog)

    def test_since_no_thread_can_be_started_for_it(
        self, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        start = threading.Thread.start

        def begin(thread: threading.Thread) -> None:
            if thread.name == "fairque-child":
                raise RuntimeError("can't start new thread")
            start(thread)

        broken.setattr(threading.Thread, "start", begin)
        ended_well(broken.undo, "no child process can be started: can't start new thread", caplog)

    def test_since_there_are_no_more_files(
        self, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails() -> None:
            raise OSError(24, "Too many open files")

        broken.setattr(process, "pair_of_sockets", fails)
        ended_well(broken.undo, "Too many open files", caplog)

    def test_since_its_imports_never_end(
        self, apart: Any, ended_well: Any, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken.setattr(process, "_START_SECONDS", 0.5)
        started = apart.start

        def start(**options: Any) -> Any:
            worker = started(**options)
            apart.rewrite("import time; time.sleep(600)")
            return worker

        broken.setattr(apart, "start", start)

        def fix() -> None:
            broken.undo()
            apart.rewrite()

        ended_well(fix, "was not ready within 0.5 s", caplog)

    @pytest.mark.usefixtures("soon")
    def test_tasks_that_run_in_threads_continue(
        self,
        apart: Any,
        broken: pytest.MonkeyPatch,
    ) -> None:
        broken.setattr(sys, "executable", "/bin/false")
        apart.start(isolation="thread", concurrency=2)
        waiting = [apart.push("add", 1, 2, isolation="process", retries=0) for _ in range(5)]
        assert [apart.result("add", n, n) for n in range(20)] == [2 * n for n in range(20)]
        broken.undo()
        assert [apart.bench.result(one) for one in waiting] == [3] * 5


def test_after_a_failed_start_of_a_child_the_next_start_waits_with_exponential_backoff(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    begun: list[float] = []

    def begin(*_: Any) -> Child:
        begun.append(now)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pool, "Child", begin)
    children = Children(Recipe(worker="w", modules=(), handler=None, result_limit=1_000, input_limit=1_000), "", 1.0)
    for _ in range(200):
        with pytest.raises(Unstarted) as caught, children.lend():
            pass
        assert 0 < caught.value.pause_seconds <= 30
        now += 0.5
    assert [int(at - 1_000) for at in begun] == [0, 1, 3, 7, 15, 31, 61, 91]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("does", ["stop", "dump", "children"])
def test_a_forked_child_of_the_program_ends_nothing_of_the_worker(apart: Any, does: str) -> None:
    worker = apart.start(heartbeat=0.2)
    task_id = apart.push("heeds", "begun")
    process = apart.noted("begun")
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            if does == "children":
                worker._children.stop()
            else:
                getattr(worker, does)()
            os._exit(0 if worker.wait_idle(0) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert apart.alive(process)
    apart.bench.cancel(task_id)
    assert apart.bench.result(task_id)[0] == "canceled"
    assert apart.bench.info(task_id).attempts == 1
