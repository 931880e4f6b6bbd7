"""Values from task to task: outputs among arguments, XCom, and the errors of a task without them."""

import asyncio
import os
import re
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from fairque.protocol.errors import InputsTooLarge, RedisUnavailable
from fairque.protocol.jsonvalue import dumps, loads
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.model.retry import Snooze
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.xcom import MAX_XCOM_BYTES, Pull, XComUse, mark_xcom
from fairque.protocol.wire.codec import decode_task, encode_task
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, eventually
from fairque.worker import Task, TaskContext, TaskHandler, Worker, current_context
from fairque.worker.child import _Desk
from fairque.worker.handling.inputs import Inputs
from fairque.worker.handling.xcom import pulled
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.children import _serve

if TYPE_CHECKING:
    from tests.conftest import Bench


def extract() -> dict[str, Any]:
    return {"rows": [1, 2, 3], "name": "ä"}


def echo(*args: Any, **kwargs: Any) -> Any:
    return [list(args), kwargs]


def fails(rows: Any = None) -> None:
    raise ValueError(f"no rows: {rows!r:.80}")


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
            f"task {two.task_id}, argument 'args[0]': the output of task {one.task_id} is not available: "
            "that task is FAILED"
        )

    def test_a_missing_part_is_named_in_the_error(self, bench: "Bench") -> None:
        bench.start(extract, echo)
        one: Any = bench.task(extract)
        two = bench.task(echo, kwargs={"row": one.output["rows"][3]})
        bench.push_all([one, two])
        error = bench.error(two.task_id)["error"]
        assert error.endswith(
            f"argument 'row': the output of task {one.task_id}['rows'][3] is not available: there is nothing at 3"
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

    def test_a_pull_names_one_of_several_tasks_by_its_function_or_id(self, bench: "Bench") -> None:
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
        assert (
            "pulls 'rows', which 2 of its dependencies have pushed: give the function"
            in bench.error(two.task_id)["error"]
        )

    def test_the_error_of_a_missing_key_lists_the_existing_keys(self, bench: "Bench") -> None:
        bench.start(leave, fetch)
        one = bench.task(leave, "rows", 1)
        two = bench.task(fetch, "row", depends_on=one)
        bench.push_all([one, two])
        error = bench.error(two.task_id)
        assert (error["type"], error["reason"]) == ("OutputMissing", "input")
        assert "pulls 'row', but its dependencies have pushed 'rows' of leave." in error["error"]

    def test_a_task_without_dependencies_cannot_pull(self, bench: "Bench") -> None:
        bench.start(fetch)
        error = bench.error(bench.push(fetch, "rows"))
        assert "does not depend on any task" in error["error"]
        assert (error["type"], error["reason"], error["attempts"]) == ("OutputMissing", "input", 1)

    def test_a_value_may_be_an_argument(self, bench: "Bench") -> None:
        bench.start(leave, echo)
        one = bench.task(leave, "rows", {"a": [5, 6]})
        two = bench.task(echo, one.xcom("rows")["a"][1])
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [[6], {}]

    def test_an_attempt_that_fails_stores_no_values(self, bench: "Bench") -> None:
        bench.start(leave_at_first, fetch)
        one = bench.task(leave_at_first, backoff=None, retries=1)
        two = bench.task(fetch, "rows", depends_on=one)
        bench.push_all([one, two])
        assert "have pushed nothing" in bench.error(two.task_id)["error"]

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ({1, 2}, "the value 'rows' of its XCom is not a JSON value but builtins.set"),
            (float("nan"), "the value 'rows' of its XCom is nan"),
            ("x" * MAX_XCOM_BYTES, "with the value 'rows' its XCom has 262,1.. bytes, allowed are 262,144"),
        ],
    )
    def test_a_value_that_cannot_be_stored_fails_the_attempt(self, bench: "Bench", value: Any, problem: str) -> None:
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
    def test_a_result_is_stored_under_its_keys_and_pulled_into_parameters(self, bench: "Bench") -> None:
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

    def test_the_result_of_a_coroutine_is_stored_too(self, bench: "Bench") -> None:
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

    def test_a_function_may_pull_values_and_take_its_context(self, bench: "Bench") -> None:
        def use(before: int, rows: int, ctx: TaskContext, behind: int = 0) -> Any:
            return [before, rows, ctx.attempt, behind]

        mark_xcom(use, pulls=[Pull("rows", "rows", None)])
        bench.start(put, use)
        one = bench.task(put)
        two = bench.task(use, 1, kwargs={"behind": 2}, depends_on=one)
        bench.push_all([one, two])
        assert bench.result(two.task_id) == [1, "put", 1, 2]


