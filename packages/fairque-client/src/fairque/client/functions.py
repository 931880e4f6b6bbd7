"""`@task`: a function that can also make tasks of itself, and is called as before."""

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

from fairque.client.faces import Face, face_of
from fairque.protocol import clock
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.ids import new_task_id
from fairque.protocol.model.injection import context_place
from fairque.protocol.model.naming import Unreachable, reference_of
from fairque.protocol.model.registry import REGISTRY, is_coroutine_function
from fairque.protocol.model.task import Task, TaskDefaults, TaskOptions, check_options, with_fields

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


#: What `inspect` asks for to take an object for a function: so an ``async def`` stays a coroutine function.
_LIKE_A_FUNCTION = ("__code__", "__defaults__", "__kwdefaults__")


class TaskMaker(Generic[P, R_co, C_co]):
    """What `TaskFunction` and `AsyncTaskFunction` share: R is what the task results in, C what a call gives."""

    __name__: str
    __qualname__: str
    __code__: CodeType

    def __init__(
        self,
        func: Callable[P, C_co],
        name: str,
        face: Face,
        given: Mapping[str, Any],
        base: "Self | None" = None,
    ) -> None:
        functools.update_wrapper(self, func)
        for detail in _LIKE_A_FUNCTION:
            if hasattr(func, detail):
                setattr(self, detail, getattr(func, detail))
        self._name = name
        self._func = func
        self._face = face
        self._given = given
        self._base = base
        # All options are checked here, once; each task is this one with other arguments.
        self._template: Task[R_co] = Task(func=name, **given)

    # Properties: what `functools.wraps` copies to a wrapper would pass it off as this.
    @property
    def task_name(self) -> str:
        """The name under which workers find the function."""
        return self._name

    @property
    def unreachable(self) -> str | None:
        """Why no worker can find it, so that no task is made of it; None when one can."""
        return self._face.unreachable

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C_co:
        """Call the function here and now, as if it were not decorated."""
        return self._func(*args, **kwargs)

    def task(self, *args: P.args, **kwargs: P.kwargs) -> Task[R_co]:
        """Make a task that calls the function with these arguments on a worker; push it to a queue.

        A parameter that is annotated with `TaskContext` is not among them: the worker gives it.

        Raises:
            TypeError: The function does not take these arguments.
            FairqueError: No worker could find the function, since its module has no name there; the message says why.
        """
        if self.unreachable is not None:
            raise Unreachable(self.unreachable)
        REGISTRY.check_name(self.task_name)
        try:
            self._face.bind(args, kwargs)
        except TypeError as error:
            signature, place = self._face.signature, context_place(self._func)
            hint = f" ({place.name!r} is the context: the worker gives it)" if place else ""
            if misplaced := sorted((kwargs.keys() & TaskOptions.__annotations__) - signature.parameters.keys()):
                hint += f" ({misplaced[0]} is an option: function.options({misplaced[0]}=...).task(...))"
            takes = signature.replace(return_annotation=inspect.Signature.empty)
            raise TypeError(f"{self.task_name} cannot be called like this: {error}{hint}; it takes {takes}") from None
        template = self._template
        return with_fields(
            template,
            task_id=template.task_id if "task_id" in self._given else new_task_id(),
            args=args,
            kwargs=kwargs,
            created_at=clock.now_ms(),
        )

    def options(self, **options: Unpack[TaskOptions]) -> Self:
        """Return the same function with some options changed; the others stay. See `TaskOptions`.

        Raises:
            InvalidTask: An option has a value that it cannot have; the message says which and why.
            TypeError: There is no such option.
        """
        check_options(options, TaskOptions.__optional_keys__)
        given = {**self._given, **options}
        return type(self)(self._func, self.task_name, self._face, given, self._base or self)

    def __repr__(self) -> str:
        return f"<task function {self.task_name!r}>"

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """Return itself: in a class it does not become a method. This makes it a routine for `help` and `inspect`."""
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        # Pickled by its place in its module, like any function; with options, as that and the options.
        if self._base is None:
            return self.__qualname__
        return _with_options, (self._base, dict(self._given))


def _with_options(base: TaskMaker[..., Any, Any], options: Mapping[str, Any]) -> TaskMaker[..., Any, Any]:
    return base.options(**options)


