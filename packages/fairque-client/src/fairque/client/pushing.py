"""Encodes the tasks of a push, for both queues."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from fairque.client.settings import ClientSettings
from fairque.protocol.calls.push import MAX_BATCH_TASKS, Batch, encode_batch
from fairque.protocol.errors import BatchTooLarge, InvalidArgument, InvalidTask, PartialPush
from fairque.protocol.limits import id_problem
from fairque.protocol.model.task import Task
from fairque.protocol.safe_repr import safe_repr

__all__ = ["BatchPrefetcher", "batches_of", "one_batch", "raising_partial_push"]


def one_batch(settings: ClientSettings, tasks: Iterable[Task[Any]], user_id: str | None = None) -> Batch:
    """Encode the tasks of one atomic push.

    Args:
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
    return encode_batch(
        [task if type(task) is Task else _checked(task) for task in tasks],
        message_limit=settings.queue.message_limit,
        user_id=user_id,
        default_user_id=settings.client.default_user_id,
    )


def batches_of(settings: ClientSettings, tasks: Iterable[Task[Any]], user_id: str | None = None) -> Iterator[Batch]:
    """Yield tasks in batches, each for one atomic push, and made when it is taken.

    Raises:
        InvalidTask: While iterating, as `one_batch`.
    """
    remaining = iter(tasks)
    while part := list(islice(remaining, MAX_BATCH_TASKS)):
        yield from _halved(settings, part, user_id)


def _halved(settings: ClientSettings, tasks: Sequence[Task[Any]], user_id: str | None) -> Iterator[Batch]:
    try:
        batch = one_batch(settings, tasks, user_id)
    except BatchTooLarge:
        # Too many bytes or dependencies: split the tasks until the parts fit.
        half = len(tasks) // 2
        if not half:
            raise
        yield from _halved(settings, tasks[:half], user_id)
        yield from _halved(settings, tasks[half:], user_id)
    else:
        yield batch


class BatchPrefetcher:
    """Batches of which the next one can be made before it is taken.

    Args:
        batches: The batches.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._made: deque[Batch | Exception | None] = deque()

    def prepare(self) -> None:
        """Make the next batch; an error is raised when it is taken."""
        try:
            self._made.append(next(self._batches, None))
        except Exception as error:  # noqa: BLE001 - see above
            self._made.append(error)

    def take(self) -> Batch | None:
        """Return the next batch; None at the end.

        Raises:
            InvalidTask: As `batches_of`.
        """
        if not self._made:
            self.prepare()
        made = self._made.popleft()
        if isinstance(made, Exception):
            raise made
        return made


def _checked(task: object) -> Task[Any]:
    if not isinstance(task, Task):
        hint = "make one with function.task(...) or Task(func=...)"
        if isinstance(task, list | tuple):
            hint = "push_many(...) takes several tasks, and pipeline(...) combines them into one"
        raise InvalidTask(f"only a task can be pushed, not {safe_repr(task)}: {hint}")
    return task


@contextmanager
def raising_partial_push(handles: Sequence[Any]) -> Iterator[None]:
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
