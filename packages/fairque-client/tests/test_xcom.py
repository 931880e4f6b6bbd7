"""@xcom_push and @xcom_pull: how they change a function, and what they refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from fairque.client import AsyncTaskFunction, InvalidTask, TaskFunction, task, xcom_pull, xcom_push
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.xcom import Pull, XComUse, xcom_use


@task(name="xcom.extract")
@xcom_push("raw")
@xcom_push("copy")
def extract(url: str) -> list[str]:
    return [url]


@task(name="xcom.load")
@xcom_pull(rows="raw", task=extract)
@xcom_pull(hints="hints")
def load(before: int, rows: list[str], behind: int = 2, *rest: int, hints: Any = None, **more: int) -> Any:
    return [before, rows, behind, rest, hints, more]


def use_of(name: str) -> XComUse:
    """The pushed and pulled keys that a worker finds."""
    return xcom_use(REGISTRY.find(name).func)


def plain(rows: int) -> int:
    return rows


class TestWhatAWorkerFinds:
    def test_the_keys_of_the_result(self) -> None:
        assert use_of("xcom.extract") == XComUse(pushes=("copy", "raw"))

    def test_the_parameters_with_their_keys_and_the_function_of_the_task(self) -> None:
        assert use_of("xcom.load").pulls == (Pull("hints", "hints", None), Pull("rows", "raw", "xcom.extract"))

    @pytest.mark.parametrize(
        ("source", "name"), [(extract, "xcom.extract"), ("by name", "by name"), (plain, f"{__name__}:plain")]
    )
    def test_a_source_is_a_function_or_its_name(self, source: Any, name: str) -> None:
        @xcom_pull(rows="raw", task=source)
        def use(rows: int) -> None: ...

        assert xcom_use(use).pulls == (Pull("rows", "raw", name),)


class TestDirectCalls:
    def test_direct_calls_pass_all_arguments(self) -> None:
        assert extract("u") == ["u"]
        assert load(1, ["u"], 3, 4, hints=5, x=6) == [1, ["u"], 3, (4,), 5, {"x": 6}]

    async def test_direct_calls_of_coroutine_functions_pass_all_arguments(self) -> None:
        @task(name="xcom.later")
        @xcom_push("raw")
        @xcom_pull(rows="raw")
        async def later(rows: int) -> int:
            return rows

        assert isinstance(later, AsyncTaskFunction)
        assert await later(5) == 5


class TestTasks:
    def test_a_task_is_created_without_the_pulled_arguments(self) -> None:
        assert load.task(1).args == (1,)
        assert isinstance(load, TaskFunction)

    def test_later_parameters_are_passed_by_name(self) -> None:
        made = load.task(1, behind=3, x=6)
        assert (made.args, made.kwargs) == ((1,), {"behind": 3, "x": 6})

    @pytest.mark.parametrize(("args", "kwargs"), [((1, 2), {}), ((1, 2, 3), {}), ((), {}), ((1,), {"before": 1})])
    def test_other_arguments_are_a_type_error(self, args: Any, kwargs: Any) -> None:
        with pytest.raises(TypeError, match=r"xcom\.load cannot be called like this"):
            load.task(*args, **kwargs)

    def test_the_first_parameter_may_be_pulled(self) -> None:
        @task(name="xcom.first")
        @xcom_pull(rows="raw")
        def first(rows: int, width: int, height: int = 1) -> int:
            return rows * width * height

        assert first.task(width=2).kwargs == {"width": 2}
        with pytest.raises(TypeError, match="cannot be called like this: too many positional arguments"):
            first.task(2)
        assert first(5, 2, 3) == 30


class TestRefusals:
    def test_they_are_refused_above_task(self) -> None:
        with pytest.raises(TypeError, match=r"put @xcom_push below @task: 'xcom\.extract' is already a task function"):
            xcom_push("raw")(extract)
        with pytest.raises(TypeError, match=r"put @xcom_pull below @task: 'xcom\.load' is already a task function"):
            xcom_pull(before="raw")(load)

    @pytest.mark.parametrize("key", ["", "a\nb", "x" * 129, 5, None])
    def test_an_invalid_key_is_refused(self, key: Any) -> None:
        with pytest.raises(InvalidTask, match="key "):
            xcom_push(key)
        with pytest.raises(InvalidTask, match="the key of rows "):
            xcom_pull(rows=key)

    def test_a_pull_without_parameters_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"give parameters and their keys: @xcom_pull\(rows='raw'"):
            xcom_pull(task=extract)

    @pytest.mark.parametrize(
        "func",
        [
            lambda other: other,
            lambda rows, /: rows,
            lambda *rows: rows,
            lambda **rows: rows,
        ],
    )
    def test_parameters_that_cannot_be_passed_by_name_are_refused(self, func: Callable[..., Any]) -> None:
        with pytest.raises(TypeError, match="has no parameter 'rows' that can be passed by name"):
            xcom_pull(rows="raw")(func)

    def test_a_parameter_cannot_be_pulled_twice(self) -> None:
        @xcom_pull(rows="raw")
        def use(rows: int) -> None: ...

        with pytest.raises(TypeError, match=r"the parameter 'rows' of .*use is pulled twice"):
            xcom_pull(rows="other")(use)
