"""How child processes end: a task can only break its own, and the worker and other tasks continue."""

import os
import signal
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, amend_record, eventually
from fairque.worker import Backoff

SOON = Backoff(base=0.01)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "ended with exit code 7"),
        ("segfault", "was ended by SIGSEGV"),
        ("SIGABRT", "was ended by SIGABRT"),
        ("SIGKILL", "was ended by SIGKILL, as the kernel does when memory runs out"),
    ],
)
def test_a_task_that_ends_its_process_fails_alone_and_says_how(
    apart: Any, how: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    apart.start(concurrency=2)
    apart.push("heeds", "neighbour")
    neighbour = apart.noted("neighbour")
    error = apart.error("dies", how)
    assert (error["type"], error["reason"]) == ("ChildDied", "retries")
    assert error["error"] == f"the child process of the task {words}" or words in error["error"]
    assert apart.alive(neighbour)
    assert apart.result("add", 1, 2) == 3
    # Its stack, if it could still write it, is on standard error.
    assert ("ctypes" in capfd.readouterr().err) is (how == "segfault")


def test_a_task_whose_process_died_is_retried(apart: Any) -> None:
    apart.start(concurrency=1)
    task_id = apart.push("dies_once", retries=1, backoff=SOON)
    assert apart.bench.result(task_id) == "second"
    assert (apart.bench.info(task_id).failures, apart.bench.stats().expired) == (1, 0)


def test_a_child_whose_thread_for_frames_died_ends_and_no_task_waits_for_an_answer(
    apart: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    apart.start(concurrency=1)
    error = apart.error("listens_no_more", apart.push("add", 1, 2))
    assert error["error"].startswith("the child process of the task ended with exit code 1")
    assert apart.result("add", 1, 2) == 3
    assert "one of its threads died" in capfd.readouterr().err


def test_a_child_that_died_while_idle_is_replaced_and_no_task_fails(apart: Any) -> None:
    apart.start(concurrency=1)
    first = apart.result("pid")
    os.kill(first, signal.SIGKILL)
    task_id = apart.push("pid", retries=0)
    assert apart.bench.result(task_id) != first
    assert apart.bench.info(task_id).attempts == 1


def test_a_task_that_exceeds_its_timeout_is_killed_with_all_that_it_started(apart: Any) -> None:
    apart.start(concurrency=1)
    error = apart.error("hangs_with_a_child", "hung", timeout=1.0)
    assert error["type"] == "TaskTimeout"
    assert error["error"].endswith("the timeout of 1 s: its child process was killed")
    for name in ("hung", "grandchild"):
        apart.ends(apart.noted(name))
    assert apart.result("add", 1, 2) == 3


def test_a_task_that_has_left_the_process_group_of_its_child_is_killed_too(apart: Any) -> None:
    apart.start(concurrency=1)
    assert apart.error("hangs_in_another_group", "hung", timeout=1.0)["type"] == "TaskTimeout"
    apart.ends(apart.noted("hung"))


def test_a_task_that_hangs_in_c_code_is_killed_too(apart: Any) -> None:
    apart.start(concurrency=1)
    assert apart.error("holds_on", "hung", timeout=0.5)["type"] == "TaskTimeout"
    apart.ends(apart.noted("hung"))


def test_what_a_task_has_started_ends_with_its_process_however_that_ended(apart: Any) -> None:
    apart.start(concurrency=1)
    assert apart.error("dies_with_a_child")["type"] == "ChildDied"
    apart.ends(apart.noted("grandchild"))


def test_the_start_of_a_child_does_not_count_for_the_timeout(apart: Any) -> None:
    apart.start()
    assert apart.result("add", 1, 2, timeout=0.1, retries=0) == 3


def test_a_canceled_task_in_a_child_is_notified(apart: Any, short: Any) -> None:
    apart.start(**short)
    task_id = apart.push("heeds", "begun")
    apart.noted("begun")
    apart.bench.cancel(task_id)
    assert apart.bench.result(task_id) == ["canceled", True]


def test_a_canceled_coroutine_in_a_child_is_canceled_and_may_clean_up(apart: Any, short: Any) -> None:
    apart.start(**short)
    task_id = apart.push("heeds_later", "begun", retries=5)
    apart.noted("begun")
    apart.bench.cancel(task_id)
    reason = apart.bench.reaches(task_id, TaskState.CANCELED)
    assert reason["reason"] == "canceled while it ran"
    assert apart.noted("cleaned") == apart.noted("begun")


def test_a_canceled_task_that_continues_is_killed_after_cancel_timeout_and_its_reason_says_so(
    apart: Any, short: Any
) -> None:
    apart.start(cancel_timeout=0.3, concurrency=1, **short)
    task_id = apart.push("hangs", "hung", retries=5)
    pid = apart.noted("hung")
    apart.bench.cancel(task_id)
    reason = apart.bench.reaches(task_id, TaskState.CANCELED)
    assert reason["reason"] == "killed: it was canceled and continued for 0.3 s"
    apart.ends(pid)
    assert apart.result("add", 1, 2) == 3


def test_a_task_whose_lease_is_lost_is_killed_and_left_to_others_and_no_failure(apart: Any, short: Any) -> None:
    worker = apart.start(cancel_timeout=0.3, concurrency=1, **short)
    task_id = apart.push("hangs", "hung", retries=0)
    pid = apart.noted("hung")
    amend_record(apart.bench.client, f"{apart.bench.keys.prefix}t:{task_id}", token="1:")  # noqa: S106 - of a lease
    apart.ends(pid)
    eventually(lambda: apart.bench.info(task_id).attempts == 2, what="the next attempt")
    assert apart.bench.info(task_id).failures == 0
    worker.stop(0)


def test_a_task_in_a_child_is_given_back_only_when_its_child_has_ended(
    apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = apart.start(concurrency=1)
    task_id = apart.push("hangs", "hung")
    pid = apart.noted("hung")
    alive, release = [], worker._consumer.release

    def looks(released: Any) -> None:
        alive.append(apart.alive(pid))
        release(released)

    monkeypatch.setattr(worker._consumer, "release", looks)
    worker.stop(0)
    assert alive == [False]
    assert apart.bench.info(task_id).state is TaskState.QUEUED


def test_a_worker_that_stops_kills_what_still_runs_and_leaves_no_child(apart: Any) -> None:
    worker = apart.start(concurrency=2)
    idle = apart.result("pid")
    task_id = apart.push("hangs", "hung")
    pids = [apart.noted("hung"), idle]
    began = clock.monotonic()
    worker.stop(0)
    assert clock.monotonic() - began < PATIENCE
    assert worker._all_ended
    assert not [pid for pid in pids if apart.alive(pid)]
    info = apart.bench.info(task_id)
    assert (info.state, info.attempts) == (TaskState.QUEUED, 0)
