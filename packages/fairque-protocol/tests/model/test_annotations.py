"""The context with every form of its annotation: it is passed, or the function is refused at decoration."""

import functools
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.injection import call_signature, context_place, refuse_context_of_many, with_context

#: Loads a module of this source, by the name that it is given.
Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    monkeypatch.syspath_prepend(tmp_path)
    loaded: list[str] = []

    def load(source: str, name: str = "written_tasks") -> ModuleType:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        loaded.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]


HEADER = """
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, TypeAlias, TypeVar, Union
from fairque.protocol.model import context
from fairque.protocol.model.context import TaskContext, TaskContext as Renamed

Alias: TypeAlias = TaskContext
OrNone: TypeAlias = "TaskContext | None"
Quoted = Optional["TaskContext"]
New = NewType("New", TaskContext)
Bound = TypeVar("Bound", bound=TaskContext)
BoundByText = TypeVar("BoundByText", bound="TaskContext")
OneOf = TypeVar("OneOf", TaskContext, None)
Free = TypeVar("Free")
class Own(TaskContext): ...
class Other: ...
"""

GIVEN = [
    "TaskContext",
    "context.TaskContext",
    "Renamed",
    "Alias",
    "OrNone",
    "Quoted",
    "New",
    "Bound",
    "BoundByText",
    "OneOf",
    "TaskContext | None",
    "None | TaskContext",
    "Optional[TaskContext]",
    "Optional['TaskContext']",
    "Union[TaskContext, None]",
    "Union[None, 'TaskContext']",
    "typing.Optional[Renamed]",
    "Annotated[TaskContext, 'of the task']",
    "Annotated[TaskContext | None, object()]",
    "Optional[Annotated[Alias, 1]]",
    "Annotated['OrNone', 1]",
]
NOT_GIVEN = [
    "int",
    "Any",
    "object",
    "None",
    "Other",
    "Optional[Other]",
    "Free",
    "Annotated[int, TaskContext]",
    "Annotated[str, 'TaskContext']",
    "Literal['TaskContext']",
    "list[int]",
    "Callable[[int], None]",
    "1 + 1",
]
REFUSED = {
    "Own": "a subclass of TaskContext",
    "Optional[Own]": "a subclass of TaskContext",
    "list[TaskContext]": "producers cannot pass one",
    "type[TaskContext]": "producers cannot pass one",
    "dict[str, 'TaskContext']": "producers cannot pass one",
    "Callable[[TaskContext], None]": "producers cannot pass one",
    "tuple[int, Own]": "producers cannot pass one",
}
WAYS = {"as it is": "{}", "in quotes": '"""{}"""', "under the future": "{}"}


def written(way: str, annotation: str) -> str:
    future = "from __future__ import annotations\n" if way == "under the future" else ""
    return f"{future}{HEADER}\ndef run(a: int, ctx: {WAYS[way].format(annotation)} = None): ...\n"


@pytest.mark.parametrize("way", WAYS)
class TestWaysToWriteIt:
    @pytest.mark.parametrize("annotation", GIVEN)
    def test_the_context_is_passed(self, load: Load, way: str, annotation: str) -> None:
        run = load(written(way, annotation)).run
        assert with_context(run, "context", [1], {}) == ([1, "context"], {})
        assert list(call_signature(run).parameters) == ["a"]

    @pytest.mark.parametrize("annotation", NOT_GIVEN)
    def test_the_context_is_not_passed_and_the_value_of_the_caller_is(
        self, load: Load, way: str, annotation: str
    ) -> None:
        run = load(written(way, annotation)).run
        assert with_context(run, "context", [1], {"ctx": 2}) == ([1], {"ctx": 2})
        assert list(call_signature(run).parameters) == ["a", "ctx"]

    @pytest.mark.parametrize(("annotation", "why"), REFUSED.items())
    def test_it_is_refused(self, load: Load, way: str, annotation: str, why: str) -> None:
        with pytest.raises(FairqueError, match=f"the parameter 'ctx' of 'run' is annotated with .*{why}"):
            context_place(load(written(way, annotation)).run)


