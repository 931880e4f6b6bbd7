"""Outputs: the operations of a placeholder, and how it is replaced with its value."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask, OutputMissing, ProtocolError
from fairque.protocol.jsonvalue import MAX_DEPTH, check_json
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import Input, Output, StoredOutputs, edges, extract_outputs, fill_in
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task

OUTPUT = Output("p")
ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
steps = st.text(max_size=5) | st.integers()
outputs = st.builds(Output, ids, st.none() | ids, st.lists(steps, max_size=3).map(tuple))
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | outputs,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def count(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(count, value))
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return isinstance(value, Output)


class TestReferences:
    def test_a_task_has_placeholders_for_its_result_and_pushed_values(self) -> None:
        task: Task[Any] = Task(task_id="p")
        assert task.output == Output("p")
        assert task.xcom("rows") == Output("p", "rows")

    def test_a_part_is_a_placeholder_too(self) -> None:
        assert OUTPUT["rows"][0][-1] == Output("p", None, ("rows", 0, -1))
        assert OUTPUT.path == ()

    @pytest.mark.parametrize("step", [slice(1, 2), 1.5, None, True, (1, 2), OUTPUT])
    def test_a_part_has_a_key_or_an_index(self, step: Any) -> None:
        with pytest.raises(InvalidTask, match="a part of an output is selected by a string or a whole number, not "):
            OUTPUT[step]

    @pytest.mark.parametrize(
        ("deed", "word"),
        [
            (list, "iterated over"),
            (lambda o: [*o], "iterated over"),
            (lambda o: 1 in o, "searched"),
            (len, "counted"),
            (bool, "tested"),
            (lambda o: o or 5, "tested"),
            (lambda o: f"/data/{o}", "formatted"),
            ("{}".format, "formatted"),
        ],
    )
    def test_other_operations_on_a_placeholder_are_refused(self, deed: Callable[[Any], Any], word: str) -> None:
        with pytest.raises(TypeError, match=rf"the output of task p\['a'\] cannot be {word} here: its value is known"):
            deed(OUTPUT["a"])

    def test_a_placeholder_can_be_shown_copied_and_pickled(self) -> None:
        part = OUTPUT["a"]
        assert repr(part) == "Output(task_id='p', key=None, path=('a',))"
        assert copy.deepcopy(part) == pickle.loads(pickle.dumps(part)) == part  # noqa: S301 - our own bytes

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("",), "the task of an output is empty"),
            ((5,), "the task of an output must be a string, not int"),
            (("a\nb",), "the task of an output .* control characters"),
            (("p", ""), "key is empty"),
            (("p", 5), "key must be a string, not int"),
        ],
    )
    def test_a_placeholder_needs_a_valid_task_id_and_key(self, arguments: Any, problem: str) -> None:
        with pytest.raises(InvalidTask, match=problem):
            Output(*arguments)

    @pytest.mark.parametrize("key", ["", 5, None, "x" * 129])
    def test_the_placeholders_of_a_task_need_a_valid_key(self, key: Any) -> None:
        with pytest.raises(InvalidTask, match="key "):
            Task().xcom(key)

    def test_a_placeholder_is_refused_as_arguments_or_dependencies(self) -> None:
        with pytest.raises(InvalidTask, match="args must be a list or tuple of arguments, not Output"):
            Task(args=OUTPUT)
        with pytest.raises(InvalidTask, match="depends_on must be tasks or ids of tasks, not Output"):
            Task(depends_on=OUTPUT)


class TestTakingOutAndFillingIn:
    @given(st.lists(values, max_size=3), st.dictionaries(st.text(max_size=3), values, max_size=3))
    def test_extracted_outputs_are_restored_to_their_places(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        before = copy.deepcopy((args, kwargs))
        plain_args, plain_kwargs, inputs = extract_outputs(tuple(args), kwargs)
        assert (args, kwargs) == before
        assert len(inputs) == count(args) + count(kwargs)
        check_json([plain_args, plain_kwargs], "arguments")
        filled = fill_in(tuple(plain_args), plain_kwargs, tuple(inputs), lambda one: one.output)
        assert filled == (tuple(args), kwargs)

    def test_the_path_of_each_output_is_returned(self) -> None:
        _, _, inputs = extract_outputs((1, [OUTPUT, {"a": (OUTPUT["x"],)}]), {"b": OUTPUT})
        assert inputs == [Input((1, 0), OUTPUT), Input((1, 1, "a", 0), OUTPUT["x"]), Input(("b",), OUTPUT)]

    def test_a_value_that_contains_itself_is_left_to_the_depth_check(self) -> None:
        endless: list[Any] = [OUTPUT]
        endless.append(endless)
        plain, _, inputs = extract_outputs((endless,), {})
        assert len(inputs) == MAX_DEPTH - 1
        with pytest.raises(InvalidTask, match="nested deeper than 32 levels"):
            check_json(plain, "args")

    def test_the_deepest_allowed_value_may_contain_an_output(self) -> None:
        value: Any = OUTPUT
        for _ in range(MAX_DEPTH - 1):
            value = [value]
        plain, _, inputs = extract_outputs((value,), {})
        check_json(plain, "args")
        assert len(inputs) == 1

    @pytest.mark.parametrize("at", [(1,), ("a",), (0, "a"), (0, 0, 0)])
    def test_a_missing_place_is_an_error(self, at: Any) -> None:
        with pytest.raises((LookupError, TypeError)):
            fill_in(([1],), {}, (Input((*at, 0), OUTPUT),), lambda one: one.output)


def test_an_output_adds_a_dependency_unless_the_task_declares_it() -> None:
    inputs = [Input((0,), Output("p")), Input((1,), Output("q", "rows")), Input((2,), Output("p", None, ("a",)))]
    own = After("q", on_failure="run")
    assert edges((own, After("r")), inputs) == (After("p"), own, After("r"))


def left(result: bytes = b"", xcom: bytes = b"", state: TaskState | None = TaskState.FINISHED) -> StoredOutputs:
    return StoredOutputs(state, result, xcom)


class TestValues:
    def test_the_value_is_the_result_or_what_was_pushed(self) -> None:
        assert OUTPUT.value_in(left(b'{"a":[1]}')) == {"a": [1]}
        assert Output("p", "rows").value_in(left(xcom=b'{"func":"f","values":{"rows":5}}')) == 5

    def test_an_empty_result_is_none(self) -> None:
        assert OUTPUT.value_in(left()) is None

    def test_a_part_of_the_value_is_found(self) -> None:
        assert OUTPUT["a"][1]["b"].value_in(left(b'{"a":[1,{"b":2}]}')) == 2

    @pytest.mark.parametrize("state", [s for s in TaskState if s is not TaskState.FINISHED])
    def test_a_task_that_has_not_finished_has_no_value(self, state: TaskState) -> None:
        with pytest.raises(
            OutputMissing, match=f"the output of task p is not available: that task is {state}"
        ) as caught:
            OUTPUT.value_in(left(b"1", state=state))
        assert caught.value.task_id == "p"

    def test_an_expired_task_has_no_value(self) -> None:
        with pytest.raises(OutputMissing, match="that task is no longer known"):
            OUTPUT.value_in(left(state=None))

    def test_the_error_for_a_missing_key_lists_the_pushed_keys(self) -> None:
        with pytest.raises(
            OutputMissing, match=r"the value 'row' of task p is not available: the keys that it pushed are 'rows', 'n'"
        ):
            Output("p", "row").value_in(left(xcom=b'{"values":{"rows":1,"n":2}}'))
        with pytest.raises(OutputMissing, match="the keys that it pushed are none"):
            Output("p", "row").value_in(left())

    @pytest.mark.parametrize(
        ("result", "part"),
        [
            (b"[1]", OUTPUT[1]),
            (b"[1]", OUTPUT["a"]),
            (b'{"a":1}', OUTPUT["b"]),
            (b'{"a":1}', OUTPUT[0]),
            (b"5", OUTPUT[0]),
            (b"", OUTPUT["a"]),
            (b"[1]", OUTPUT[10**30]),
        ],
    )
    def test_a_missing_part_is_reported(self, result: bytes, part: Output) -> None:
        with pytest.raises(OutputMissing, match="is not available: there is nothing at "):
            part.value_in(left(result))

    @pytest.mark.parametrize("xcom", [b"{", b"[]", b"\xff", b"5"])
    def test_unreadable_values_are_reported(self, xcom: bytes) -> None:
        with pytest.raises(ProtocolError, match="values of a task cannot be read"):
            Output("p", "rows").value_in(left(xcom=xcom))
