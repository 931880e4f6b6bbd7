"""Pipelines: how `>>` combines tasks, lists and other pipelines, and what it refuses."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.pipeline import Pipeline, pipeline
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task, from_fields
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

S = TaskState


def task(task_id: str, **fields: Any) -> Task[Any]:
    return from_fields(task_id=task_id, user_id="ann", func="f", created_at=0, **fields)


A, B, C, D = map(task, "abcd")


def parents(made: Pipeline[Any]) -> dict[str, set[str]]:
    return {task_id: {after.task_id for after in one.depends_on} for task_id, one in made.tasks.items()}


def push(made: Pipeline[Any]) -> None:
    """Build the call; nothing is sent."""
    calls.push(QueueKeys("q"), list(made.tasks.values()), message_limit=10_000)


class TestStages:
    def test_a_task_runs_after_another(self) -> None:
        assert parents(A >> B >> C) == {"a": set(), "b": {"a"}, "c": {"b"}}

    def test_a_list_runs_in_parallel(self) -> None:
        made = A >> [B, C] >> D
        assert parents(made) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
        assert (made.first, made.last, made.single) == (("a",), ("d",), True)

    def test_a_list_may_come_first_or_last(self) -> None:
        made = [A, B] >> C >> [D]
        assert parents(made) == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"c"}}
        assert (made.first, made.last, made.single) == (("a", "b"), ("d",), False)

    def test_two_lists_need_pipeline(self) -> None:
        with pytest.raises(TypeError):
            [A, B] >> [C, D]  # type: ignore[operator]  # noqa: B018 - what this tests
        assert parents(pipeline([A, B]) >> [C, D])["d"] == {"a", "b"}

    def test_a_pipeline_may_be_a_stage_or_in_a_list(self) -> None:
        made = A >> [B >> C, D]
        assert parents(made) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"a"}}
        assert made.last == ("c", "d")
        assert parents([A >> B, C] >> D)["d"] == {"b", "c"}
        assert parents((A >> B) >> (C >> D)) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}}

    def test_any_iterable_is_a_list_and_lists_may_be_nested(self) -> None:
        assert (A >> (one for one in (B, C))).last == ("b", "c")  # type: ignore[operator]  # lists are meant
        assert parents(A >> [[B, [C]], D])["c"] == {"a"}  # type: ignore[list-item]  # flat ones are meant

    def test_pipelines_are_values(self) -> None:
        first = A >> B
        first >> C
        assert (set(first.tasks), A.depends_on, B.depends_on) == ({"a", "b"}, (), ())

    def test_a_single_task_is_a_pipeline_too(self) -> None:
        assert pipeline(A) == Pipeline({"a": A}, ("a",), ("a",), single=True)
        assert pipeline([A]).single is False

    def test_a_dependency_that_a_task_declares_is_kept(self) -> None:
        always = task("c", depends_on=[After("a", on_failure="run"), "x"])
        assert (A >> always).tasks["c"].depends_on == (After("a", on_failure="run"), After("x"))
        assert ([A, B] >> always).tasks["c"].depends_on == (After("a", on_failure="run"), After("x"), After("b"))


@frozen
class Shape:
    """A pipeline, and what is to become of it.

    Attributes:
        made: As a task, list or pipeline.
        edges: Pairs of parent and child.
        first: Of its tasks.
        last: Likewise.
    """

    made: Any
    edges: frozenset[tuple[str, str]]
    first: tuple[str, ...]
    last: tuple[str, ...]


def leaf(numbers: Iterator[int]) -> Shape:
    task_id = f"t{next(numbers)}"
    return Shape(task(task_id), frozenset(), (task_id,), (task_id,))


def side_by_side(shapes: list[Shape]) -> Shape:
    return Shape(
        pipeline([shape.made for shape in shapes]),
        frozenset().union(*(shape.edges for shape in shapes)),
        tuple(one for shape in shapes for one in shape.first),
        tuple(one for shape in shapes for one in shape.last),
    )


def in_a_row(shapes: list[Shape]) -> Shape:
    made, edges, last = pipeline(shapes[0].made), shapes[0].edges, shapes[0].last
    for shape in shapes[1:]:
        made >>= shape.made
        edges |= shape.edges | {(parent, child) for parent in last for child in shape.first}
        last = shape.last
    return Shape(made, edges, shapes[0].first, last)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    numbers = count()

    def grow(depth: int) -> Shape:
        kind = draw(st.sampled_from([None, side_by_side, in_a_row])) if depth else None
        if kind is None:
            return leaf(numbers)
        return kind([grow(depth - 1) for _ in range(draw(st.integers(1, 3)))])

    return grow(3)


@given(shapes())
def test_each_first_task_of_a_stage_depends_on_exactly_the_last_tasks_of_the_previous_stage(shape: Shape) -> None:
    made = pipeline(shape.made)
    assert {(parent, child) for child, above in parents(made).items() for parent in above} == shape.edges
    assert (made.first, made.last) == (shape.first, shape.last)
    order = made.last_first()
    assert sorted(order) == sorted(made.tasks)
    assert all(order.index(child) < order.index(parent) for parent, child in shape.edges)
    push(made)


class TestTheSameTaskTwice:
    def test_a_task_in_two_pipelines_is_one_task_with_all_dependencies(self) -> None:
        made = pipeline([A >> C, B >> C, C])
        assert parents(made) == {"a": set(), "b": set(), "c": {"a", "b"}}
        assert made.last == ("c",)

    def test_equal_tasks_are_merged_and_different_ones_with_the_same_id_are_refused(self) -> None:
        assert set(pipeline([A, task("a")]).tasks) == {"a"}
        with pytest.raises(InvalidTask, match="two different tasks of the pipeline have the id a"):
            pipeline([A, task("a", args=[1])])

    def test_two_policies_for_the_same_dependency_are_refused(self) -> None:
        with pytest.raises(InvalidTask, match="has task a twice, with different on_failure"):
            pipeline([A >> B, task("b", depends_on=After("a", on_failure="run"))])

    def test_a_task_after_itself_is_a_cycle(self) -> None:
        for made in (A >> A, A >> B >> A):
            with pytest.raises(InvalidTask, match=r"depend on each other in a cycle, so none could .*a \(f"):
                push(made)


class TestCircles:
    def test_a_cycle_through_outputs_is_reported_with_functions_and_arguments(self) -> None:
        one = task("a", args=[Output("b")])
        other = task("b", kwargs={"rows": [Output("a", "n")]})
        with pytest.raises(InvalidTask) as caught:
            push(pipeline([one, other]))
        assert str(caught.value).endswith("a (f, argument 'args[0]') -> b (f, argument 'rows') -> a")

    def test_a_cycle_through_outputs_and_stages_is_reported(self) -> None:
        with pytest.raises(InvalidTask, match="in a cycle"):
            push(task("a", args=[Output("b")]) >> B)
        with pytest.raises(InvalidTask, match="in a cycle"):
            (task("a", args=[Output("b")]) >> B).last_first()

    def test_a_task_cannot_use_its_own_output(self) -> None:
        with pytest.raises(InvalidTask, match=r"a \(f, argument 'x'\) -> a"):
            push(pipeline(task("a", kwargs={"x": Output("a")})))


class TestWhatIsNoStage:
    @pytest.mark.parametrize("stage", [None, 5, "text", b"bytes", {"a": A}, Output("a"), push, [A, None], [A, "b"]])
    def test_other_objects_are_refused_on_either_side(self, stage: Any) -> None:
        with pytest.raises(InvalidTask, match="a stage of a pipeline is a task, a pipeline, or a list of them, not "):
            A >> stage
        with pytest.raises(InvalidTask, match="a stage of a pipeline is a task, a pipeline, or a list of them, not "):
            stage >> (A >> B)

    @pytest.mark.parametrize("make", [lambda: A >> [], lambda: [] >> A, lambda: pipeline([])])
    def test_an_empty_list_is_refused(self, make: Any) -> None:
        with pytest.raises(InvalidTask, match="a stage of a pipeline needs a task: the list is empty"):
            make()


class TestTheCauseOfACancelation:
    """c depends on b and b on a; x failed as well, but its failure does not concern c."""

    MADE = pipeline([A >> B, task("x")]) >> task("c", depends_on=After("x", on_failure="run"))
    STATES: dict[str, TaskState | None] = dict.fromkeys("abcx", S.CANCELED)

    @pytest.mark.parametrize(
        ("states", "cause"),
        [
            ({"a": S.FAILED, "x": S.FAILED}, "a"),
            ({"a": S.FINISHED, "b": S.FAILED, "x": S.FAILED}, "b"),
            ({"a": S.FINISHED, "b": S.FINISHED, "x": S.FAILED}, None),
            ({"a": S.FAILED, "b": S.FINISHED}, None),
            ({"a": None, "b": None}, None),
            ({"a": S.FINISHED}, "b"),
            ({}, "a"),
        ],
    )
    def test_the_cause_is_the_propagated_failure_or_else_the_first_cancelation(
        self, states: dict[str, TaskState | None], cause: str | None
    ) -> None:
        assert self.MADE.cause("c", self.STATES | states) == cause

    def test_a_failure_propagates_along_outputs_too(self) -> None:
        made = pipeline([A, task("b", args=[[Output("a")]])])
        assert made.cause("b", {"a": S.FAILED, "b": S.CANCELED}) == "a"

    def test_tasks_outside_the_pipeline_are_not_a_cause(self) -> None:
        assert pipeline(task("b", depends_on="elsewhere")).cause("b", {"b": S.CANCELED}) is None