#: What stands below ``if TYPE_CHECKING:``, the annotation, and whether it is the context.
FOR_CHECKERS = [
    ("from fairque.client import TaskContext", "TaskContext", True),
    ("from fairque.worker import TaskContext as C", "C | None", True),
    ("import fairque.worker as w", "w.TaskContext", True),
    ("import fairque.client", "fairque.client.TaskContext", True),
    ("from fairque import client", "Optional[client.TaskContext]", True),
    ("from fairque.client import *", "TaskContext", True),
    ("from fairque.client import TaskContext\n    Ctx = TaskContext", "Ctx", True),
    ("from fairque.client import TaskContext\n    Ctx: TypeAlias = 'TaskContext | None'", "Ctx", True),
    ("from fairque.client import TaskContext\n    Ctx = NewType('Ctx', TaskContext)", "Ctx", True),
    ("from fairque.client import TaskContext\nelse:\n    TaskContext = Any", "TaskContext", True),
    ("from fairque.client import TaskContext as C\nelse:\n    C = None", "C", True),
    ("from fairque.client import TaskContext as C\nelse:\n    C = object", "C", True),
    ("from written_types import *", "Ctx", True),
    ("from written_types import *", "Row", False),
    ("from written_types import Ctx", "Ctx", True),
    ("from written_types import Row", "Row", False),
    ("from decimal import Decimal", "Decimal", False),
    ("from not_there_at_all import Row", "Row", False),
    ("class Row(dict): ...", "Row", False),
    ("class TaskContext: ...", "TaskContext", False),
    ("from celery_of_mine import TaskContext", "TaskContext", None),
    ("from fairque.client import TaskContext\n    class Mine(TaskContext): ...", "Mine", None),
    ("from written_types import Mine", "Mine", None),
    ("pass", "Nowhere", None),
]


@pytest.mark.parametrize("way", ["in quotes", "under the future"])
@pytest.mark.parametrize("checked", FOR_CHECKERS, ids=str)
def test_names_for_type_checkers_only_are_resolved_from_the_source(
    load: Load, tmp_path: Path, checked: tuple[str, str, bool | None], way: str
) -> None:
    imports, annotation, given = checked
    quoted = way == "in quotes"
    (tmp_path / "written_types.py").write_text(
        "from fairque.client import TaskContext as T\nCtx = T | None\nclass Row(dict): ...\nclass Mine(T): ...\n"
        "raise AssertionError('it was imported')\n"
    )
    run = load(
        ("" if quoted else "from __future__ import annotations\n")
        + "from typing import TYPE_CHECKING, Any, NewType, Optional, TypeAlias\n"
        + f"if TYPE_CHECKING:\n    {imports}\n"
        + f"def run(a: int, ctx: {repr(annotation) if quoted else annotation} = None): ...\n"
    ).run
    if given is None:
        with pytest.raises(FairqueError, match="the parameter 'ctx' of 'run' is annotated with"):
            context_place(run)
    else:
        assert (context_place(run) is not None) is given


def test_names_are_resolved_in_the_innermost_scope_first(load: Load) -> None:
    module = load(
        "from fairque.protocol.model.context import TaskContext\n"
        "class Jobs:\n"
        "    class TaskContext: ...\n"
        "    Ctx = 'context.TaskContext'\n"
        "    @staticmethod\n"
        "    def run(ctx: 'TaskContext'): ...\n"
        "def make():\n"
        "    class TaskContext: ...\n"
        "    def run(ctx: 'TaskContext'): ...\n"
        "    return run\n"
    )
    assert context_place(module.Jobs.run) is None
    assert context_place(module.make()) is None


#: Aliases that name themselves, how one is used, and whether it is the context.
CIRCLES = [
    ("Json = Union[None, int, list['Json'], dict[str, 'Json']]", "Json", False),
    ("Json = Union[list['Rows'], 'Row']\nRows = list['Row']\nRow = dict[str, 'Json']", "Optional[Json]", False),
    ("if TYPE_CHECKING:\n    Json = Union[int, list['Json'], dict[str, 'Json']]", "'Json'", False),
    ("if TYPE_CHECKING:\n    A = Optional['B']\n    B = Union['A', 'A', int]", "'A'", False),
    ("from written_json import Json", "Json", False),
    ("if TYPE_CHECKING:\n    from written_json import Json", "'Json | None'", False),
    ("T = TypeVar('T', bound='list[T] | dict[str, T]')", "T", False),
    ("Ctx = Union['Ctx', 'Ctx', None, TaskContext]", "Ctx", True),
]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["now", "future"])
@pytest.mark.parametrize(("lines", "annotation", "given"), CIRCLES, ids=range(len(CIRCLES)))
def test_a_recursive_alias_is_read_once(
    load: Load, tmp_path: Path, lines: str, annotation: str, future: str, *, given: bool
) -> None:
    (tmp_path / "written_json.py").write_text(
        "from typing import Union\nJson = Union[None, int, list['Json'], dict[str, 'Json'], tuple['Json', 'Json']]\n"
    )
    run = load(
        f"{future}from typing import TYPE_CHECKING, Optional, TypeVar, Union\n"
        f"from fairque.protocol.model.context import TaskContext\n{lines}\ndef run(a, ctx: {annotation} = None): ...\n"
    ).run
    assert (context_place(run) is not None) is given


