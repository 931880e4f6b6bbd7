"""Child processes: tasks run there as in threads, with the same context, values, results and errors."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, amend_record, calls, eventually
from fairque.worker import Task, TaskContext, TaskHandler, Worker


def test_a_task_runs_in_a_child_when_the_worker_is_set_to(apart: Any) -> None:
    apart.start()
    assert apart.result("parent") == os.getpid()


def test_a_task_runs_in_a_child_when_it_requests_that(apart: Any) -> None:
    apart.start(isolation="thread")
    assert apart.result("pid") == os.getpid()
    assert apart.result("parent", isolation="process") == os.getpid()


def test_a_task_may_run_in_a_thread_of_a_worker_of_processes(apart: Any) -> None:
    apart.start()
    assert apart.result("pid", isolation="thread") == os.getpid()


def test_a_child_is_reused(apart: Any) -> None:
    apart.start(concurrency=1)
    assert apart.result("pid") == apart.result("pid")


def test_as_many_children_run_tasks_at_a_time_as_there_are_slots(apart: Any) -> None:
    apart.start(concurrency=2, cancel_timeout=0.05)
    for name in ("one", "two"):
        apart.push("hangs", name)
    assert apart.noted("one") != apart.noted("two")


class TestWhatIsHandedOn:
    def test_the_output_of_another_task_is_an_argument(self, apart: Any) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", 2)
        two: Any = apart.bench.task(f"{apart.module}:add", one.output[0], 3)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id) == 5

    def test_values_are_pushed_and_pulled(self, apart: Any) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", {"a": "ä"})
        two = apart.bench.task(f"{apart.module}:fetch", "rows", depends_on=one)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id) == {"a": "ä"}

    def test_a_value_that_is_missing_ends_the_task(self, apart: Any) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:leave", "rows", 2)
        two = apart.bench.task(f"{apart.module}:fetch", "row", depends_on=one)
        apart.bench.push_all([one, two])
        error = apart.bench.error(two.task_id)
        assert (error["type"], error["reason"], error["attempts"]) == ("OutputMissing", "input", 1)

    def test_the_user_is_that_of_the_parent(self, apart: Any) -> None:
        apart.start()
        one = apart.bench.task(f"{apart.module}:pid", user="bob")
        two = Task(func=f"{apart.module}:facts", depends_on=one, timeout=60)
        apart.bench.push_all([one, two])
        assert apart.bench.result(two.task_id)[1] == "bob"

    def test_progress_reaches_the_queue(self, apart: Any) -> None:
        apart.start()
        task_id = apart.push("tells")
        apart.bench.result(task_id)
        (told,) = apart.bench.run(calls.read_progress(apart.bench.keys, [task_id]))
        assert (told.done, told.total, told.message, told.attempt) == (3, 10, "reading", 1)

    def test_progress_from_a_thread_left_behind_does_not_count_for_the_next_task(self, apart: Any) -> None:
        apart.start(concurrency=1)
        first, second = apart.push("leaves_a_teller"), apart.push("outlives_strays")
        apart.bench.result(second)
        assert apart.bench.info(first).attempts == 1
        assert apart.bench.run(calls.read_progress(apart.bench.keys, [second])) == [None]

    def test_a_thread_left_behind_that_reads_gets_an_error_and_blocks_no_other_task(self, apart: Any) -> None:
        apart.start(concurrency=1)
        other = apart.push("leave", "rows", 2)
        apart.result("leaves_a_reader", other)
        one = apart.bench.task(f"{apart.module}:fetch", "rows", depends_on=other, timeout=5, retries=0)
        apart.bench.push_all([one])
        assert apart.bench.result(one.task_id) == 2
        assert apart.result("outlives_strays") == ["the attempt that asks for it has ended: read while the task runs"]

    def test_of_many_reports_the_last_reaches_the_queue(self, apart: Any) -> None:
        apart.start()
        task_id = apart.push("chats")
        apart.bench.result(task_id)
        (told,) = apart.bench.run(calls.read_progress(apart.bench.keys, [task_id]))
        assert told.done == 19_999


def test_the_results_of_functions_and_coroutines_are_stored(apart: Any) -> None:
    apart.start()
    assert [apart.result("add", 1, 2), apart.result("add_later", 3, 4), apart.result("note", "x")] == [3, 7, None]


def test_the_context_is_that_of_the_task(apart: Any) -> None:
    apart.start()
    task_id = apart.push("facts", timeout=60, user="bob")
    found = apart.bench.result(task_id)
    info = apart.bench.info(task_id)
    assert found == [task_id, "bob", 1, found[3], True, False, True, found[7], True]
    assert found[7].endswith("facts")
    assert abs(found[3] / 1_000_000 - info.started_at.timestamp()) < 1
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
        ("canceled", ("CancelledError", "", "retries")),
    ],
)
def test_errors_of_a_task_return_as_text(apart: Any, kind: str, expected: tuple[str, ...]) -> None:
    apart.start(concurrency=1)
    error = apart.error("fails", kind)
    assert (error["type"], error["error"], error["reason"]) == expected
    assert "Traceback" in error["traceback"]
    assert f"{apart.module}.py" in error["traceback"]
    # The only slot and its child continue.
    assert apart.result("add", 1, 2) == 3


def test_a_result_that_is_not_json_is_a_failed_attempt(apart: Any) -> None:
    apart.start()
    error = apart.error("fails", "json")
    assert (error["type"], "not a JSON value" in error["error"]) == ("InvalidTask", True)


def test_a_task_in_a_child_can_retry_snooze_and_cancel_itself(apart: Any) -> None:
    apart.start()
    assert apart.result("fails", "snooze", retries=0) == 3
    reason = apart.bench.reaches(apart.push("fails", "cancel"), TaskState.CANCELED)
    assert (reason["error"], reason["reason"]) == ("no use", "the task canceled itself")
    retried = apart.push("fails", "retry", retries=1)
    apart.bench.error(retried)
    assert apart.bench.info(retried).attempts == 2


def test_an_unknown_function_is_unknown_in_a_child_too(apart: Any) -> None:
    apart.start()
    task_id = apart.push("ad", 1, 2, retries=0)
    eventually(lambda: apart.bench.state(task_id) is TaskState.SCHEDULED, what="a pause")
    assert apart.bench.info(task_id).failures == 1


def test_a_custom_handler_runs_in_the_child_when_it_has_a_name(apart: Any) -> None:
    apart.start("Echo")
    pid, payload, attempt = apart.bench.result(apart.bench.push(None, payload={"a": 1}))
    assert (payload, attempt) == ({"a": 1}, 1)
    assert pid != os.getpid()


def test_hooks_run_in_the_worker_and_get_the_error_as_text(apart: Any, tmp_path: Path) -> None:
    apart.start("Loud")
    apart.bench.error(apart.bench.push(None, retries=0))
    assert apart.noted("hook") == os.getpid()
    text = eventually(lambda: (tmp_path / "error").exists() and (tmp_path / "error").read_text())
    assert text == "RemoteError ValueError: no luck True"


class Nameless(TaskHandler):
    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
        return os.getpid()


def test_a_child_cannot_use_a_handler_that_is_an_object_and_the_error_says_what_to_do(bench: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"its handler is an object.*Worker\(settings, 'MODULE:ATTR'\)"):
        Worker(bench.settings(isolation="process"), Nameless())


def test_children_without_modules_are_refused(bench: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"they import worker\.modules, and there are none"):
        Worker(bench.settings(isolation="process"))


def test_a_task_that_wants_a_process_fails_clearly_where_there_can_be_none(bench: Any) -> None:
    bench.start(Nameless())
    error = bench.error(bench.push(None, isolation="process", retries=0))
    assert error["error"].startswith("this worker has no child processes: its handler is an object")


def test_a_task_whose_last_worker_was_lost_runs_in_a_child(apart: Any) -> None:
    apart.start(isolation="thread")
    solo = apart.bench.task(f"{apart.module}:parent", delay=0.3)
    apart.bench.push_all([solo])
    amend_record(apart.bench.client, f"{apart.bench.keys.prefix}t:{solo.task_id}", solo=True)
    assert apart.bench.result(solo.task_id) == os.getpid()


def test_a_task_whose_last_worker_was_lost_runs_in_a_thread_if_no_child_can_use_the_handler(bench: Any) -> None:
    bench.start(Nameless())
    solo = bench.task(None, delay=0.2)
    bench.push_all([solo])
    amend_record(bench.client, f"{bench.keys.prefix}t:{solo.task_id}", solo=True)
    assert bench.result(solo.task_id) == os.getpid()


def test_a_child_has_the_path_and_the_environment_of_its_worker(apart: Any) -> None:
    apart.start()
    assert apart.result("environment") == [os.environ.get("PYTHONPATH"), [str(folder) for folder in sys.path]]


def test_what_a_task_in_a_child_starts_can_be_terminated(apart: Any) -> None:
    apart.start()
    assert apart.result("terminates") == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_stops_a_whole_service_does_not_end_the_children_before_their_worker(
    apart: Any, number: int
) -> None:
    apart.start(concurrency=1)
    pid = apart.result("pid")
    os.kill(pid, number)
    assert apart.result("pid") == pid


def test_a_child_that_cannot_import_the_modules_uses_up_no_retry_and_the_task_runs_when_one_can(
    apart: Any, caplog: pytest.LogCaptureFixture
) -> None:
    apart.start(concurrency=1)
    apart.rewrite("import nothing_of_the_kind")
    task_id = apart.push("add", 1, 2, retries=0)

    def warnings() -> list[dict[str, Any]]:
        return [vars(record) for record in caplog.records if "could not be started here" in record.msg]

    # The worker logs it after the queue has accepted the pause.
    said = eventually(warnings, what="the warning")[0]
    assert said["task_id"] == task_id
    assert said["why"].startswith("no child process can be started: module")
    assert "No module named 'nothing_of_the_kind'" in said["why"]
    apart.rewrite()
    assert apart.bench.result(task_id) == 3
    assert apart.bench.info(task_id).failures == 0


def test_a_burst_runs_a_task_for_which_no_child_could_be_started_at_first(apart: Any, tmp_path: Path) -> None:
    fails_once = """
if "fairque.worker.child" in sys.orig_argv and not (HERE / "failed").exists():
    (HERE / "failed").touch()
    raise OSError("the database cannot be reached")
"""
    apart.append(fails_once)
    task_id = apart.push("add", 1, 2, retries=0)
    worker = apart.start(concurrency=1, burst=True)
    assert worker.wait_idle(PATIENCE)
    assert (tmp_path / "failed").exists()
    assert apart.bench.state(task_id) is TaskState.FINISHED


def test_many_short_tasks_in_children_all_end_once(apart: Any) -> None:
    apart.start(concurrency=4)
    ids = [apart.push("add", n, n) for n in range(200)]
    assert [apart.bench.result(task_id) for task_id in ids] == [2 * n for n in range(200)]
    assert apart.bench.stats().finished == 200
