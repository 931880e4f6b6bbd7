"""@task: how it changes a function, and which functions it refuses."""

import asyncio
import copy
import doctest
import functools
import inspect
import itertools
import pickle
import pydoc
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any, Generic, TypeVar
from unittest import mock

import pytest

from fairque.client import (
    After,
    AsyncTaskFunction,
    Backoff,
    ContextTaskFunction,
    FairqueError,
    InvalidTask,
    Priority,
    Task,
    TaskContext,
    TaskFunction,
    task,
    xcom_pull,
)
from fairque.client.caller_view import CallerView, caller_view_of
from fairque.protocol.model.registry import REGISTRY

T = TypeVar("T")


@task
def resize(url: str, width: int = 100, *, crop: bool = False) -> str:
    """Resize a picture."""
    return f"{url}@{width}{'c' if crop else ''}"


@task(name="mail", retries=3, timeout=30, priority=Priority.LOW, user_id="ann", delay=1.5, cost=0.5)
async def mail(to: str) -> str:
    return f"to {to}"


class Pictures:
    @staticmethod
    @task
    def blur(url: str) -> str:
        return f"{url} blurred"


class Box(Generic[T]):
    """A generic class."""


NAME = f"{__name__}:resize"


def test_a_task_function_can_be_called_directly() -> None:
    assert resize("u", 3, crop=True) == "u@3c"


async def test_calling_an_async_task_function_returns_its_coroutine() -> None:
    assert await mail("ann") == "to ann"


def test_it_keeps_name_docstring_and_signature() -> None:
    assert (resize.__name__, resize.__doc__) == ("resize", "Resize a picture.")
    assert list(inspect.signature(resize).parameters) == ["url", "width", "crop"]


def test_its_class_fits_the_function() -> None:
    assert type(resize) is TaskFunction
    assert type(mail) is AsyncTaskFunction


def test_it_creates_a_task_with_the_arguments() -> None:
    made = resize.task("u", crop=True)
    assert (made.func, made.args, made.kwargs) == (NAME, ("u",), {"crop": True})


def test_an_argument_may_be_called_self() -> None:
    @task(name="shop:keep")
    def keep(first: int, /, **details: int) -> object:
        return first, details

    assert keep(1, self=2) == (1, {"self": 2})
    assert keep.task(1, self=2).kwargs == {"self": 2}


def test_each_task_has_its_own_id() -> None:
    assert resize.task("u").task_id != resize.task("u").task_id


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), (("u", 1, 2), {}), (("u",), {"height": 3})])
def test_wrong_arguments_are_a_type_error_at_once(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"resize cannot be called like this: .*; it takes \(url: "):
        resize.task(*args, **kwargs)


def test_the_error_for_an_option_among_the_arguments_names_options() -> None:
    with pytest.raises(TypeError, match=r"user_id is an option: function\.options\(user_id=\.\.\.\)\.task"):
        resize.task("u", user_id="ann")  # type: ignore[call-arg]  # what this tests


def test_the_decorator_sets_defaults() -> None:
    made = mail.task("bob")
    assert (made.func, made.retries, made.timeout_ms, made.priority) == ("mail", 3, 30_000, Priority.LOW)
    assert (made.user_id, made.delay_ms, made.cost) == ("ann", 1_500, 0.5)


def test_options_override_defaults_and_do_not_change_the_function() -> None:
    urgent = mail.options(priority=Priority.HIGH, timeout=timedelta(minutes=1))
    assert (urgent.task("b").priority, urgent.task("b").timeout_ms) == (Priority.HIGH, 60_000)
    assert urgent.task("b").retries == 3
    assert mail.task("b").priority is Priority.LOW


def test_isolation_is_set_by_the_decorator_and_overridden_by_an_option() -> None:
    heavy = resize.options(isolation="process")
    assert heavy.task("u").isolation == "process"
    assert heavy.options(isolation=None).task("u").isolation is None
    with pytest.raises(InvalidTask, match="isolation must be 'thread' or 'process', not 'moon'"):
        resize.options(isolation="moon")  # type: ignore[arg-type]  # what this tests


def test_options_accumulate() -> None:
    made = resize.options(user_id="bob").options(retries=0).task("u")
    assert (made.user_id, made.retries) == ("bob", 0)


def test_all_options_reach_the_task() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    policy = Backoff(base=2)
    parent = resize.task("u")
    made = resize.options(
        at=moment,
        depends_on=[parent, "other"],
        dedup_key="k",
        dedup_ttl=2,
        task_id="mine",
        backoff=policy,
        payload={"a": 1},
        cost=2,
    ).task("u")
    assert made.execute_at == moment.timestamp() * 1000
    assert made.depends_on == (After(parent.task_id), After("other"))
    assert (made.dedup_key, made.dedup_ttl_ms, made.task_id) == ("k", 2_000, "mine")
    assert (made.backoff, made.payload, made.cost) == (policy, {"a": 1}, 2)