@pytest.mark.parametrize("way", ["as it is", "under the future"])
@pytest.mark.parametrize(
    ("imports", "annotation", "given"),
    [
        ("import aliases", "aliases.Value", False),
        ("import aliases as a", "a.Value | None", False),
        ("from aliases import Value", "Value", False),
        ("import aliases", "aliases.Ctx", True),
        ("from aliases import Ctx", "Ctx", True),
        ("from aliases import Ctx as Mine", "Mine", True),
        ("from aliases import Wanted", "Wanted", True),
    ],
)
def test_strings_in_an_alias_of_another_module_are_resolved_there(
    load: Load, imports: str, annotation: str, way: str, *, given: bool
) -> None:
    load(
        "from typing import TYPE_CHECKING, Optional, Union\n"
        "if TYPE_CHECKING:\n    from fairque.client import TaskContext as C\n"
        "Table = dict[str, 'Value']\nValue = Union[int, 'Table']\n"
        "Ctx = Optional['C']\nWanted = Union['C', 'Table']\n",
        "aliases",
    )
    future = "from __future__ import annotations\n" if way == "under the future" else ""
    run = load(f"{future}{imports}\ndef run(a, ctx: {annotation} = None): ...\n").run
    assert (context_place(run) is not None) is given


def test_no_attribute_of_a_module_used_as_a_type_is_accessed(load: Load) -> None:
    load("def __getattr__(name): raise AssertionError(f'it was asked for {name}')\n", "lazy")
    assert context_place(load("import lazy\ndef run(ctx: lazy = None): ...\n").run) is None


FOR_ALIAS = "if TYPE_CHECKING:\n    from fairque.client import TaskContext as C"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of Python 3.12")
@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("type Ctx = TaskContext\ndef run(ctx: Ctx): ...", "ctx"),
        ("type Ctx = TaskContext | None\ndef run(ctx: 'Ctx' = None): ...", "ctx"),
        ("type Maybe[T] = T | None\ndef run(ctx: Maybe[TaskContext] = None): ...", "ctx"),
        ("def run[C: TaskContext](ctx: C): ...", "ctx"),
        (f"type Ctx = C | None\n{FOR_ALIAS}\ndef run(ctx: Ctx = None): ...", "ctx"),
        ("if TYPE_CHECKING:\n    type Ctx = TaskContext\ndef run(ctx: 'Ctx'): ...", "ctx"),
        ("type Row = dict[str, int]\ndef run(ctx: Row): ...", None),
        ("type Json = int | list[Json] | dict[str, Json]\ndef run(ctx: Json): ...", None),
        ("type Both[T] = list[Both[T]] | dict[str, Both[T]] | T\ndef run(ctx: Both[TaskContext] = None): ...", "ctx"),
        ("def run[T: list[T] | dict[str, T]](ctx: T): ...", None),
    ],
)
def test_aliases_of_newer_pythons_are_followed(load: Load, future: str, lines: str, place: str | None) -> None:
    run = load(
        f"{future}from typing import TYPE_CHECKING\nfrom fairque.protocol.model.context import TaskContext\n{lines}\n"
    ).run
    found = context_place(run)
    assert (found and found.name) == place


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations have their values late since Python 3.14")
def test_a_name_without_a_value_does_not_hide_others(load: Load) -> None:
    run = load("from fairque.client import TaskContext\ndef run(a: Nowhere, ctx: TaskContext): ...\n").run
    assert with_context(run, "context", [1], {}) == ([1, "context"], {})


