"""Handlers: which function a task calls, and what happens when there is none."""

import inspect
from typing import Any

import pytest

from fairque.protocol.errors import FairqueError, InvalidTask, OutputMissing, UnknownFunction
from fairque.protocol.model.context import set_current_context
from fairque.protocol.model.registry import Registry
from fairque.protocol.model.xcom import Pull, mark_xcom
from fairque.worker import FunctionTaskHandler, Task, TaskContext, TaskHandler, current_context
from fairque.worker.handling.handler import Kind, kind_of


def context_of(task: Task[Any]) -> TaskContext:
    return TaskContext(task, attempt=1, fence=1, deadline=0.0)


def run(handler: TaskHandler, **fields: Any) -> Any:
    task = Task(user_id="ann", **fields)
    return handler.handle(task, context_of(task))


def plain(number: int) -> int:
    """A function without a decorator."""
    return number + 1


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register(lambda a, b=0: (a, b), "pair")
    return registry


def test_a_task_calls_the_registered_function_with_its_arguments(registry: Registry) -> None:
    assert run(FunctionTaskHandler(registry=registry), func="pair", args=[1], kwargs={"b": 2}) == (1, 2)


def test_a_plain_function_of_a_named_module_can_be_called() -> None:
    assert run(FunctionTaskHandler([__name__]), func=f"{__name__}:plain", args=[1]) == 2


def test_a_plain_function_of_another_module_cannot() -> None:
    with pytest.raises(UnknownFunction):
        run(FunctionTaskHandler(), func=f"{__name__}:plain", args=[1])


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "test_handler:pytest.exit"])
def test_a_name_in_a_message_reaches_nothing_that_a_module_only_imported(name: str) -> None:
    with pytest.raises(UnknownFunction):
        run(FunctionTaskHandler([__name__]), func=name, args=["true"])


def test_the_error_of_an_unknown_name_suggests_similar_ones(registry: Registry) -> None:
    with pytest.raises(UnknownFunction, match=r"no task function 'pear'.*did you mean 'pair'") as caught:
        run(FunctionTaskHandler(["shop"], registry), func="pear")
    assert caught.value.close == ("pair",)
    assert "modules loaded: shop" in str(caught.value)


def test_a_task_without_a_function_needs_a_custom_handler() -> None:
    with pytest.raises(InvalidTask, match=r"names no function.*your own TaskHandler"):
        run(FunctionTaskHandler(), payload={"a": 1})


def test_a_handler_must_define_handle() -> None:
    with pytest.raises(TypeError, match="handle"):
        TaskHandler()  # type: ignore[abstract]


def test_the_default_hooks_of_a_handler_do_nothing() -> None:
    class Silent(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """Nothing."""

    task = Task(user_id="ann")
    Silent().on_success(task, None, context_of(task))
    Silent().on_failure(task, ValueError(), context_of(task), final=True)


def test_outside_of_a_task_there_is_no_context() -> None:
    with pytest.raises(FairqueError, match="no task runs here"):
        current_context()


def test_the_context_counts_the_seconds_down() -> None:
    context = context_of(Task(user_id="ann"))
    assert context.seconds_left < 0
    assert not context.should_stop
    assert context.lease_held


def test_the_context_of_one_thread_is_not_that_of_another() -> None:
    import contextvars  # noqa: PLC0415 - this test only

    context = context_of(Task(user_id="ann"))

    def inside() -> str:
        set_current_context(context)
        return current_context().task_id

    assert contextvars.Context().run(inside) == context.task_id
    with pytest.raises(FairqueError):
        current_context()


def told(ctx: TaskContext, number: int, *, factor: int = 1) -> tuple[str, int]:
    """A function that takes its context."""
    return ctx.task_id, number * factor


async def later(number: int, ctx: TaskContext | None = None) -> int:
    """A function with an optional context."""
    return number if ctx is None else number + ctx.attempt


@pytest.mark.parametrize(("args", "kwargs"), [([2], {"factor": 3}), ([], {"number": 2, "factor": 3})])
def test_a_parameter_of_the_type_of_the_context_gets_it(args: list[int], kwargs: dict[str, int]) -> None:
    assert run(FunctionTaskHandler([__name__]), func=f"{__name__}:told", args=args, kwargs=kwargs, task_id="t1") == (
        "t1",
        6,
    )


async def test_a_coroutine_gets_it_too() -> None:
    assert await run(FunctionTaskHandler([__name__]), func=f"{__name__}:later", args=[2]) == 3
    assert await later(2) == 2


def test_what_a_call_means_is_known_after_the_first_call_and_until_the_function_is_replaced() -> None:
    registry = Registry()
    handler = FunctionTaskHandler(registry=registry)

    def plain() -> int:
        return 1

    async def coroutine() -> int:
        return 2

    def pulls(value: object) -> None:
        """Read from the server."""

    mark_xcom(pulls, pulls=[Pull("value", "key", None)])

    for function in (plain, coroutine, pulls):
        registry.register(function, function.__name__)
        assert handler.kind(function.__name__) is Kind.OTHER
    for name in ("plain", "coroutine"):
        returned = run(handler, func=name)
        if inspect.iscoroutine(returned):
            returned.close()
    assert (handler.kind("plain"), handler.kind("coroutine")) == (Kind.CALL, Kind.COROUTINE)
    with pytest.raises(OutputMissing):
        run(handler, func="pulls")
    assert handler.kind("pulls") is Kind.OTHER
    assert (handler.kind(None), handler.kind("unknown")) == (Kind.OTHER, Kind.OTHER)


def test_a_function_that_only_claims_to_create_a_coroutine_is_not_called_on_the_loop() -> None:
    class Odd(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """A plain method."""

    class Later(TaskHandler):
        async def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """A coroutine."""

    assert kind_of(Odd(), Task(user_id="ann")) is Kind.OTHER
    assert kind_of(Later(), Task(user_id="ann")) is Kind.COROUTINE
