"""`@task`: the function can still be called directly, and also creates tasks."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import CodeType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from fairque.client.caller_view import CallerView, caller_view_of
from fairque.protocol import clock
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.ids import new_task_id
from fairque.protocol.model.injection import context_place
from fairque.protocol.model.naming import Unreachable, reference_of
from fairque.protocol.model.registry import REGISTRY, is_coroutine_function
from fairque.protocol.model.task import Task, TaskDefaults, TaskOptions, TaskTemplate, check_options

__all__ = [
    "AsyncContextTaskFunction",
    "AsyncTaskFunction",
    "ContextTaskFunction",
    "TaskFunction",
    "TaskMaker",
    "task",
]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
C_co = TypeVar("C_co", covariant=True)


#: Attributes by which `inspect` recognizes a function: so an ``async def`` stays a coroutine function.
_LIKE_A_FUNCTION = ("__code__", "__defaults__", "__kwdefaults__")


class TaskMaker(Generic[P, R_co, C_co]):
    """Base class of `TaskFunction` and `AsyncTaskFunction`: R is the result of a task, C that of a direct call."""

    __name__: str
    __qualname__: str
    __code__: CodeType

    def __init__(
        self,
        func: Callable[P, C_co],
        name: str,
        view: CallerView,
        given: Mapping[str, Any],
        base: "Self | None" = None,
    ) -> None:
        functools.update_wrapper(self, func)
        for detail in _LIKE_A_FUNCTION:
            if hasattr(func, detail):
                setattr(self, detail, getattr(func, detail))
        self._name = name
        self._func = func
        self._view = view
        self._given = given
        self._base = base
        # Options are validated once, here.
        self._example: Task[R_co] = Task(func=name, **given)
        self._template = TaskTemplate(self._example)

    # Properties, since `functools.wraps` copies attributes, and a wrapper must not look like a task function.
    @property
    def task_name(self) -> str:
        """The name under which workers find the function."""
        return self._name

    @property
    def unreachable(self) -> str | None:
        """Why no worker can find the function, so that it cannot create tasks; None if workers can."""
        return self._view.unreachable

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> C_co:
        """Call the function directly, as if it were not decorated."""
        return self._func(*args, **kwargs)

    def task(self, /, *args: P.args, **kwargs: P.kwargs) -> Task[R_co]:
        """Create a task that calls the function with these arguments on a worker; push it to a queue.

        Omit the parameter annotated with `TaskContext`: the worker passes it.

        Raises:
            TypeError: The function does not take these arguments.
            FairqueError: No worker could find the function; the message says why.
        """
        if self._view.unreachable is not None:
            raise Unreachable(self._view.unreachable)
        REGISTRY.check_name(self._name)
        try:
            self._view.bind(args, kwargs)
        except TypeError as error:
            signature, place = self._view.signature, context_place(self._func)
            hint = f" ({place.name!r} is the context: the worker passes it)" if place else ""
            if misplaced := sorted((kwargs.keys() & TaskOptions.__annotations__) - signature.parameters.keys()):
                hint += f" ({misplaced[0]} is an option: function.options({misplaced[0]}=...).task(...))"
            takes = signature.replace(return_annotation=inspect.Signature.empty)
            raise TypeError(f"{self.task_name} cannot be called like this: {error}{hint}; it takes {takes}") from None
        example = self._example
        task_id = example.task_id if "task_id" in self._given else new_task_id()
        return self._template.task(task_id, example.user_id, args, kwargs, example.payload, clock.now_ms())

    def options(self, **options: Unpack[TaskOptions]) -> Self:
        """Return the same function with some options changed; see `TaskOptions`.

        Raises:
            InvalidTask: An option has an invalid value; the message says which and why.
            TypeError: An option is unknown.
        """
        check_options(options, TaskOptions.__optional_keys__)
        given = {**self._given, **options}
        return type(self)(self._func, self.task_name, self._view, given, self._base or self)

    def __repr__(self) -> str:
        return f"<task function {self.task_name!r}>"

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """Return self: in a class it does not become a method. Makes it a routine for `help` and `inspect`."""
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        # Pickled by qualified name, like any function; with options, as the base function and the options.
        if self._base is None:
            return self.__qualname__
        return _with_options, (self._base, dict(self._given))


def _with_options(base: TaskMaker[..., Any, Any], options: Mapping[str, Any]) -> TaskMaker[..., Any, Any]:
    return base.options(**options)


class TaskFunction(TaskMaker[P, R_co, R_co]):
    """A function under `@task`: ``f(...)`` calls it, ``f.task(...)`` makes a `Task` of the call."""


class AsyncTaskFunction(TaskMaker[P, R_co, Coroutine[Any, Any, R_co]]):
    """An ``async def`` under `@task`: ``f(...)`` returns its coroutine, ``f.task(...)`` a `Task` of the result."""


class ContextTaskFunction(TaskMaker[P, R_co, R_co]):
    """A `TaskFunction` whose first parameter is its `TaskContext`: a direct call passes one, a task does not."""

    if TYPE_CHECKING:

        def __call__(self, ctx: TaskContext, /, *args: P.args, **kwargs: P.kwargs) -> R_co:  # type: ignore[override]
            """Call the function directly, as if it were not decorated."""


class AsyncContextTaskFunction(TaskMaker[P, R_co, Coroutine[Any, Any, R_co]]):
    """An `AsyncTaskFunction` whose first parameter is its `TaskContext`."""

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, ctx: TaskContext, /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R_co]:
            """Call the function directly, as if it were not decorated."""


class PullingFunction(Generic[C_co]):
    """For type checkers: a function under `xcom_pull`, of which they know only the return type."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> C_co:
        """Call the function as if it were not decorated."""
        raise NotImplementedError