def test_a_fixed_id_stays_the_id_of_each_task() -> None:
    once = resize.options(task_id="report-7")
    assert once.task("u").task_id == once.task("u").task_id == "report-7"


def test_options_keep_the_function_callable() -> None:
    assert resize.options(retries=1)("u") == "u@100"


def test_an_unknown_option_is_a_type_error_that_names_a_close_one() -> None:
    with pytest.raises(TypeError, match=r"unknown option 'priorty': did you mean 'priority'\?"):
        resize.options(priorty=Priority.HIGH)  # type: ignore[call-arg]  # what this tests
    with pytest.raises(TypeError, match="unknown option 'args': there are at, backoff, cost, "):
        resize.options(args=(1,))  # type: ignore[call-arg]  # what this tests


def test_the_decorator_refuses_options_of_single_tasks() -> None:
    with pytest.raises(TypeError, match="unknown option 'task_id'"):
        task(task_id="x")  # type: ignore[call-overload]  # what this tests


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"user_id": ""}, "user_id is empty"),
        ({"user_id": "a\nb"}, "user_id .* control characters"),
        ({"user_id": 7}, "user_id must be a string, not int"),
        ({"priority": 9}, "priority 9 is unknown: choose one of VERY_LOW 1"),
        ({"retries": -1}, "retries must be a whole number"),
        ({"backoff": 5}, "backoff must be a Backoff, not 5"),
        ({"timeout": 0}, "timeout must be above 0 s"),
        ({"timeout": "30"}, "timeout must be a number of seconds"),
        ({"delay": -1}, "delay must be a number of seconds"),
        ({"delay": 1, "at": datetime.now(UTC)}, "not both"),
        ({"at": datetime(2030, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - what this tests
        ({"at": 1_900_000_000}, "at must be a datetime, not int"),
        ({"dedup_ttl": 5}, "dedup_ttl needs a dedup_key"),
        ({"dedup_key": ""}, "dedup_key is empty"),
        ({"task_id": ""}, "task_id is empty"),
        ({"cost": -1}, "cost must be a number of seconds"),
        ({"depends_on": [""]}, "depends_on is empty"),
    ],
)
def test_a_bad_value_is_refused_when_the_option_is_set(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        resize.options(**option)


def test_a_bad_default_is_refused_before_registration() -> None:
    def local() -> None: ...

    with pytest.raises(InvalidTask, match="timeout"):
        task(name="never-registered", timeout=-1)(local)
    assert "never-registered" not in REGISTRY.names()


def test_workers_find_the_undecorated_function_under_its_name() -> None:
    found = REGISTRY.find(NAME)
    assert found.func("u", 1) == "u@1"
    assert not found.is_async
    assert REGISTRY.find("mail").is_async


def test_task_accepts_a_task_function_as_func() -> None:
    assert Task(func=mail, args=("bob",)).func == "mail"


def test_a_static_method_is_a_task_function_like_any_other() -> None:
    assert Pictures.blur("u") == "u blurred"
    assert Pictures.blur.task("u").func == f"{__name__}:Pictures.blur"


def test_a_local_function_needs_a_name() -> None:
    def local() -> None: ...

    with pytest.raises(FairqueError, match=r"no worker finds .*<locals>.*@task\(name=...\)"):
        task(local)
    assert task(name="local-with-a-name")(local).task_name == "local-with-a-name"


@pytest.mark.parametrize("name", ["", 0, False])
def test_an_empty_name_is_not_treated_as_none(name: Any) -> None:
    def local(number: int) -> int:
        return number

    with pytest.raises(InvalidTask, match=r"func is empty|func must be a string"):
        task(name=name)(local)


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(FairqueError, match=r"no worker finds .*<lambda>"):
        task(lambda: 1)


def test_a_method_is_refused_since_workers_do_not_have_its_object() -> None:
    def method(self: object) -> None: ...

    with pytest.raises(FairqueError, match="is a method, and workers do not have its object"):
        task(name="method")(method)


def test_a_generator_is_refused_since_a_task_has_one_result() -> None:
    def several() -> Any:
        yield 1

    async def several_later() -> Any:
        yield 1

    for func in (several, several_later):
        with pytest.raises(FairqueError, match="is a generator, but a task has one result"):
            task(name="several")(func)


@pytest.mark.parametrize("thing", [int, 5, object(), list[int], Box[int]])
def test_only_functions_become_task_functions(thing: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="@task takes a function"):
        task(thing)


def test_a_task_function_is_not_decorated_again() -> None:
    with pytest.raises(TypeError, match="is already a task function"):
        task(resize)


def test_two_functions_cannot_have_one_name() -> None:
    def other() -> None: ...

    with pytest.raises(FairqueError, match="two task functions are named 'mail'"):
        task(name="mail")(other)


def test_a_task_function_is_pickled_by_qualified_name(monkeypatch: pytest.MonkeyPatch) -> None:
    here = type(sys)(__name__)
    here.__dict__.update(globals())
    monkeypatch.setitem(sys.modules, __name__, here)
    assert pickle.loads(pickle.dumps(resize)) is resize  # noqa: S301 - our own bytes
    assert pickle.loads(pickle.dumps(Pictures.blur)) is Pictures.blur  # noqa: S301 - our own bytes


def test_it_shows_its_name() -> None:
    assert repr(mail) == "<task function 'mail'>"


@task
def reports(ctx: TaskContext, table: str, rows: int = 1) -> str:
    ctx.progress(rows)
    return f"{ctx.task_id} {table}"


@task
async def fetches(url: str, *, ctx: TaskContext | None = None) -> str:
    return url if ctx is None else ctx.task_id


class TestContext:
    def test_a_task_is_created_without_it(self) -> None:
        assert reports.task("orders", rows=2).args == ("orders",)
        assert fetches.task("u").kwargs == {}
        assert isinstance(reports, ContextTaskFunction)
        assert isinstance(fetches, AsyncTaskFunction)
        assert isinstance(reports.options(retries=0), ContextTaskFunction)

    def test_it_cannot_be_passed(self) -> None:
        context: Any = TaskContext(Task(task_id="t1", user_id="ann"), attempt=1, fence=1, deadline=0.0)
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'ctx' \('ctx' is the context"):
            reports.task("orders", ctx=context)  # type: ignore[call-arg]  # it is wrong
        with pytest.raises(TypeError, match="'ctx' is the context"):
            fetches.task("u", ctx=context)

    async def test_a_direct_call_passes_it(self) -> None:
        context = TaskContext(Task(task_id="t1", user_id="ann"), attempt=1, fence=1, deadline=0.0)
        assert reports(context, "orders") == "t1 orders"
        assert await fetches("u") == "u"
        assert await fetches("u", ctx=context) == "t1"

    def test_two_contexts_are_refused_at_decoration(self) -> None:
        def twice(one: TaskContext, other: TaskContext) -> None: ...

        with pytest.raises(FairqueError, match="two parameters of type TaskContext"):
            task(name="twice")(twice)


class TestLikeAFunction:
    @pytest.mark.parametrize("of", [inspect.iscoroutinefunction, asyncio.iscoroutinefunction])
    def test_an_async_one_is_a_coroutine_function(self, of: Callable[[Any], bool]) -> None:
        assert all(map(of, [mail, fetches, mail.options(retries=0), functools.partial(mail, "ann")]))
        assert not any(map(of, [resize, reports, resize.options(retries=0), functools.partial(resize, "u")]))

    def test_it_is_a_routine_but_not_a_generator(self) -> None:
        for func in (mail, resize):
            kinds = [inspect.isroutine(func), inspect.isgeneratorfunction(func), inspect.isasyncgenfunction(func)]
            assert kinds == [True, False, False]

    def test_a_function_that_returns_a_coroutine_counts_as_async_if_marked(self) -> None:
        def later() -> Any:
            return mail("ann")

        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(later)
        else:
            later._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        made = task(name="marked")(later)
        assert isinstance(made, AsyncTaskFunction)
        assert asyncio.iscoroutinefunction(made)
        assert REGISTRY.find("marked").is_async

    async def test_a_mock_of_an_async_one_is_awaitable(self) -> None:
        with mock.patch.object(SimpleNamespace(mail=mail), "mail") as patched:
            assert isinstance(patched, mock.AsyncMock)
        for spec in (mock.create_autospec(mail), mock.AsyncMock(spec=mail)):
            spec.return_value = 5
            assert await spec("ann") == 5
        assert not isinstance(mock.create_autospec(resize)("u"), Awaitable)

    def test_help_shows_its_signature_and_docstring(self) -> None:
        shown = pydoc.render_doc(resize, renderer=pydoc.plaintext)  # type: ignore[attr-defined]  # it is there
        assert "resize(url: str, width: int = 100, *, crop: bool = False) -> str\n    Resize a picture." in shown

    def test_its_source_and_its_examples_are_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert inspect.getsource(resize).startswith("@task\ndef resize")
        module = ModuleType(__name__)
        module.__dict__.update(resize=resize, __file__=__file__)
        monkeypatch.setitem(sys.modules, __name__, module)
        assert [example.name for example in doctest.DocTestFinder(exclude_empty=False).find(module, "m")] == [
            "m",
            "m.resize",
        ]

    def test_copies_are_the_same_function_or_with_options_an_equal_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        here = ModuleType(__name__)
        here.__dict__.update(globals())
        monkeypatch.setitem(sys.modules, __name__, here)
        assert copy.copy(resize) is copy.deepcopy(resize) is resize
        urgent = mail.options(priority=Priority.HIGH, task_id="mail-7").options(retries=5)
        for other in (copy.copy(urgent), copy.deepcopy(urgent), pickle.loads(pickle.dumps(urgent))):  # noqa: S301 - ours
            made = other.task("ann")
            assert (made.func, made.priority, made.retries, made.task_id) == ("mail", Priority.HIGH, 5, "mail-7")
            assert made.timeout_ms == 30_000


class TestWhatTheWorkerGives:
    def test_the_context_is_refused_among_arbitrary_keyword_arguments(self) -> None:
        def collects(ctx: TaskContext, **rest: int) -> None: ...

        made: Any = task(name="collects")(collects)
        assert made.task(a=1).kwargs == {"a": 1}
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'ctx' \('ctx' is the context"):
            made.task(ctx=1)

    def test_the_name_of_a_positional_only_context_is_free_for_keyword_arguments(self) -> None:
        def collects(ctx: TaskContext, /, **rest: int) -> None: ...

        made: Any = task(name="collects by place")(collects)
        assert made.task(ctx=1).kwargs == {"ctx": 1}

    def test_a_parameter_named_ctx_without_the_annotation_belongs_to_the_caller(self) -> None:
        def typed(ctx: dict[str, int]) -> None: ...
        def untyped(ctx, context=None) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - what this tests

        assert task(name="typed")(typed).task(ctx={"a": 1}).kwargs == {"ctx": {"a": 1}}
        assert task(name="untyped")(untyped).task(1, context=2).kwargs == {"context": 2}

    def test_parameters_that_a_worker_cannot_fill_are_refused_at_decoration(self) -> None:
        class Mine(TaskContext): ...

        def own(ctx: Mine) -> None: ...
        def several(*ctx: TaskContext) -> None: ...
        def pulls(ctx: TaskContext) -> None: ...

        for func, why in ((own, "a subclass"), (several, "one context")):
            with pytest.raises(FairqueError, match=why):
                task(name="refused")(func)
        with pytest.raises(TypeError, match="is its context, and cannot be pulled"):
            xcom_pull(ctx="rows")(pulls)
        assert "refused" not in REGISTRY.names()

    def test_pulled_parameters_are_refused_among_arbitrary_keyword_arguments(self) -> None:
        @xcom_pull(rows="rows")
        def pulls(rows: int, **rest: int) -> None: ...

        with pytest.raises(TypeError, match="unexpected keyword argument 'rows'"):
            task(name="pulls")(pulls).task(rows=1)


def nothing() -> None: ...
def placed(a: int, b: int = 2) -> None: ...
def by_place_only(a: int, /, b: int, c: int = 3) -> None: ...
def by_name_only(a: int, *, b: int, c: int = 3) -> None: ...
def any_number(a: int, *more: int, b: int = 2) -> None: ...
def any_name(a: int, /, **more: int) -> None: ...
def with_context(ctx: TaskContext, a: int, b: int = 2) -> None: ...


class TestTheCheckOfArguments:
    """Most calls are checked by the number and the names of their arguments alone."""

    @pytest.mark.parametrize("func", [nothing, placed, by_place_only, by_name_only, any_number, any_name, with_context])
    def test_it_accepts_what_the_signature_accepts(self, func: Callable[..., Any]) -> None:
        view = caller_view_of(func, None)
        names = ["a", "b", "c", "ctx", "d"]
        for count in range(5):
            for chosen in itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(4)):
                kwargs = dict.fromkeys(chosen, 0)
                assert accepts(view.bind, (0,) * count, kwargs) == accepts(bound(view), (0,) * count, kwargs)


def accepts(bind: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        bind(args, kwargs)
    except TypeError:
        return False
    return True


def bound(view: CallerView) -> Callable[..., Any]:
    """The check by the signature alone."""

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        view.signature.bind(*args, **kwargs)
        if not view.filled.isdisjoint(kwargs):
            raise TypeError

    return bind
