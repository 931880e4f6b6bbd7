"""A pipeline from the producer's side: one push, the states of all tasks, its result and its cancelation."""

from collections.abc import Sequence
from typing import Any

import pytest

from fairque.client import (
    After,
    BatchTooLarge,
    BulkReport,
    InvalidTask,
    Output,
    PartialPush,
    PipelineHandle,
    Priority,
    QueueFull,
    ResultExpired,
    Task,
    TaskCanceled,
    TaskConflict,
    TaskFailed,
    TaskNotFound,
    TaskQueue,
    TaskState,
    UnknownDependency,
    pipeline,
    task,
)
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.testing.internal import PATIENCE

S = TaskState


@task(name="pipelines.extract")
def extract() -> list[int]:
    return [1]


@task(name="pipelines.load")
def load(rows: Any, *, into: Any = None) -> int:
    return len([rows, into])


def step(name: str, **fields: Any) -> Task[Any]:
    return Task(func=name, task_id=name, **fields)


class TestPushing:
    def test_a_pipeline_is_pushed_in_one_call(self, queue: TaskQueue, spy: Any) -> None:
        handle = queue.push(step("a") >> [step("b"), step("c")] >> step("d"))
        assert spy.scripts == ["push"]
        assert isinstance(handle, PipelineHandle)
        assert handle.states() == {"a": S.QUEUED, "b": S.DEFERRED, "c": S.DEFERRED, "d": S.DEFERRED}

    def test_pushed_again_it_is_stored_once(self, queue: TaskQueue) -> None:
        made = step("a") >> step("b")
        queue.push(made)
        queue.push(made)
        assert queue.info().totals["pushed"] == 2

    def test_the_order_of_the_tasks_does_not_matter(self, queue: TaskQueue) -> None:
        first = extract.task()
        handle = queue.push(pipeline([load.task(first.output), first]))
        assert list(handle.states().values()) == [S.DEFERRED, S.QUEUED]

    def test_a_task_may_be_in_two_pipelines(self, queue: TaskQueue) -> None:
        first = step("a")
        queue.push(first >> step("b"))
        queue.push(first >> step("c"))
        assert queue.info().totals["pushed"] == 3

    def test_a_task_with_different_dependencies_in_two_pipelines_is_refused(self, queue: TaskQueue) -> None:
        last = step("c")
        queue.push(step("a") >> last)
        with pytest.raises(TaskConflict, match="task c exists with different content"):
            queue.push(step("b") >> last)
        with pytest.raises(TaskNotFound):
            queue.task("b").state()

    def test_tasks_without_a_user_and_priority_inherit_those_of_the_first_one(self, queue: TaskQueue) -> None:
        queue.push(step("a", user_id="bob", priority=Priority.HIGH) >> step("b") >> step("c"))
        info = queue.task("c").info()
        assert (info.user_id, info.priority) == ("bob", Priority.HIGH)

    def test_a_batch_may_be_in_any_order_but_chunks_must_be_ordered(self, queue: TaskQueue) -> None:
        first = extract.task()
        many = [load.task(first.output) for _ in range(1_200)]
        with pytest.raises(UnknownDependency):
            queue.push_many([*many, first], chunked=True)
        assert len(queue.push_many([first, *many], chunked=True)) == 1_201

    def test_chunks_are_cut_where_they_have_too_many_dependencies(self, queue: TaskQueue) -> None:
        above = [extract.task() for _ in range(101)]
        below = [extract.options(depends_on=above).task() for _ in range(101)]
        assert len(queue.push_many([*above, *below], chunked=True)) == 202
        assert queue.info().tasks[TaskState.DEFERRED] == 101

    def test_the_error_of_a_later_chunk_has_the_handles_pushed_before(self, queue: TaskQueue) -> None:
        many = [extract.task() for _ in range(1_000)]
        with pytest.raises(PartialPush) as caught:
            queue.push_many([*many, load.task(Output("nowhere"))], chunked=True)
        assert isinstance(caught.value.__cause__, UnknownDependency)
        assert len(caught.value.handles) == 1_000


