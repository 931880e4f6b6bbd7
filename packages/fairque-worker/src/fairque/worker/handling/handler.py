"""Task handlers: the abstract one that users extend, and the one that runs task functions."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.injection import with_context
from fairque.protocol.model.registry import REGISTRY, Registry
from fairque.protocol.model.task import Task
from fairque.protocol.model.xcom import xcom_use
from fairque.worker.handling.xcom import pulled, pushed
from fairque.worker.jobs import Ending, Failure, Success

__all__ = ["FunctionTaskHandler", "TaskHandler", "hooked"]


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


class FunctionTaskHandler(TaskHandler):
    """Runs the function that a task names: a registered one, or a plain one of the given modules.

    Args:
        modules: Names of imported modules whose plain functions may be called as ``module:qualname``.
        registry: Where decorated functions are registered; by default the registry of the process.
    """

    def __init__(self, modules: Iterable[str] = (), registry: Registry = REGISTRY) -> None:
        self._modules = tuple(modules)
        self._registry = registry

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
        func = self._registry.find(task.func, self._modules).func
        use = xcom_use(func)
        args, kwargs = with_context(func, ctx, task.args, task.kwargs)
        value = func(*args, **kwargs, **pulled(use, ctx))
        return pushed(use, value, ctx) if use.pushes else value
