"""Builds the call or calls of a push, for both queues."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeAlias

from fairque.client.settings import ClientSettings
from fairque.protocol.calls.push import MAX_BATCH_TASKS, Pushed, push
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import BatchTooLarge, InvalidArgument, InvalidTask, PartialPush
from fairque.protocol.limits import id_problem
from fairque.protocol.model.task import Task
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["PushCall", "carrying", "one_push", "pushes"]

PushCall: TypeAlias = Call[list[Pushed]]


def one_push(
    keys: QueueKeys, settings: ClientSettings, tasks: Iterable[Task[Any]], user_id: str | None = None
) -> PushCall:
    """Build the one atomic call that pushes tasks.

    Args:
        keys: The queue.
        settings: The settings of the producer.
        tasks: The tasks.
        user_id: The user of tasks without a user. If None, they get the user of their parents, or the default user.

    Raises:
        InvalidArgument: `user_id` is not a valid user id.
        InvalidTask: An item is not a task, or cannot be pushed; the message says why.
        BatchTooLarge: There are too many tasks, or they are too large together.
    """
    if user_id is not None and (problem := id_problem(user_id, "user_id")):
        raise InvalidArgument(problem)
    return push(
        keys,
        [_checked(task) for task in tasks],
        message_limit=settings.queue.message_limit,
        result_ttl_ms=to_ms(settings.queue.result_ttl, "result_ttl"),
        user_id=user_id,
        default_user_id=settings.client.default_user_id,
    )


def pushes(
    keys: QueueKeys, settings: ClientSettings, tasks: Iterable[Task[Any]], user_id: str | None = None
) -> Iterator[PushCall]:
    """Yield calls that push the tasks in batches. Only one batch is in memory at a time.

    Raises:
        InvalidTask: While iterating, as `one_push`.
    """
    remaining = iter(tasks)
    while batch := list(islice(remaining, MAX_BATCH_TASKS)):
        yield from _halved(keys, settings, batch, user_id)


def _halved(
    keys: QueueKeys, settings: ClientSettings, batch: Sequence[Task[Any]], user_id: str | None
) -> Iterator[PushCall]:
    try:
        call = one_push(keys, settings, batch, user_id)
    except BatchTooLarge:
        # Too many bytes or dependencies: split the batch until its parts fit.
        half = len(batch) // 2
        if not half:
            raise
        yield from _halved(keys, settings, batch[:half], user_id)
        yield from _halved(keys, settings, batch[half:], user_id)
    else:
        yield call


def _checked(task: object) -> Task[Any]:
    if not isinstance(task, Task):
        hint = "make one with function.task(...) or Task(func=...)"
        if isinstance(task, list | tuple):
            hint = "push_many(...) takes several tasks, and pipeline(...) combines them into one"
        raise InvalidTask(f"only a task can be pushed, not {shown(task)}: {hint}")
    return task


@contextmanager
def carrying(handles: Sequence[Any]) -> Iterator[None]:
    """Attach the handles pushed so far to any error raised inside.

    Raises:
        PartialPush: An error was raised after the first handle; that error is its cause.
    """
    try:
        yield
    except Exception as error:
        if not handles:
            raise
        raise PartialPush(handles, error) from error