class TaskFunction(TaskMaker[P, R_co, R_co]):
    """A function under `@task`: ``f(...)`` calls it, ``f.task(...)`` makes a `Task` of the call."""


class AsyncTaskFunction(TaskMaker[P, R_co, Coroutine[Any, Any, R_co]]):
    """The same of an ``async def``: ``f(...)`` gives its coroutine, ``f.task(...)`` a `Task` of what that returns."""


class ContextTaskFunction(TaskMaker[P, R_co, R_co]):
    """A `TaskFunction` whose first parameter is its `TaskContext`: a direct call passes one, a task does not."""

    if TYPE_CHECKING:

        def __call__(self, ctx: TaskContext, /, *args: P.args, **kwargs: P.kwargs) -> R_co:  # type: ignore[override]
            """Call the function here and now, as if it were not decorated."""


class AsyncContextTaskFunction(TaskMaker[P, R_co, Coroutine[Any, Any, R_co]]):
    """The same of an ``async def``."""

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, ctx: TaskContext, /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R_co]:
            """Call the function here and now, as if it were not decorated."""


class PullingFunction(Generic[C_co]):
    """For type checkers: a function under `xcom_pull`, of which they know only what a call gives."""

    def __call__(self, *args: Any, **kwargs: Any) -> C_co:
        """Call the function as if it were not decorated."""
        raise NotImplementedError


class TaskDecorator(Protocol):
    """What ``@task(...)`` gives: it takes the function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
        self, func: PullingFunction[Coroutine[Any, Any, R]], /
    ) -> AsyncTaskFunction[..., R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
        self, func: PullingFunction[R], /
    ) -> TaskFunction[..., R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
        self, func: Callable[Concatenate[TaskContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncContextTaskFunction[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[TaskContext, P], R], /) -> ContextTaskFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # of two that fit, the first is meant
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTaskFunction[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def task(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
    func: PullingFunction[Coroutine[Any, Any, R]], /
) -> AsyncTaskFunction[..., R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
    func: PullingFunction[R], /
) -> TaskFunction[..., R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # of those that fit, the first is meant
    func: Callable[Concatenate[TaskContext, P], Coroutine[Any, Any, R]], /
) -> AsyncContextTaskFunction[P, R]: ...
@overload
def task(func: Callable[Concatenate[TaskContext, P], R], /) -> ContextTaskFunction[P, R]: ...
@overload
def task(  # type: ignore[overload-overlap]  # of two that fit, the first is meant
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
        name: The name that tasks store; ``module:qualname`` by default. It outlives a move of the function.
        **defaults: What holds for all its tasks unless `TaskMaker.options` says otherwise; see `TaskDefaults`.

    Raises:
        InvalidTask: A default has a value that it cannot have; the message says which and why.
        FairqueError: No worker could find or call the function, or another one has the name.
        TypeError: There is no such option, or it decorates something else than a function.
    """
    check_options(defaults, TaskDefaults.__optional_keys__)

    def decorate(func: Callable[..., Any]) -> TaskMaker[..., Any, Any]:
        if isinstance(func, TaskMaker):
            raise TypeError(f"{func.task_name!r} is a task function already: decorate it once, then use .options(...)")
        face = face_of(func, name)
        kind = _KINDS[is_coroutine_function(func), _takes_context_first(func)]
        if face.unreachable is not None:
            # It may be called anyway, and its module may be run: only its tasks are refused.
            return kind(func, f"{func.__module__}:{func.__qualname__}", face, {**defaults})
        made = kind(func, reference_of(func) if name is None else name, face, {**defaults})
        REGISTRY.register(func, name)
        return made

    return decorate if func is None else decorate(func)


#: By whether it is a coroutine function, and whether its context comes first.
_KINDS: dict[tuple[bool, bool], type[TaskMaker[..., Any, Any]]] = {
    (False, False): TaskFunction,
    (True, False): AsyncTaskFunction,
    (False, True): ContextTaskFunction,
    (True, True): AsyncContextTaskFunction,
}


def _takes_context_first(func: Callable[..., Any]) -> bool:
    place = context_place(func)
    return place is not None and place.index == 0