class TestDeduplicatedParents:
    """Another task replaces the parent, since it holds its deduplication key."""

    def test_its_result_and_its_values_are_the_inputs(self, bench: "Bench") -> None:
        bench.start(leave, echo, fetch)
        holder = bench.task(leave, "rows", [1], dedup_key="k", delay=0.2)
        bench.push_all([holder])
        one = bench.task(leave, "rows", [2], dedup_key="k")
        whole, part = bench.task(echo, one.output), bench.task(echo, one.xcom("rows")[0])
        pulled = bench.task(fetch, "rows", one.task_id, depends_on=one)
        bench.push_all([one, whole, part, pulled])
        assert bench.result(whole.task_id) == [["done"], {}]
        assert bench.result(part.task_id) == [[1], {}]
        assert bench.result(pulled.task_id) == [1]


class TestExpiredInputs:
    """A task runs again after its parents have expired."""

    def run_again(self, bench: "Bench", one: Task[Any], two: Task[Any]) -> Any:
        bench.start(leave, fails)
        bench.push_all([one, two])
        bench.error(two.task_id)
        bench.client.delete(*(f"{bench.keys.prefix}{kind}:{one.task_id}" for kind in "trxd"))
        redriven, *_ = bench.run(calls.redrive(bench.keys, [two.task_id], result_ttl_ms=60_000))
        assert redriven.code is Status.OK
        eventually(lambda: bench.info(two.task_id).attempts == 2, what="another attempt")
        return bench.error(two.task_id)

    def test_the_error_of_an_output_names_task_and_argument(self, bench: "Bench") -> None:
        one = bench.task(leave, "rows", 1)
        two = bench.task(fails, kwargs={"rows": [one.output]}, retries=0)
        error = self.run_again(bench, one, two)
        assert (error["type"], error["reason"]) == ("OutputMissing", "input")
        assert error["error"] == (
            f"task {two.task_id}, argument 'rows': the output of task {one.task_id} is not available: "
            "that task is no longer known"
        )

    def test_the_error_of_a_key_names_the_expired_task(self, bench: "Bench") -> None:
        mark_xcom(fails, pulls=[Pull("rows", "rows", None)])
        one = bench.task(leave, "rows", 1)
        two = bench.task(fails, depends_on=one, retries=0)
        try:
            error = self.run_again(bench, one, two)
        finally:
            del fails.__fairque_xcom__  # type: ignore[attr-defined]  # the other tests know nothing of it
        assert (error["type"], error["reason"]) == ("OutputMissing", "input")
        assert error["error"].startswith(
            f"argument 'rows' of fails: task {two.task_id} pulls 'rows', but its dependencies have pushed "
            f"nothing; {one.task_id} is no longer known."
        )


class TestServerAway:
    """A task whose inputs cannot be read is retried without counting that."""

    def away(self, *_: Any) -> Any:
        raise RedisUnavailable("the server is away")

    def test_a_task_that_takes_outputs_is_snoozed(self, bench: "Bench") -> None:
        task = decode_task(encode_task(bench.task(echo, bench.task(extract).output)).data)
        with pytest.raises(Snooze) as caught:
            Inputs(self.away, 1_000).filled(task)
        assert isinstance(caught.value.__cause__, RedisUnavailable)

    def test_a_task_that_pulls_values_is_snoozed(self, bench: "Bench") -> None:
        context = TaskContext(bench.task(fetch, depends_on="p"), attempt=1, fence=1, deadline=0, read=self.away)
        with pytest.raises(Snooze):
            pulled(XComUse(pulls=(Pull("rows", "rows", None),)), context)

    def test_a_task_in_a_child_process_is_snoozed_too(self) -> None:
        ours, theirs = (Channel(end) for end in socket.socketpair())
        desk = _Desk(theirs)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(desk.read, "7:ab", "c", ["p"])
            context: Any = SimpleNamespace(task_id="c")
            child: Any = SimpleNamespace(channel=ours)
            _serve(child, context, ours.receive(5) or {}, self.away)
            desk._left.put(theirs.receive(5))
            with pytest.raises(RedisUnavailable, match="the server is away"):
                asked.result(5)
        ours.close()
        theirs.close()


