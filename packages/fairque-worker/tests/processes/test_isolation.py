"""What a task does in a child process affects neither the next task there nor the worker."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing.internal import eventually

_FINISHED = TaskState.FINISHED


@pytest.mark.parametrize("work", ["forks", "forks_later"])
@pytest.mark.parametrize(("how", "code"), [("returns", 0), ("raises", 1), ("exits", 3)])
def test_a_copy_that_a_task_forks_ends_without_reporting_an_ending(apart: Any, work: str, how: str, code: int) -> None:
    apart.start(concurrency=1)
    ids = [apart.push(work, how, user="a"), *(apart.push("add", n, 1, user="b") for n in range(20))]
    assert [apart.bench.result(one) for one in ids] == [code, *(n + 1 for n in range(20))]
    assert apart.bench.stats().finished == 21


def test_a_copy_that_ends_after_its_task_is_ignored(apart: Any) -> None:
    apart.start(concurrency=1)
    apart.bench.reaches(apart.push("forks_and_continues"), _FINISHED)
    copy = apart.noted("copy")
    while apart.alive(copy):
        assert apart.result("add", 1, 2) == 3
    assert apart.result("add", 3, 4) == 7


def test_context_variables_and_decimals_are_those_of_each_attempt(apart: Any) -> None:
    apart.start(concurrency=1)
    first = apart.result("sets_context", "three")
    assert apart.result("sets_context", "x") == first == ["none", 28]


CHANGES = [
    *("folder", "removed folder", "umask", "environment", "handlers", "mask", "path", "streams", "hooks"),
    *("interpreter", "collector", "timeout", "limits", "warnings", "logging", "digits", "hooks of threads"),
    *("more hooks", "decimals", "temporary files", "zone", "start method", "descriptors"),
    *("generators", "name", "tracebacks", "debugging of the collector", "frozen objects", "fatal errors"),
    *("handlers of the log", "handlers of contexts", "records of the log", "profiler", "hidden variables"),
    *(
        "offset of the zone",
        "hidden zone",
        "waking descriptor",
        "closed waking descriptor",
        "blocking",
        "levels of handlers",
    ),
    *("captured warnings", "half of captured warnings", "memory"),
]


def test_what_a_task_changes_in_the_process_is_restored(apart: Any) -> None:
    apart.start(concurrency=1)
    pid, before = apart.result("pid"), apart.result("state")
    for what in CHANGES:
        assert apart.result("changes", what) != before, what
        assert apart.result("state") == before, what
    assert apart.result("pid") == pid


@pytest.mark.parametrize("how", ["runs", "closes", "leaves"])
@pytest.mark.filterwarnings("ignore")
def test_a_task_finds_an_event_loop_that_no_other_one_has_used(apart: Any, how: str) -> None:
    apart.start(concurrency=1)
    pid = apart.result("pid")
    assert [apart.result("sets_a_loop", how) for _ in range(2)] == [0, 0]
    assert apart.result("pid") == pid


@pytest.mark.parametrize("what", ["closed stream", "no path", "no environment", "kind of os.environ", "no seed"])
def test_a_child_that_a_task_has_broken_ends_cleanly_and_the_next_task_runs(
    apart: Any, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    apart.start(concurrency=1)
    first = apart.result("pid")
    apart.push("changes", what, retries=0)
    eventually(lambda: not apart.alive(first), what="the end of the child")
    assert apart.result("pid") != first
    assert "Traceback" not in capfd.readouterr().err


def test_an_alarm_of_one_task_does_not_go_off_in_the_next(apart: Any) -> None:
    apart.start(concurrency=1)
    apart.result("changes", "alarm")
    # Without retries, since the next child would hide the end of this one.
    assert apart.bench.result(apart.push("outlasts", 0.2, retries=0)) == "done"


def test_a_dump_of_one_task_that_ends_the_process_does_not_end_the_next(apart: Any) -> None:
    apart.start(concurrency=1)
    apart.result("sets_dumps", "later")
    assert apart.bench.result(apart.push("outlasts", 0.2, retries=0)) == "done"


@pytest.mark.parametrize("how", ["default", "exits", "unregister"])
def test_a_dump_shows_the_next_task_whatever_a_task_has_done_to_its_signal(
    apart: Any, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    apart.start(concurrency=1)
    apart.result("sets_dumps", how)
    assert apart.bench.result(apart.push("is_dumped", retries=0)) == "continues"
    assert "in is_dumped" in capfd.readouterr().err


def test_a_task_cannot_predict_the_random_numbers_of_the_next(apart: Any) -> None:
    apart.start(concurrency=1)
    drawn = []
    for _ in range(2):
        apart.result("changes", "random")
        drawn.append(apart.result("draws"))
    assert drawn[0] != drawn[1]


def test_a_child_that_cannot_restore_something_is_replaced(
    apart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    apart.start(concurrency=1)
    first = apart.result("pid")
    assert apart.result("leaves_for_good", str(home)) == "/"
    eventually(lambda: not apart.alive(first), what="the end of the child")
    home.mkdir()
    assert apart.result("pid") != first


class TestTheWorkersFolder:
    """A task in a thread may change the folder: children, and modules imported later, are still found."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "project"
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend("")
        return folder

    def test_children_start_in_the_folder_of_the_worker(self, apart: Any, project: Path) -> None:
        apart.start(isolation="thread", concurrency=1)
        assert apart.result("goes", "/") == "/"
        assert apart.result("goes", None, isolation="process") == str(project)
        assert apart.result("add", 1, 2, isolation="process") == 3

    def test_children_start_although_the_present_folder_of_the_worker_was_removed(
        self, apart: Any, project: Path
    ) -> None:
        apart.start(isolation="thread", concurrency=1)
        apart.result("goes_and_removes")
        assert apart.result("goes", None, isolation="process") == str(project)

    def test_modules_are_imported_late_from_where_they_were(self, apart: Any, project: Path) -> None:
        name = f"late_{os.getpid()}"
        (project / f"{name}.py").write_text("HERE = __file__")
        apart.start(isolation="thread", concurrency=1)
        apart.result("goes", "/")
        assert apart.result("imports", name) == str(project / f"{name}.py")
        assert apart.result("imports", name, isolation="process") == str(project / f"{name}.py")
        sys.modules.pop(name, None)

    def test_what_a_thread_task_changes_in_the_environment_is_not_that_of_children(
        self, apart: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAIRQUE_TEST", "before")
        apart.start(isolation="thread", concurrency=1)
        assert apart.result("puts", "FAIRQUE_TEST", "after") == "after"
        assert apart.result("gets", "FAIRQUE_TEST", isolation="process") == "before"


class TestEndingsOfOthers:
    def test_one_that_names_another_attempt_is_dropped(self, apart: Any) -> None:
        apart.start(concurrency=1)
        assert apart.result("says_for_another", "mine") == "mine"

    @pytest.mark.parametrize(
        "said",
        [
            *("no json", "[]", "{}", '{"kind": "done"}', '{"token": 5}', "huge", "\ud800".encode("utf-8", "replace")),
            json.dumps({"kind": "nonsense", "token": "TOKEN"}),
            json.dumps({"kind": "done", "token": "TOKEN", "result": "no json", "xcom": ""}),
            json.dumps({"kind": "done", "token": "TOKEN", "result": 5, "xcom": ""}),
            json.dumps({"kind": "done", "token": "TOKEN", "result": '"LARGE"', "xcom": ""}),
            json.dumps({"kind": "failed", "token": "TOKEN", "verdict": "x"}),
            json.dumps({"kind": "progress", "token": "TOKEN", "done": "x", "total": None, "message": ""}),
            json.dumps({"kind": "read", "token": "TOKEN"}),
        ],
    )
    def test_a_child_that_sends_an_invalid_frame_is_killed_and_only_its_attempt_fails(
        self, apart: Any, said: str | bytes
    ) -> None:
        apart.start(concurrency=1)
        first = apart.result("pid")
        error = apart.error("says", said if isinstance(said, str) else said.decode())
        assert error["type"] == "ChildDied"
        assert "sent an invalid frame" in error["error"]
        assert error["error"].endswith("was killed")
        eventually(lambda: not apart.alive(first), what="the end of the child")
        assert apart.result("add", 1, 2) == 3
