"""Makes a task ready to run: what its message left open is filled in, the outputs of other tasks among it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from attrs import evolve

from fairque.protocol.calls import Granted
from fairque.protocol.errors import InputsTooLarge, OutputMissing, RedisUnavailable
from fairque.protocol.model.outputs import Input, Left, fill_in, take_out
from fairque.protocol.model.registry import parameter_name
from fairque.protocol.model.retry import Snooze
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task, with_fields
from fairque.protocol.wire.codec import decode_task

__all__ = ["Inputs", "Read", "patiently", "task_of"]

#: Reads for a task what others have left: of as many as one answer holds, the first of them, at least one.
Read: TypeAlias = Callable[[str, Sequence[str]], list[Left]]

#: After how many seconds a task is tried again whose inputs could not be read.
_PAUSE_SECONDS = 1.0


def task_of(granted: Granted) -> Task[Any]:
    """Return the task that the queue gave, with the user and the priority that its message leaves to others.

    Raises:
        ProtocolError: Its message cannot be read.
    """
    task = decode_task(granted.message)
    if granted.heritage is None:
        return task
    user_id, priority = granted.heritage
    return with_fields(task, user_id=user_id, priority=priority)


@contextmanager
def patiently() -> Iterator[None]:
    """Let a task that is not to blame for a server that is away be tried again, without counting it.

    Raises:
        Snooze: The server did not answer inside.
    """
    try:
        yield
    except RedisUnavailable as error:
        raise Snooze(_PAUSE_SECONDS) from error


class Inputs:
    """Fills in what tasks take from others. Threads may share it.

    Args:
        read: Reads a piece of what others have left.
        limit: Bytes of all that one task takes at once.
    """

    def __init__(self, read: Read, limit: int) -> None:
        self.read = read
        self._limit = limit

    def pushed_values(self, reader: str, task_ids: Sequence[str]) -> list[Left]:
        """Read for a task what others have pushed, in their order, without their results.

        Raises:
            InputsTooLarge: It is too much.
            FairqueError: It cannot be read.
        """
        return self._collected(reader, task_ids, dict.fromkeys(task_ids, (False, True)))

    def filled(self, task: Task[Any]) -> Task[Any]:
        """Return the task with the outputs of others in their places among its arguments.

        Raises:
            OutputMissing: One is not there; the message names the task and the argument.
            InputsTooLarge: They are too much.
            Snooze: The server did not answer.
        """
        if not task.depends_on:
            return task
        _, _, inputs = take_out(task.args, task.kwargs)
        if not inputs:
            return task
        wanted: dict[str, tuple[bool, bool]] = {}
        for one in inputs:
            result, values = wanted.get(one.output.task_id, (False, False))
            wanted[one.output.task_id] = (result or one.output.key is None, values or one.output.key is not None)
        ids = list(wanted)
        with patiently():
            left = dict(zip(ids, self._collected(task.task_id, ids, wanted), strict=True))

        def value_of(one: Input) -> Any:
            try:
                return one.output.value_in(left[one.output.task_id])
            except OutputMissing as error:
                argument = parameter_name(task.func, one.at[0]) or f"args[{one.at[0]}]"
                raise OutputMissing(f"task {task.task_id}, argument {argument!r}: {error}", error.task_id) from None

        args, kwargs = fill_in(task.args, task.kwargs, tuple(inputs), value_of)
        return with_fields(task, args=args, kwargs=kwargs)

    def _collected(self, reader: str, task_ids: Sequence[str], wanted: Mapping[str, tuple[bool, bool]]) -> list[Left]:
        """Read piece by piece, and keep of each task its result, its values, or both, as is wanted."""
        found: list[Left] = []
        sizes: list[tuple[str, int]] = []
        while rest := task_ids[len(found) :]:
            for left in self.read(reader, rest):
                task_id = task_ids[len(found)]
                found.append(_needed(left, *wanted[task_id]))
                sizes.append((task_id, len(found[-1].result) + len(found[-1].xcom)))
            # Before the next piece: more than the limit and one piece is never held.
            if sum(size for _, size in sizes) > self._limit:
                raise _too_large(reader, self._limit, sizes, len(task_ids))
        return found


def _needed(left: Left, result: bool, values: bool) -> Left:  # noqa: FBT001 - the two parts, in their order
    finished = left.state is TaskState.FINISHED
    return evolve(left, result=left.result if result and finished else b"", xcom=left.xcom if values else b"")


def _too_large(reader: str, limit: int, sizes: Sequence[tuple[str, int]], tasks: int) -> InputsTooLarge:
    size, largest = sum(size for _, size in sizes), sorted(sizes, key=lambda one: -one[1])[:3]
    return InputsTooLarge(
        f"task {reader} takes what {tasks:,} tasks have left: that of the first {len(sizes):,} has {size:,} bytes, "
        f"allowed are {limit:,} for all together (queue.input_limit). The largest are of "
        f"{', '.join(f'task {one} ({size:,})' for one, size in largest)}. Store large data elsewhere and hand on its "
        "address, let several tasks take a part each, or raise the limit, for which the worker needs memory"
    )