class TestTooMuch:
    """The outputs that one task takes have a limit: a worker holds at most that and one part."""

    LIMIT = 10_000

    def inputs(self, size: int) -> tuple[Inputs, list[int]]:
        """Inputs that read from a queue with any number of results of one size, and how many they have read."""
        read: list[int] = []

        def a_piece(_: str, task_ids: Sequence[str]) -> list[StoredOutputs]:
            read.append(min(3, len(task_ids)))
            result, xcom = dumps("x" * (size - 2)), dumps({"func": "f", "values": {"k": "x" * size}})
            return [StoredOutputs(TaskState.FINISHED, result, xcom) for _ in task_ids[:3]]

        return Inputs(a_piece, self.LIMIT), read

    def test_reading_stops_as_soon_as_it_is_and_the_error_names_limit_and_tasks(self, bench: "Bench") -> None:
        inputs, read = self.inputs(2_000)
        parents = [bench.task(extract) for _ in range(2_000)]
        task = decode_task(encode_task(bench.task(echo, [one.output for one in parents])).data)
        with pytest.raises(InputsTooLarge) as caught:
            inputs.filled(task)
        assert sum(read) == 6
        assert str(caught.value).startswith(
            f"task {task.task_id} takes the outputs of 2,000 tasks: those of the first 6 have 12,000 bytes, allowed "
            "are 10,000 for all together (queue.input_limit). The largest are of task "
        )
        assert parents[0].task_id in str(caught.value)

    def test_what_is_not_taken_does_not_count(self, bench: "Bench") -> None:
        inputs, _ = self.inputs(900)
        assert len(inputs.pushed_values("t", [f"p{n}" for n in range(10)])) == 10
        with pytest.raises(InputsTooLarge):
            inputs.pushed_values("t", [f"p{n}" for n in range(12)])
        parents = [bench.task(extract) for _ in range(10)]
        task = bench.task(echo, [one.output for one in parents])
        assert len(inputs.filled(decode_task(encode_task(task).data)).args[0]) == 10

    @pytest.mark.parametrize("isolation", ["thread", "process"])
    def test_such_a_task_fails_at_once_and_its_neighbours_continue(
        self, bench: "Bench", isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = f"tasks_large_{os.getpid()}_{isolation}"
        (tmp_path / f"{module}.py").write_text(
            "from fairque.worker import current_context\n"
            "def leave(size):\n    current_context().xcom.push('k', 'x' * size)\n    return 'x' * size\n"
            "def count(rows):\n    return sum(map(len, rows))\n"
            "def pull():\n    return current_context().xcom.pull('k')\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        settings = bench.settings(modules=(module,), isolation=isolation)
        worker = Worker(evolve(settings, queue=evolve(settings.queue, input_limit=1_000_000)))
        bench._workers.append(worker)
        worker.start()
        parents = [bench.task(f"{module}:leave", 100_000) for _ in range(11)]
        few = bench.task(f"{module}:count", [one.output for one in parents[:9]])
        many = bench.task(f"{module}:count", [one.output for one in parents], retries=3)
        pulls = bench.task(f"{module}:pull", depends_on=parents, retries=3)
        bench.push_all([*parents, few, many, pulls])
        assert bench.result(few.task_id) == 900_000
        for task in (many, pulls):
            error = bench.error(task.task_id)
            assert (error["type"], error["reason"], error["attempts"]) == ("InputsTooLarge", "input", 1)
            assert "allowed are 1,000,000 for all together (queue.input_limit)" in error["error"]
        sys.modules.pop(module, None)

    def test_a_child_gets_the_inputs_in_parts(
        self, bench: "Bench", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        module = f"tasks_pieces_{os.getpid()}"
        (tmp_path / f"{module}.py").write_text(
            "def leave():\n    return '\"' * 100_000\ndef count(rows):\n    return sum(map(len, rows))\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        worker = Worker(bench.settings(modules=(module,), isolation="process", concurrency=1))
        bench._workers.append(worker)
        sizes: list[int] = []
        send = Channel.send_packed

        def sent(channel: Channel, data: bytes) -> None:
            sizes.append(len(data))
            send(channel, data)

        monkeypatch.setattr(Channel, "send_packed", sent)
        worker.start()
        parents = [bench.task(f"{module}:leave", isolation="thread") for _ in range(150)]
        all_of_them = bench.task(f"{module}:count", [one.output for one in parents], timeout=60)
        bench.push_all([*parents, all_of_them])
        assert bench.reaches(all_of_them.task_id, TaskState.FINISHED) == 15_000_000
        # 30 MB of JSON, of which the quotes are escaped once more.
        assert sum(sizes) > 50_000_000
        assert max(sizes) < 10_000_000


class Hears(TaskHandler):
    """Records the failures of which its hook was called."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bool]] = []

    def handle(self, task: Task[Any], _: TaskContext) -> None:
        if task.payload == "fails":
            raise ValueError

    def on_failure(self, _: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:
        self.heard.append((ctx.task_id, type(error).__name__, final))


def test_on_failure_is_called_for_a_task_whose_inputs_are_missing(bench: "Bench") -> None:
    handler = Hears()
    bench.start(handler)
    one = bench.task(None, payload="fails", retries=0)
    two = bench.task(None, one.output, depends_on=After(one.task_id, on_failure="run"))
    bench.push_all([one, two])
    bench.error(two.task_id)
    eventually(lambda: len(handler.heard) == 2, what="both hooks")
    assert handler.heard[1] == (two.task_id, "OutputMissing", True)


class Remembers(TaskHandler):
    """Records the users and priorities of the tasks."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str | None, Priority | None, str]] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> None:
        self.seen[task.task_id] = (task.user_id, task.priority, ctx.user_id)


def test_a_handler_sees_the_user_and_the_priority_that_a_task_inherited(bench: "Bench") -> None:
    handler = Remembers()
    bench.start(handler)
    one = bench.task(None, user="ann", priority=Priority.HIGH)
    two = Task(depends_on=one)
    bench.push_all([one, two])
    bench.result(two.task_id)
    assert handler.seen[two.task_id] == ("ann", Priority.HIGH, "ann")
