"""XCom: what a task may push and pull, and the errors otherwise."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask, OutputMissing
from fairque.protocol.jsonvalue import dumps, loads
from fairque.protocol.model.outputs import Output, StoredOutputs
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import MAX_XCOM_BYTES, Pull, XCom, XComUse, encode_xcom, mark_xcom, xcom_use

texts = st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)


def left(state: TaskState | None = TaskState.FINISHED, func: str | None = "f", **pushed: Any) -> StoredOutputs:
    return StoredOutputs(state, b"", dumps({"func": func, "values": pushed}) if pushed else b"")


class Before:
    """The stored outputs of dependencies, by task id, and how often they were read."""

    def __init__(self, **tasks: StoredOutputs) -> None:
        self.tasks = tasks
        self.asked: list[list[str]] = []
        self.pushed: dict[str, bytes] = {}

    def read(self, task_ids: Sequence[str]) -> list[StoredOutputs]:
        self.asked.append(list(task_ids))
        return [self.tasks[task_id] for task_id in task_ids]

    @property
    def stored(self) -> bytes:
        return encode_xcom("child", self.pushed)

    def xcom(self) -> XCom:
        task: Task[Any] = Task(task_id="c", func="child", depends_on=tuple(self.tasks))
        return XCom(task, self.read, self.pushed)


def source() -> None:
    pass


class TestPushing:
    @given(st.lists(st.tuples(keys, values), max_size=5))
    def test_a_pushed_value_can_be_pulled(self, pushed: list[tuple[str, Any]]) -> None:
        before = Before()
        one = before.xcom()
        for key, value in pushed:
            one.push(key, value)
        found = StoredOutputs(TaskState.FINISHED, b"", before.stored)
        assert found.values == dict(pushed)
        assert found.func == ("child" if pushed else None)
        for key, value in dict(pushed).items():
            assert Output("c", key).value_in(found) == value

    def test_nothing_is_stored_if_nothing_was_pushed(self) -> None:
        assert Before().stored == b""

    def test_a_value_is_encoded_when_it_is_pushed(self) -> None:
        before, rows = Before(), [1]
        one = before.xcom()
        one.push("rows", rows)
        rows.append(object())  # type: ignore[arg-type]  # as code does that continues with its list
        assert loads(before.stored)["values"] == {"rows": [1]}

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ({1}, "is not a JSON value but builtins.set"),
            ([{"a": b""}], r"\[0\]\['a'\] is not a JSON value but builtins.bytes"),
            (float("inf"), "is inf"),
            ({1: 2}, "has the key 1 of type int"),
            ("\ud800", "is not valid Unicode text"),
            ([10**5_000], r"\[0\] is a number with more than 4,300 digits"),
            (Output("p"), "is not a JSON value but .*Output: outputs of other tasks are allowed in args"),
            (Task(task_id="t"), r"is not a JSON value but .*Task: pass its result, task\.output"),
        ],
    )
    def test_a_value_that_is_not_json_is_reported_with_task_and_key(self, value: Any, problem: str) -> None:
        before = Before()
        one = before.xcom()
        one.push("kept", 1)
        with pytest.raises(InvalidTask, match=f"^task c: the value 'rows' of its XCom ?{problem}"):
            one.push("rows", value)
        assert loads(before.stored)["values"] == {"kept": 1}

    @pytest.mark.parametrize("key", ["", "a\nb", "x" * 129, 5, None])
    def test_an_invalid_key_is_refused(self, key: Any) -> None:
        with pytest.raises(InvalidTask, match="key "):
            Before().xcom().push(key, 1)

    def test_the_total_size_of_all_values_is_limited(self) -> None:
        before = Before()
        one = before.xcom()
        room = MAX_XCOM_BYTES - len('{"a":"","b":""}')
        one.push("a", "x" * (room - 10))
        one.push("b", "y" * 10)
        with pytest.raises(
            InvalidTask, match=r"task c: with the value 'b' its XCom has 262,145 bytes, allowed are 262,144: store it"
        ):
            one.push("b", "y" * 11)
        assert loads(before.stored)["values"]["b"] == "y" * 10


class TestPulling:
    def test_the_task_that_pushed_the_key_is_found(self) -> None:
        one = Before(p=left(rows=[1]), q=left(n=2), r=left()).xcom()
        assert (one.pull("rows"), one.pull("n")) == ([1], 2)

    def test_outputs_are_read_once(self) -> None:
        before = Before(p=left(rows=1), q=left(n=2))
        one = before.xcom()
        one.pull("rows")
        one.pull("n")
        assert before.asked == [["p", "q"]]

    def test_each_pull_returns_a_separate_value(self) -> None:
        one = Before(p=left(rows=[1])).xcom()
        one.pull("rows").append(2)
        assert one.pull("rows") == [1]

    @pytest.mark.parametrize("wanted", ["q", "g", Task(task_id="q")])
    def test_one_of_several_is_selected_by_id_function_name_or_task(self, wanted: Any) -> None:
        assert Before(p=left(rows=1), q=left(func="g", rows=2)).xcom().pull("rows", wanted) == 2

    def test_one_of_several_is_selected_by_the_function(self) -> None:
        name = f"{source.__module__}:source"
        assert Before(p=left(rows=1), q=left(func=name, rows=2)).xcom().pull("rows", source) == 2

    def test_several_sources_without_a_selection_are_an_error(self) -> None:
        with pytest.raises(
            InvalidTask, match="task c pulls 'rows', which 2 of its dependencies have pushed: give the function"
        ):
            Before(p=left(rows=1), q=left(rows=2)).xcom().pull("rows")

    def test_the_error_for_a_missing_key_lists_the_available_ones(self) -> None:
        with pytest.raises(
            OutputMissing,
            match=r"task c pulls 'row' of 'p', but its dependencies have pushed 'rows' of f, 'n' of q\.",
        ):
            Before(p=left(rows=1), q=left(func=None, n=2)).xcom().pull("row", "p")

    def test_the_error_lists_unfinished_tasks_with_their_states(self) -> None:
        before = Before(p=left(None), q=left(TaskState.FAILED), r=left(TaskState.CANCELED), s=left(None), t=left(None))
        with pytest.raises(
            OutputMissing,
            match=r"have pushed nothing; p is no longer known; q is FAILED; r is CANCELED; 2 others have not finished",
        ):
            before.xcom().pull("rows")

    def test_a_task_without_dependencies_cannot_pull(self) -> None:
        with pytest.raises(OutputMissing, match="task c does not depend on any task, and can pull values only from"):
            Before().xcom().pull("rows")


def test_uses_of_a_function_accumulate() -> None:
    def func(rows: int) -> None: ...

    assert xcom_use(func) == XComUse()
    mark_xcom(func, pushes=["a"])
    mark_xcom(func, pushes=["b"], pulls=[Pull("rows", "raw", None)])
    assert xcom_use(func) == XComUse(("a", "b"), (Pull("rows", "raw", None),))
