"""Values from task to task: outputs among arguments, XCom, and what a task without them is told."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.model.dependencies import After
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.xcom import MAX_XCOM_BYTES, Pull, mark_xcom
from fairque.protocol.wire.jsonvalue import loads
from fairque.worker import Task, TaskContext, TaskHandler, current_context

if TYPE_CHECKING:
    from tests.conftest import Bench


def extract() -> dict[str, Any]:
    return {"rows": [1, 2, 3], "name": "ä"}


def echo(*args: Any, **kwargs: Any) -> Any:
    return [list(args), kwargs]


def fails() -> None:
    raise ValueError("no rows")


def leave(key: str, value: Any) -> str:
    current_context().xcom.push(key, value)
    return "done"


def fetch(key: str, task: str | None = None) -> Any:
    return current_context().xcom.pull(key, task)


class TestOutputs:
    def test_an_output_is_replaced_by_the_result(self, bench: "Bench") -> None:
        bench.start(extract, echo)
        one = bench.task(extract)
        two = bench.task(echo, one.output, kwargs={"into": one.output})
        bench.push_all([two, one])
        assert bench.result(two.task_id) == [[extract()], {"into": extract()}]

    def test_outputs_stand_anywhere_among_the_arguments_and_may_be_parts(self, bench: "Bench") -> None:
        bench.start(extract, echo)
        one: Any = bench.task(extract)
        two = bench.task(echo, [1, {"row": one.output["rows"][-1]}], 2, kwargs={"n": (one.output["name"],)})
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [[[1, {"row": 3}], 2], {"n": ["ä"]}]

    def test_a_task_pushed_later_gets_it_too(self, bench: "Bench") -> None:
        bench.start(extract, echo)
        one = bench.task(extract)
        bench.push_all([one])
        bench.result(one.task_id)
        two = bench.task(echo, one.output)
        bench.push_all([two])
        assert bench.result(two.task_id) == [[extract()], {}]

    def test_a_result_of_nothing_is_none(self, bench: "Bench") -> None:
        bench.start(echo, nothing)
        one = bench.task(nothing)
        two = bench.task(echo, one.output)
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [[None], {}]

    def test_it_is_canceled_with_a_task_that_fails(self, bench: "Bench") -> None:
        bench.start(fails, echo)
        one = bench.task(fails, retries=0)
        two = bench.task(echo, one.output)
        bench.push_all([one, two])
        assert "on which it depends" in bench.reaches(two.task_id, TaskState.CANCELED)

    def test_a_task_that_runs_after_a_failure_has_no_output_of_it(self, bench: "Bench") -> None:
        bench.start(fails, echo)
        one = bench.task(fails, retries=0)
        two = bench.task(echo, one.output, depends_on=[After(one.task_id, on_failure="run")])
        bench.push_all([one, two])
        error = bench.error(two.task_id)
        assert (error["type"], error["reason"], error["attempts"]) == ("OutputMissing", "input", 1)
        assert error["error"] == (
            f"task {two.task_id}, argument 'args[0]': the output of task {one.task_id} cannot be had: "
            "that task is FAILED"
        )

    def test_a_part_that_is_not_there_is_told(self, bench: "Bench") -> None:
        bench.start(extract, echo)
        one: Any = bench.task(extract)
        two = bench.task(echo, kwargs={"row": one.output["rows"][3]})
        bench.push_all([one, two])
        error = bench.error(two.task_id)["error"]
        assert error.endswith(
            f"argument 'row': the output of task {one.task_id}['rows'][3] cannot be had: there is nothing at 3"
        )

    def test_more_tasks_than_one_call_reads_give_their_outputs(self, bench: "Bench") -> None:
        bench.start(echo)
        parts = [bench.task(echo, n) for n in range(130)]
        whole = bench.task(echo, [part.output[0][0] for part in parts])
        bench.push_all([whole, *parts])
        assert bench.result(whole.task_id) == [[list(range(130))], {}]


def nothing() -> None:
    return None


class TestXCom:
    def test_a_value_is_pulled_by_its_key(self, bench: "Bench") -> None:
        bench.start(leave, fetch)
        one = bench.task(leave, "rows", [1, 2])
        two = bench.task(fetch, "rows", depends_on=one)
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [1, 2]

    def test_of_several_tasks_the_one_is_named_by_its_function_or_id(self, bench: "Bench") -> None:
        bench.start(leave, put, fetch)
        one, other = bench.task(leave, "rows", 1), bench.task(put)
        by_name = bench.task(fetch, "rows", "put", depends_on=[one, other])
        by_id = bench.task(fetch, "rows", one.task_id, depends_on=[one, other])
        bench.push_all([one, other, by_name, by_id])
        assert (bench.result(by_name.task_id), bench.result(by_id.task_id)) == ("put", 1)

    def test_several_of_them_without_a_name_are_an_error(self, bench: "Bench") -> None:
        bench.start(leave, put, fetch)
        one, other = bench.task(leave, "rows", 1), bench.task(put)
        two = bench.task(fetch, "rows", depends_on=[one, other], retries=0)
        bench.push_all([one, other, two])
        assert "pulls 'rows', which 2 tasks before it have left: say whose" in bench.error(two.task_id)["error"]

    def test_a_key_that_nobody_left_is_an_error_that_says_what_there_is(self, bench: "Bench") -> None:
        bench.start(leave, fetch)
        one = bench.task(leave, "rows", 1)
        two = bench.task(fetch, "row", depends_on=one)
        bench.push_all([one, two])
        error = bench.error(two.task_id)
        assert (error["type"], error["reason"]) == ("OutputMissing", "input")
        assert "pulls 'row', but the tasks on which it depends have left 'rows' of leave." in error["error"]

    def test_a_task_that_depends_on_none_can_pull_none(self, bench: "Bench") -> None:
        bench.start(fetch)
        two = bench.push(fetch, "rows", retries=0)
        assert "depends on no other task" in bench.error(two)["error"]

    def test_a_value_may_be_an_argument(self, bench: "Bench") -> None:
        bench.start(leave, echo)
        one = bench.task(leave, "rows", {"a": [5, 6]})
        two = bench.task(echo, one.xcom("rows")["a"][1])
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [[6], {}]

    def test_nothing_is_left_by_an_attempt_that_fails(self, bench: "Bench") -> None:
        bench.start(leave_at_first, fetch)
        one = bench.task(leave_at_first, retry=None, retries=1)
        two = bench.task(fetch, "rows", depends_on=one)
        bench.push_all([one, two])
        assert "have left nothing" in bench.error(two.task_id)["error"]

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ({1, 2}, "the value 'rows' of its XCom is no JSON value but builtins.set"),
            (float("nan"), "the value 'rows' of its XCom is nan"),
            ("x" * MAX_XCOM_BYTES, "with the value 'rows' its XCom has 262,1.. bytes, allowed are 262,144"),
        ],
    )
    def test_a_value_that_cannot_be_left_fails_the_attempt(self, bench: "Bench", value: Any, problem: str) -> None:
        def leaves() -> None:
            current_context().xcom.push("rows", value)

        bench.start(leaves)
        one = bench.push(leaves, retries=0)
        error = bench.error(one)["error"]
        assert one in error
        assert re.search(problem, error)

    def test_values_travel_between_coroutines(self, bench: "Bench") -> None:
        async def leaves() -> None:
            current_context().xcom.push("rows", 7)

        async def fetches() -> Any:
            return await asyncio.to_thread(current_context().xcom.pull, "rows")

        bench.start(leaves, fetches)
        one = bench.task(leaves)
        two = bench.task(fetches, depends_on=one)
        bench.push_all([one, two])
        assert bench.result(two.task_id) == 7


def put() -> None:
    current_context().xcom.push("rows", "put")


def leave_at_first() -> None:
    context = current_context()
    if context.attempt == 1:
        context.xcom.push("rows", 1)
        raise ValueError("the first attempt fails")


class TestDecoratedFunctions:
    def test_a_result_is_left_under_its_keys_and_pulled_into_parameters(self, bench: "Bench") -> None:
        def make() -> int:
            return 5

        def use(factor: int, *, rows: int) -> int:
            return factor * rows

        mark_xcom(make, pushes=("rows", "all"))
        mark_xcom(use, pulls=[Pull("rows", "rows", "make")])
        bench.start(make, use)
        one = bench.task(make)
        two = bench.task(use, 3, depends_on=one)
        bench.push_all([one, two])
        assert bench.result(two.task_id) == 15
        assert loads(bench.client.get(f"{bench.keys.prefix}x:{one.task_id}"))["values"] == {"rows": 5, "all": 5}

    def test_so_is_what_a_coroutine_returns(self, bench: "Bench") -> None:
        async def make() -> int:
            await asyncio.sleep(0)
            return 5

        mark_xcom(make, pushes=("rows",))
        bench.start(make, fetch)
        one = bench.task(make)
        two = bench.task(fetch, "rows", depends_on=one)
        bench.push_all([one, two])
        assert (bench.result(one.task_id), bench.result(two.task_id)) == (5, 5)

    def test_a_parameter_that_cannot_be_pulled_is_named(self, bench: "Bench") -> None:
        def use(*, rows: int) -> int:
            return rows

        mark_xcom(use, pulls=[Pull("rows", "raw", None)])
        bench.start(echo, use)
        one = bench.task(echo)
        two = bench.task(use, depends_on=one)
        bench.push_all([one, two])
        assert bench.error(two.task_id)["error"].startswith(f"argument 'rows' of use: task {two.task_id} pulls 'raw'")


class Remembers(TaskHandler):
    """Keeps whose and how urgent the tasks were."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str | None, Priority | None, str]] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> None:
        self.seen[task.task_id] = (task.user_id, task.priority, ctx.user_id)


def test_a_handler_sees_the_user_and_the_priority_that_a_task_inherited(bench: "Bench") -> None:
    handler = Remembers()
    bench.start(handler)
    one = bench.task(None, user="ann", priority=Priority.HIGH)
    two = Task.create(depends_on=one)
    bench.push_all([one, two])
    bench.result(two.task_id)
    assert handler.seen[two.task_id] == ("ann", Priority.HIGH, "ann")
