"""`@xcom_push` and `@xcom_pull`: store the result of a task under a key, and pass such values to later tasks."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from fairque.client.functions import PullingFunction, TaskMaker
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.injection import call_signature, context_place
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.xcom import Pull, mark_xcom, xcom_use

__all__ = ["xcom_pull", "xcom_push"]

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def xcom_push(key: str) -> Callable[[F], F]:
    """Also store the result of a task under a key, for the tasks that depend on it. Put it below ``@task``.

    It does not affect direct calls of the function.

    Args:
        key: 1 to 128 bytes without control characters.

    Raises:
        InvalidTask: The key is invalid.
        TypeError: It is above ``@task``.
    """
    check_id(key, "key")

    def decorate(func: F) -> F:
        _refuse_task_function(func, "xcom_push")
        mark_xcom(func, pushes=(key,))
        return func

    return decorate


def xcom_pull(
    *, task: str | Callable[..., Any] | None = None, **keys: str
) -> Callable[[Callable[..., R]], PullingFunction[R]]:
    """Fill parameters of the function with values that earlier tasks have pushed. Put it below ``@task``.

    ``@xcom_pull(rows="raw", task=extract)``: the parameter ``rows`` gets the value that ``extract`` pushed under
    ``raw``. Omit these arguments in ``.task(...)``, and pass later parameters by name; a direct call passes all
    arguments as usual.

    Args:
        task: The function that pushed the values, or its name. Its task must be a direct dependency. Not needed if only
            one dependency has pushed the key.
        **keys: The key for each parameter.

    Raises:
        InvalidTask: A key is invalid.
        TypeError: It is above ``@task``, no parameter is given, or the function has no such parameter or already pulls
            it.
    """
    if not keys:
        raise TypeError("give parameters and their keys: @xcom_pull(rows='raw', task=extract)")
    for parameter, key in keys.items():
        check_id(key, f"the key of {parameter}")
    source = task.task_name if isinstance(task, TaskMaker) else name_of(task) if callable(task) else task

    def decorate(func: Callable[..., R]) -> PullingFunction[R]:
        _refuse_task_function(func, "xcom_pull")
        _check_parameters(func, keys)
        mark_xcom(func, pulls=[Pull(parameter, key, source) for parameter, key in keys.items()])
        # Type checkers cannot remove parameters from a signature by name.
        return cast("PullingFunction[R]", func)

    return decorate


def _refuse_task_function(func: Callable[..., Any], name: str) -> None:
    if isinstance(func, TaskMaker):
        raise TypeError(f"put @{name} below @task: {func.task_name!r} is already a task function")


def _check_parameters(func: Callable[..., Any], keys: dict[str, str]) -> None:
    parameters, context = call_signature(func).parameters, context_place(func)
    pulled = {pull.parameter for pull in xcom_use(func).pulls}
    for name in keys:
        if name in pulled:
            raise TypeError(f"the parameter {name!r} of {func.__qualname__} is pulled twice")
        if context is not None and name == context.name:
            raise TypeError(f"the parameter {name!r} of {func.__qualname__} is its context, and cannot be pulled")
        kind = parameters[name].kind if name in parameters else None
        if kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise TypeError(f"{func.__qualname__} has no parameter {name!r} that can be passed by name")
