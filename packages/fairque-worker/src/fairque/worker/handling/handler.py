"""Task handlers: the abstract one that users extend, and the one that runs task functions."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from typing import Any

from attrs import frozen

from fairque.protocol.errors import FairqueError, InvalidTask
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.injection import context_place, with_context
from fairque.protocol.model.registry import REGISTRY, Registry
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import XComUse, xcom_use
from fairque.worker.handling.xcom import pulled, pushed
from fairque.worker.jobs import Ending, Failure, Success

__all__ = ["FunctionTaskHandler", "Kind", "TaskHandler", "hooked", "kind_of"]


class TaskHandler(ABC):
    """The base class of your own handlers, which define how a task is run.

    A task may run more than once: execution is at least once, and `TaskContext.task_id` is the idempotency key. An
    exception is a failed attempt; `Retry`, `Snooze` and `Cancel` decide what happens to the task.
    """

    @abstractmethod
    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        """Run the task and return its result, a JSON value, or an awaitable of it (as ``async def`` does).

        Called from many threads at once. An awaitable is awaited on the worker's event loop and holds no thread.

        Args:
            task: The task to run.
            ctx: The context of this attempt: whether to stop, the seconds left, its number and fence.
        """

    def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> Awaitable[None] | None:
        """Called in a worker thread after the queue accepted the result. If it raises, the error is only logged.

        It may be ``async def``: then it runs on the worker's event loop while the thread waits for it.
        """

    def on_failure(
        self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool
    ) -> Awaitable[None] | None:
        """Called in a worker thread after the queue accepted a failed attempt. If it raises, the error is only logged.

        It may be ``async def``, as `on_success`.

        Args:
            task: The task.
            error: What the attempt raised.
            ctx: The context of the attempt.
            final: Whether the task has ended; otherwise it is retried.
        """


def hooked(handler: TaskHandler) -> tuple[type[Ending], ...]:
    """Return the kinds of endings for which a handler has hooks; hooks that are not overridden cost nothing."""
    success = type(handler).on_success is not TaskHandler.on_success
    failure = type(handler).on_failure is not TaskHandler.on_failure
    return (*([Success] if success else []), *([Failure] if failure else []))


class Kind(Enum):
    """What it means to handle a task, as far as that is known before.

    Attributes:
        CALL: A function is called that needs nothing from the server.
        COROUTINE: A coroutine is created, and nothing else happens before it is awaited.
        OTHER: Anything.
    """

    CALL = auto()
    COROUTINE = auto()
    OTHER = auto()


def kind_of(handler: TaskHandler, task: Task[Any]) -> Kind:
    """Return what it means that a handler handles a task; it runs no user code."""
    handle = type(handler).handle
    if handle is FunctionTaskHandler.handle and isinstance(handler, FunctionTaskHandler):
        return handler.kind(task.func)
    return Kind.COROUTINE if _creates_coroutine(handle) else Kind.OTHER


def _creates_coroutine(func: Callable[..., Any]) -> bool:
    # Not by `iscoroutinefunction`, which believes a mark that any function may have.
    return inspect.isfunction(func) and bool(func.__code__.co_flags & inspect.CO_COROUTINE)


@frozen
class _Plan:
    """How to call a function: determined once.

    Attributes:
        func: The function.
        use: Its XCom use.
        plain: Whether it takes nothing but the arguments of the task.
        kind: What the call means.
    """

    func: Callable[..., Any]
    use: XComUse
    plain: bool
    kind: Kind

    @classmethod
    def of(cls, func: Callable[..., Any]) -> "_Plan":
        use = xcom_use(func)
        kind = Kind.OTHER if use.pulls else Kind.COROUTINE if _creates_coroutine(func) else Kind.CALL
        return cls(func, use, not (use.pulls or use.pushes) and context_place(func) is None, kind)


class FunctionTaskHandler(TaskHandler):
    """Runs the function that a task names: a registered one, or a plain one of the given modules.

    Args:
        modules: Names of imported modules whose plain functions may be called as ``module:qualname``.
        registry: Where decorated functions are registered; by default the registry of the process.
    """

    def __init__(self, modules: Iterable[str] = (), registry: Registry = REGISTRY) -> None:
        self._modules = tuple(modules)
        self._registry = registry
        # By the names of the functions.
        self._plans: dict[str, _Plan] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        """Call the function with the task's arguments, the values that it pulls from earlier tasks, and its context.

        A parameter that is annotated with `TaskContext` gets the context.

        Raises:
            UnknownFunction: No function has that name here; the task waits and is retried.
            InvalidTask: The task names no function.
            OutputMissing: A value that the function pulls is missing.
        """
        if task.func is None:
            raise InvalidTask(
                f"task {task.task_id} names no function, and this worker only runs functions: start it with your own "
                "TaskHandler (fairque-worker MODULE:HANDLER), or push tasks of a function"
            )
        plan = self._plan(task.func)
        if plan.plain:
            return plan.func(*task.args, **task.kwargs)
        args, kwargs = with_context(plan.func, ctx, task.args, task.kwargs)
        value = plan.func(*args, **kwargs, **pulled(plan.use, ctx))
        return pushed(plan.use, value, ctx) if plan.use.pushes else value

    def kind(self, name: str | None) -> Kind:
        """Return what a call of the function with this name means; for workers. OTHER before its first call."""
        # Not determined here: reading its annotations may run user code.
        plan = None if name is None else self._plans.get(name)
        if name is None or plan is None:
            return Kind.OTHER
        try:
            return plan.kind if self._registry.find(name, self._modules).func is plan.func else Kind.OTHER
        except FairqueError:
            # The attempt will say why.
            return Kind.OTHER

    def _plan(self, name: str) -> _Plan:
        func = self._registry.find(name, self._modules).func
        plan = self._plans.get(name)
        if plan is None or plan.func is not func:
            # The first call, or the module was loaded again.
            plan = self._plans[name] = _Plan.of(func)
        return plan