class TestResults:
    def test_the_result_is_that_of_the_last_task(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        assert (worker.finish(1), worker.finish({"n": 2})) == ("a", "b")
        assert handle.result(10) == {"n": 2}

    def test_the_results_of_several_last_tasks_are_a_list_in_their_order(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> [step("b"), step("c") >> step("d")])
        ended = [worker.finish("x") for _ in range(4)]
        assert handle.result(10) == ["x", "x"]
        assert ended[0] == "a"

    def test_a_waiter_is_woken_by_the_last_ending(self, queue: TaskQueue, worker: Any, in_thread: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        waiting = in_thread(lambda: handle.result(15))
        worker.finish(1)
        worker.finish(2)
        assert waiting.outcome() == 2

    def test_tasks_that_have_not_ended_in_time_continue(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        worker.finish()
        with pytest.raises(TimeoutError, match="task"):
            handle.result(0)
        assert handle.wait(0) is S.QUEUED
        assert handle.states() == {"a": S.FINISHED, "b": S.QUEUED}

    def test_wait_returns_when_all_have_ended(self, queue: TaskQueue, worker: Any, in_thread: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        waiting = in_thread(lambda: handle.wait(15))
        worker.finish()
        worker.fail({})
        assert waiting.outcome() is S.FAILED
        assert handle.states() == {"a": S.FINISHED, "b": S.FAILED}

    @pytest.mark.parametrize("timeout", ["soon", True, float("nan")])
    def test_an_invalid_timeout_is_refused(self, queue: TaskQueue, timeout: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        for wait in (handle.wait, handle.result):
            with pytest.raises(TypeError, match="timeout must be a number of seconds"):
                wait(timeout)

    def test_the_state_of_an_expired_task_is_none(self, queue: TaskQueue, server: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        server.delete(f"{queue._link.keys.prefix}t:b")
        server.hdel(f"{queue._link.keys.prefix}a", "b")
        assert handle.states() == {"a": S.QUEUED, "b": None}


class TestState:
    def test_it_is_that_of_the_last_tasks_and_started_while_one_runs(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        assert handle.state() is S.DEFERRED
        held = worker.take()
        assert handle.state() is S.STARTED
        worker.end(held)
        assert handle.state() is S.QUEUED
        worker.finish()
        assert handle.state() is S.FINISHED

    def test_one_of_several_last_tasks_that_can_still_finish_keeps_it_open(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(pipeline([step("a"), step("b")]))
        worker.fail({})
        assert handle.state() is S.QUEUED
        worker.finish()
        assert handle.state() is S.FAILED

    def test_a_failure_that_canceled_the_last_task_makes_it_failed(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        worker.fail({})
        assert handle.wait(PATIENCE) is S.FAILED
        assert handle.states() == {"a": S.FAILED, "b": S.CANCELED}

    def test_a_failure_without_consequences_does_not_make_it_failed(self, queue: TaskQueue, worker: Any) -> None:
        first = step("a")
        handle = queue.push(first >> step("b", depends_on=After(first, on_failure="run")))
        worker.fail({})
        worker.finish()
        assert handle.state() is S.FINISHED

    def test_a_canceled_last_task_makes_it_canceled(self, queue: TaskQueue) -> None:
        handle = queue.push(step("a") >> step("b"))
        handle.task("a").cancel()
        assert handle.wait(PATIENCE) is S.CANCELED

    def test_it_expires_with_the_records_of_the_last_tasks(self, queue: TaskQueue, server: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        server.delete(f"{queue._link.keys.prefix}t:b")
        server.hdel(f"{queue._link.keys.prefix}a", "b")
        with pytest.raises(ResultExpired, match="the record of task b is gone"):
            handle.state()


class TestFailures:
    def test_the_error_is_that_of_the_failed_task(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b") >> step("c"))
        worker.fail({"type": "ValueError", "error": "no rows", "reason": "retries"})
        with pytest.raises(TaskFailed, match="task a failed: ValueError: no rows") as caught:
            handle.result(10)
        assert isinstance(caught.value.__cause__, TaskCanceled)

    def test_the_error_is_not_that_of_a_failure_without_consequences(self, queue: TaskQueue, worker: Any) -> None:
        last = step("c", depends_on=[After("a", on_failure="run"), "b"])
        handle = queue.push([step("a"), step("b")] >> last)
        worker.fail({"error": "no matter"})
        handle.task("b").cancel(reason="not today")
        with pytest.raises(TaskCanceled, match="task b was canceled: not today"):
            handle.result(10)

    def test_if_no_task_failed_the_error_is_that_of_the_task_canceled_first(self, queue: TaskQueue) -> None:
        handle = queue.push(step("a") >> [step("b"), step("c")] >> step("d"))
        handle.task("a").cancel(reason="it has a virus")
        with pytest.raises(TaskCanceled, match="task a was canceled: it has a virus") as caught:
            handle.result(10)
        assert isinstance(caught.value.__cause__, TaskCanceled)

    def test_a_last_task_that_was_canceled_itself_raises_its_own_reason(self, queue: TaskQueue) -> None:
        handle = queue.push(step("a") >> step("b"))
        handle.task("b").cancel(reason="not needed")
        handle.task("a").cancel(reason="not today")
        with pytest.raises(TaskCanceled, match="task b was canceled: not needed"):
            handle.result(10)

    def test_a_failure_also_propagates_along_outputs(self, queue: TaskQueue, worker: Any) -> None:
        first = extract.task()
        handle = queue.push(pipeline([first, load.task(first.output)]))
        worker.fail({"error": "no rows"})
        with pytest.raises(TaskFailed, match="no rows"):
            handle.result(10)

    def test_a_task_that_runs_despite_a_failure_returns_its_result(self, queue: TaskQueue, worker: Any) -> None:
        first = step("a")
        handle = queue.push(first >> step("b", depends_on=After(first, on_failure="run")))
        worker.fail({})
        worker.finish("cleaned up")
        assert handle.result(10) == "cleaned up"


class TestCanceling:
    def test_the_last_ones_are_canceled_first_so_that_none_becomes_runnable(
        self, queue: TaskQueue, worker: Any
    ) -> None:
        always = step("c", depends_on=After("b", on_failure="run"))
        handle = queue.push(step("a") >> step("b") >> always)
        held = worker.take()
        assert handle.cancel(reason="not today") == BulkReport(matched=3, changed=3, refused=0, scanned=3)
        worker.end(held)
        assert handle.states() == {"a": S.FINISHED, "b": S.CANCELED, "c": S.CANCELED}
        with pytest.raises(TaskCanceled, match="not today"):
            handle.result(0)

    def test_tasks_connected_by_outputs_are_canceled_in_the_same_order(self, queue: TaskQueue) -> None:
        first = extract.task()
        second = load.task(first.output)
        handle = queue.push(pipeline([first, second]))
        assert handle.cancel(reason="not today").changed == 2
        with pytest.raises(TaskCanceled, match="not today"):
            handle.task(second).result(0)

    def test_hundreds_are_canceled_in_a_few_round_trips(
        self, queue: TaskQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handle = queue.push(pipeline([step(f"t{number}") for number in range(250)]))
        sizes = []
        run_all = Runner.run_all

        def counted(runner: Runner, calls: Sequence[Call[Any]]) -> list[Any]:
            sizes.append(len(calls))
            return run_all(runner, calls)

        monkeypatch.setattr(Runner, "run_all", counted)
        assert handle.cancel().changed == 250
        assert (len(handle.tasks), sizes) == (250, [100, 100, 50])

    def test_those_that_have_ended_keep_their_ending(self, queue: TaskQueue, worker: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        worker.finish("done")
        assert handle.cancel() == BulkReport(matched=1, changed=1, refused=0, scanned=2)
        assert handle.states() == {"a": S.FINISHED, "b": S.CANCELED}

    def test_expired_tasks_are_skipped(self, queue: TaskQueue, worker: Any, server: Any) -> None:
        handle = queue.push(step("a") >> step("b"))
        worker.finish("done")
        server.delete(f"{queue._link.keys.prefix}t:a")
        server.hdel(f"{queue._link.keys.prefix}a", "a")
        assert handle.cancel() == BulkReport(matched=1, changed=1, refused=0, scanned=2)
        assert handle.states() == {"a": None, "b": S.CANCELED}


class TestHandles:
    def test_each_task_has_a_handle(self, queue: TaskQueue, worker: Any) -> None:
        first, last = step("a"), step("b")
        handle = queue.push(first >> last)
        worker.finish(5)
        assert handle.task(first).result(0) == handle.task("a").result(0) == 5
        assert list(handle.tasks) == ["a", "b"]

    def test_another_task_has_no_handle(self, queue: TaskQueue) -> None:
        with pytest.raises(KeyError, match="task x is not in this pipeline"):
            queue.push(step("a") >> step("b")).task("x")

    def test_a_deduplicated_task_has_the_handle_of_the_task_that_holds_the_key(
        self, queue: TaskQueue, worker: Any
    ) -> None:
        queue.push(step("holder", dedup_key="k"))
        handle = queue.push(step("a", dedup_key="k") >> step("b"))
        assert handle.task("a").task_id == "holder"
        assert worker.finish("x") == "holder"
        assert handle.states() == {"a": S.FINISHED, "b": S.QUEUED}

    def test_it_shows_how_many_tasks_it_has(self, queue: TaskQueue) -> None:
        assert repr(queue.push(step("a") >> step("b"))).startswith("PipelineHandle(2 tasks, queue='")


class TestBadInput:
    """Errors name the task and the argument, and nothing is written."""

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, queue: TaskQueue, server: Any) -> Any:
        yield
        assert not server.keys(f"{queue._link.keys.prefix}*")

    def test_the_output_of_a_task_that_was_never_pushed(self, queue: TaskQueue) -> None:
        first, second = extract.task(), load.task([extract.task().output])
        with pytest.raises(UnknownDependency) as caught:
            queue.push(pipeline([first, second]))
        error = caught.value
        assert (error.task_id, error.argument) == (second.task_id, "rows")
        assert str(error).startswith(
            f"task {second.task_id} depends on task {error.depends_on}, whose output is its argument 'rows' and which "
            f"queue {queue._link.keys.name!r} does not know: push it earlier, or in the same call"
        )

    @pytest.mark.parametrize(
        ("arguments", "argument"),
        [
            ({"args": [Output("nowhere")]}, "rows"),
            ({"args": [1], "kwargs": {"into": {"a": [Output("nowhere", "key")["b"]]}}}, "into"),
            ({"depends_on": "nowhere"}, ""),
        ],
    )
    def test_the_argument_is_named_wherever_the_output_is(
        self, queue: TaskQueue, arguments: Any, argument: str
    ) -> None:
        with pytest.raises(UnknownDependency) as caught:
            queue.push(Task(func=load, task_id="c", **arguments))
        assert (caught.value.task_id, caught.value.depends_on, caught.value.argument) == ("c", "nowhere", argument)
        assert ("whose output is its argument" in str(caught.value)) == bool(argument)

    def test_for_an_unknown_function_the_position_is_named(self, queue: TaskQueue) -> None:
        with pytest.raises(UnknownDependency, match=r"whose output is its argument 'args\[1\]'"):
            queue.push(step("elsewhere:f", args=[1, Output("nowhere")]))

    def test_the_output_of_a_task_of_another_queue(self, queue: TaskQueue, settings: Any) -> None:
        first = extract.task()
        with TaskQueue.from_url(settings.redis.url, queue=f"{settings.queue.name}-2", default_user_id="ann") as other:
            other.push(first)
            with pytest.raises(UnknownDependency, match="whose output is its argument 'rows'"):
                queue.push(load.task(first.output))
            other.task(first.task_id).cancel()

    def test_cycles_through_stages_and_through_outputs(self, queue: TaskQueue) -> None:
        first, last = step("a"), step("b")
        with pytest.raises(InvalidTask, match=r"cycle, so none could ever start: [ab] \([ab]\) -> [ab] \([ab]\) -> "):
            queue.push(first >> last >> first)
        one = load.options(task_id="one").task(Output("other"))
        other = load.options(task_id="other").task(1, into=one.output)
        with pytest.raises(
            InvalidTask, match=r"one \(pipelines.load, argument 'rows'\) -> other \(pipelines.load, argument 'into'\)"
        ):
            queue.push_many([one, other])

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ([{1, 2}], r"argument 'rows', args\[0\] is not a JSON value but builtins.set"),
            ([[Output("a"), b""]], r"argument 'rows', args\[0\]\[1\] is not a JSON value but builtins.bytes"),
            ([{Output("a"): 1}], r"argument 'rows', args\[0\] has the key Output"),
            (
                [extract.task()],
                r"argument 'rows', args\[0\] is not a JSON value but .*Task: pass its result, task\.output",
            ),
        ],
    )
    def test_a_value_that_is_not_json(self, queue: TaskQueue, arguments: Any, problem: str) -> None:
        with pytest.raises(InvalidTask, match=rf"task c \(pipelines.load\): {problem}"):
            queue.push(step("a") >> load.options(task_id="c").task(*arguments))

    def test_a_value_above_the_limit(self, queue: TaskQueue) -> None:
        large = load.options(task_id="c").task("x" * 300_000)
        with pytest.raises(InvalidTask, match=r"task c: the message has 300,.* bytes, allowed are 262,144"):
            queue.push(step("a") >> large)

    def test_more_tasks_than_a_call_accepts(self, queue: TaskQueue) -> None:
        with pytest.raises(BatchTooLarge, match=r"1,001 tasks in one push"):
            queue.push(pipeline([extract.task() for _ in range(1_001)]))

    def test_more_dependencies_than_a_call_accepts(self, queue: TaskQueue) -> None:
        with pytest.raises(BatchTooLarge, match=r"10,201 dependencies: an atomic call takes at most 10,000"):
            queue.push(pipeline([extract.task() for _ in range(101)]) >> [extract.task() for _ in range(101)])
        lone = extract.options(depends_on=[f"p{n}" for n in range(10_001)]).task()
        with pytest.raises(BatchTooLarge, match=r"10,001 dependencies"):
            queue.push_many([lone], chunked=True)

    @pytest.mark.parametrize("thing", [[step("a")], extract, Output("a"), None, "a"])
    def test_only_tasks_and_pipelines_are_pushed(self, queue: TaskQueue, thing: Any) -> None:
        with pytest.raises(InvalidTask, match="only a task can be pushed, not "):
            queue.push(thing)


def test_a_pipeline_above_the_backlog_is_refused_as_a_whole(queue: TaskQueue) -> None:
    queue.set(backlog=1)
    with pytest.raises(QueueFull):
        queue.push(step("a") >> step("b"))
    assert queue.info().totals["pushed"] == 0