class TestPlaces:
    def test_the_name_of_a_positional_only_context_is_free_for_others(self) -> None:
        def run(ctx: TaskContext, /, **others: int) -> tuple[Any, dict[str, int]]:
            return ctx, others

        args, kwargs = with_context(run, "context", (), {"ctx": 2})
        assert run(*args, **kwargs) == ("context", {"ctx": 2})

    def test_omitted_parameters_before_a_positional_only_context_get_their_defaults(self) -> None:
        def run(a: int = 5, ctx: TaskContext | None = None, /, b: int = 6) -> tuple[Any, ...]:
            return a, ctx, b

        for given, result in [((), (5, "context", 6)), ((1,), (1, "context", 6)), ((1, 2), (1, "context", 2))]:
            args, kwargs = with_context(run, "context", given, {})
            assert run(*args, **kwargs) == result

    def test_the_context_may_come_before_or_after_variable_arguments(self) -> None:
        def before(ctx: TaskContext, *rest: int) -> tuple[Any, ...]:
            return ctx, *rest

        def behind(*rest: int, ctx: TaskContext) -> tuple[Any, ...]:
            return ctx, *rest

        for run in (before, behind):
            args, kwargs = with_context(run, "context", (1, 2), {})
            assert run(*args, **kwargs) == ("context", 1, 2)

    def test_variable_arguments_annotated_with_the_context_are_refused(self) -> None:
        def placed(*contexts: TaskContext) -> None: ...
        def named(**contexts: "TaskContext | None") -> None: ...

        for run, star in ((placed, r"\*"), (named, r"\*\*")):
            with pytest.raises(FairqueError, match=f"annotates '{star}contexts' with TaskContext"):
                refuse_context_of_many(run)


def passing_on(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return call


def asking_itself(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(ctx: TaskContext, *args: Any, **kwargs: Any) -> Any:
        return ctx, func(*args, **kwargs)

    return call


def with_others(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(number: int, context: TaskContext) -> Any:
        return func(number, ctx=context)

    return call


def untyped(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(first, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003 - as many are
        return func(first, *args, **kwargs)

    return call


class TestWrappedFunctions:
    @pytest.mark.parametrize(
        "wrap",
        [passing_on, with_others, lambda f: passing_on(passing_on(f)), lambda f: passing_on(with_others(f))],
        ids=["passes on", "other parameters", "twice", "both"],
    )
    def test_the_context_of_the_function_is_passed_through_its_decorators(self, wrap: Callable[..., Any]) -> None:
        def run(a: int, ctx: TaskContext) -> tuple[Any, ...]:
            return a, ctx

        args, kwargs = with_context(wrap(run), "context", (1,), {})
        assert wrap(run)(*args, **kwargs) == (1, "context")

    def test_a_context_in_first_position_passes_through_an_untyped_decorator(self) -> None:
        def run(ctx: TaskContext, a: int) -> tuple[Any, ...]:
            return ctx, a

        args, kwargs = with_context(untyped(run), "context", (1,), {})
        assert untyped(run)(*args, **kwargs) == ("context", 1)

    def test_only_a_decorator_may_take_the_context(self) -> None:
        def run(a: int, ctx: int = 0) -> tuple[int, int]:
            return a, ctx

        wrapped = passing_on(asking_itself(run))
        args, kwargs = with_context(wrapped, "context", (1,), {})
        assert wrapped(*args, **kwargs) == ("context", (1, 0))
        assert list(call_signature(wrapped).parameters) == ["a", "ctx"]

    def test_a_cached_function_gets_the_context(self) -> None:
        @functools.lru_cache
        def run(a: int, ctx: TaskContext) -> tuple[Any, ...]:
            return a, ctx

        args, kwargs = with_context(run, "context", (1,), {})
        assert run(*args, **kwargs) == (1, "context")

    @pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["now", "future"])
    def test_a_named_partial_function_gets_the_context(self, load: Load, future: str) -> None:
        module = load(
            f"{future}import functools\nfrom fairque.client import TaskContext\n"
            "def run(a, b, ctx: TaskContext): ...\n"
            "def first(ctx: TaskContext, a, b): ...\n"
            "half = functools.update_wrapper(functools.partial(run, 1), run)\n"
            "named = functools.update_wrapper(functools.partial(first, b=1), first)\n"
        )
        assert list(call_signature(module.half).parameters) == ["b"]
        assert with_context(module.half, "context", [2], {}) == ([2, "context"], {})
        assert list(call_signature(module.named).parameters) == ["a", "b"]
        assert with_context(module.named, "context", [2], {}) == (["context", 2], {})

    def test_an_explicit_signature_of_a_function_is_used(self) -> None:
        def run(*args: Any) -> Any:
            return args

        parameter = inspect.Parameter("c", inspect.Parameter.POSITIONAL_ONLY, annotation=typing.Optional[TaskContext])  # noqa: UP045 - as some write it
        run.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
        assert with_context(run, "context", (), {}) == (["context"], {})