class TaskDecorator(Protocol):
    """The decorator that ``@task(...)`` returns."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first match is intended
        self, func: PullingFunction[Coroutine[Any, Any, R]], /
    ) -> AsyncTaskFunction[..., R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first match is intended
        self, func: PullingFunction[R], /
    ) -> TaskFunction[..., R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first match is intended
        self, func: Callable[Concatenate[TaskContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncContextTaskFunction[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[TaskContext, P], R], /) -> ContextTaskFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first match is intended
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTaskFunction[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def task(  # type: ignore[overload-overlap]  # the first match is intended
    func: PullingFunction[Coroutine[Any, Any, R]], /
) -> AsyncTaskFunction[..., R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # the first match is intended
    func: PullingFunction[R], /
) -> TaskFunction[..., R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # the first match is intended
    func: Callable[Concatenate[TaskContext, P], Coroutine[Any, Any, R]], /
) -> AsyncContextTaskFunction[P, R]: ...
@overload
def task(func: Callable[Concatenate[TaskContext, P], R], /) -> ContextTaskFunction[P, R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # the first match is intended
    func: Callable[P, Coroutine[Any, Any, R]], /
) -> AsyncTaskFunction[P, R]: ...
@overload
def task(func: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(*, name: str | None = None, **defaults: Unpack[TaskDefaults]) -> TaskDecorator: ...
def task(
    func: Callable[..., Any] | None = None, /, *, name: str | None = None, **defaults: Unpack[TaskDefaults]
) -> Any:
    """Make a function a task function: ``@task``, or ``@task(retries=3, timeout=30)``.

    Args:
        func: The function, plain or ``async``.
        name: The name stored in tasks; ``module:qualname`` by default. With a name, the function can be moved.
        **defaults: Options of all its tasks unless overridden with `TaskMaker.options`; see `TaskDefaults`.

    Raises:
        InvalidTask: A default has an invalid value; the message says which and why.
        FairqueError: No worker could find or call the function, or another function has the name.
        TypeError: An option is unknown, or the decorated object is not a function.
    """
    check_options(defaults, TaskDefaults.__optional_keys__)

    def decorate(func: Callable[..., Any]) -> TaskMaker[..., Any, Any]:
        if isinstance(func, TaskMaker):
            raise TypeError(f"{func.task_name!r} is already a task function: decorate it once, then use .options(...)")
        view = caller_view_of(func, name)
        kind = _KINDS[is_coroutine_function(func), _takes_context_first(func)]
        if view.unreachable is not None:
            # Direct calls still work, and so does running its module: only creating tasks is refused.
            return kind(func, f"{func.__module__}:{func.__qualname__}", view, {**defaults})
        task_function = kind(func, reference_of(func) if name is None else name, view, {**defaults})
        REGISTRY.register(func, name)
        return task_function

    return decorate if func is None else decorate(func)


#: By whether the function is a coroutine function, and whether its first parameter is the context.
_KINDS: dict[tuple[bool, bool], type[TaskMaker[..., Any, Any]]] = {
    (False, False): TaskFunction,
    (True, False): AsyncTaskFunction,
    (False, True): ContextTaskFunction,
    (True, True): AsyncContextTaskFunction,
}


def _takes_context_first(func: Callable[..., Any]) -> bool:
    place = context_place(func)
    return place is not None and place.index == 0
