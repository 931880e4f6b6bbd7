"""What a task leaves in its process or thread: neither the next task nor what is started from there finds it."""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fairque.protocol import forks
from fairque.worker.processes import process


@pytest.mark.parametrize("what", ["slow stream", "closed stream"])
def test_the_next_task_is_not_given_to_a_child_that_is_about_to_end(apart: Any, what: str) -> None:
    apart.start(concurrency=1)
    ids = [apart.push("changes", what, retries=0), *(apart.push("add", 1, number, retries=0) for number in range(3))]
    assert [apart.bench.result(task_id) for task_id in ids[1:]] == [1, 2, 3]


def test_an_object_of_one_task_that_is_dropped_slowly_does_not_cost_the_next_its_time(
    apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.5)
    apart.start(concurrency=1)
    ids = [apart.push("changes", "stream that is dropped slowly"), apart.push("pid", timeout=60, retries=0)]
    assert all(apart.bench.result(task_id) for task_id in ids)


def test_a_task_whose_child_dies_before_it_begins_is_tried_again_without_using_up_a_retry(
    apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.Child.answers
    killed: list[int] = []

    def dies(child: process.Child) -> bool:
        ready = real(child)
        if not killed and child.pid is not None:
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            apart.ends(child.pid)
        return ready

    apart.start(concurrency=1)
    pid = apart.result("pid")
    monkeypatch.setattr(process.Child, "answers", dies)
    assert apart.result("pid", retries=0) != pid
    assert killed == [pid]


class TestWhatATaskChangesInItsThread:
    """The signal mask, the processors and the priority of its thread, from which others are started."""

    @pytest.fixture(autouse=True)
    def may_restore(self) -> None:
        if os.geteuid():
            pytest.skip("only root may undo a lower priority")

    @pytest.mark.parametrize("kind", ["process", "thread"])
    def test_is_not_that_of_a_child_or_event_loop_which_is_started_from_it(self, apart: Any, kind: str) -> None:
        apart.start(concurrency=1, isolation="thread")
        before = apart.result("attributes")
        assert apart.result("changes_its_thread") != before
        other = "attributes" if kind == "process" else "attributes_of_the_loop"
        assert apart.result(other, isolation=kind) == before


class TestStandardStreamsThatATaskInAThreadCloses:
    @pytest.fixture(autouse=True)
    def kept(self) -> Iterator[None]:
        """The streams of the tests, restored afterwards."""
        copies = [os.dup(number) for number in range(3)]
        yield
        for number, copy in enumerate(copies):
            os.dup2(copy, number)
            os.close(copy)

    def test_do_not_keep_children_from_starting_when_the_event_loop_has_taken_their_numbers(self, apart: Any) -> None:
        apart.start(concurrency=1, isolation="thread")
        apart.result("closes_standard_streams")
        assert apart.result("add_later", 1, 2) == 3
        assert apart.result("add", 3, 4, isolation="process") == 7

    def test_do_not_become_connections_to_the_server(self, apart: Any) -> None:
        apart.start(concurrency=1, isolation="thread")
        apart.result("closes_standard_streams")
        apart.bench.client.client_kill_filter(_type="normal", skipme=True)
        assert apart.result("add", 1, 2) == 3
        assert min(end.fileno() for end in forks._sockets.values() if end.fileno() >= 0) > 2


@pytest.mark.parametrize("how", ["insert", "clear"])
def test_what_a_task_in_a_thread_does_to_the_path_is_not_that_of_later_children(apart: Any, how: str) -> None:
    apart.start(concurrency=1, isolation="thread")
    path = list(sys.path)
    try:
        apart.result("changes_the_path", how)
        found = apart.result("path", isolation="process")
    finally:
        sys.path[:] = path
    assert "/nowhere" not in found
    assert len(found) >= len(path)
