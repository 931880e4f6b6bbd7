"""Completes a task before it runs: with the outputs of other tasks, and with the user and priority that it inherits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from attrs import evolve

from fairque.protocol.calls.pop import Granted
from fairque.protocol.errors import InputsTooLarge, OutputMissing, RedisUnavailable
from fairque.protocol.model.outputs import Input, StoredOutputs, extract_outputs, fill_in
from fairque.protocol.model.registry import parameter_name
from fairque.protocol.model.retry import Snooze
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task, with_fields
from fairque.protocol.wire.codec import decode_task

__all__ = ["Inputs", "Read", "patiently", "task_of"]

#: Reads outputs for a task: those of the first of these tasks, as many as fit into one answer, but at least one.
Read: TypeAlias = Callable[[str, Sequence[str]], list[StoredOutputs]]

#: Seconds until a task whose inputs could not be read is retried.
_PAUSE_SECONDS = 1.0


def task_of(granted: Granted) -> Task[Any]:
    """Return the task that the queue granted, with the user and the priority that it has inherited, if any.

    Raises:
        ProtocolError: Its message cannot be read.
    """
    task = decode_task(granted.message)
    user_id, priority = granted.user_id, granted.priority
    if user_id is None or (user_id == task.user_id and priority is task.priority):
        return task
    return with_fields(task, user_id=user_id, priority=priority)


@contextmanager
def patiently() -> Iterator[None]:
    """Retry a task without counting it if the server is unreachable, since that is not the task's fault.

    Raises:
        Snooze: The server did not answer inside.
    """
    try:
        yield
    except RedisUnavailable as error:
        raise Snooze(_PAUSE_SECONDS) from error


class Inputs:
    """Fills in the outputs that tasks take from others. Threads may share it.

    Args:
        read: Reads a part of the outputs of others.
        limit: Most bytes that one task takes at once.
    """

    def __init__(self, read: Read, limit: int) -> None:
        self.read = read
        self._limit = limit

    def pushed_values(self, reader: str, task_ids: Sequence[str]) -> list[StoredOutputs]:
        """Read the values that other tasks have pushed, in the order of the tasks, without their results.

        Raises:
            InputsTooLarge: They exceed the limit.
            FairqueError: They cannot be read.
        """
        return self._collected(reader, task_ids, dict.fromkeys(task_ids, (False, True)))

    def filled(self, task: Task[Any]) -> Task[Any]:
        """Return the task with its arguments completed by the outputs of others.

        Raises:
            OutputMissing: One is missing; the message names the task and the argument.
            InputsTooLarge: They exceed the limit.
            Snooze: The server did not answer.
        """
        if not task.depends_on:
            return task
        _, _, inputs = extract_outputs(task.args, task.kwargs)
        if not inputs:
            return task
        wanted: dict[str, tuple[bool, bool]] = {}
        for entry in inputs:
            output = entry.output
            result, values = wanted.get(output.task_id, (False, False))
            wanted[output.task_id] = (result or output.key is None, values or output.key is not None)
        ids = list(wanted)
        with patiently():
            found = dict(zip(ids, self._collected(task.task_id, ids, wanted), strict=True))

        def value_of(entry: Input) -> Any:
            try:
                return entry.output.value_in(found[entry.output.task_id])
            except OutputMissing as error:
                argument = parameter_name(task.func, entry.at[0]) or f"args[{entry.at[0]}]"
                raise OutputMissing(f"task {task.task_id}, argument {argument!r}: {error}", error.task_id) from None

        args, kwargs = fill_in(task.args, task.kwargs, tuple(inputs), value_of)
        return with_fields(task, args=args, kwargs=kwargs)

    def _collected(
        self, reader: str, task_ids: Sequence[str], wanted: Mapping[str, tuple[bool, bool]]
    ) -> list[StoredOutputs]:
        """Read part by part, and keep of each task what is wanted: its result, its values, or both."""
        found: list[StoredOutputs] = []
        sizes: list[tuple[str, int]] = []
        while rest := task_ids[len(found) :]:
            for stored in self.read(reader, rest):
                task_id = task_ids[len(found)]
                found.append(_needed(stored, *wanted[task_id]))
                sizes.append((task_id, len(found[-1].result) + len(found[-1].xcom)))
            # Before the next part, so that never more than the limit and one part is held.
            if sum(size for _, size in sizes) > self._limit:
                raise _too_large(reader, self._limit, sizes, len(task_ids))
        return found


def _needed(stored: StoredOutputs, result: bool, values: bool) -> StoredOutputs:  # noqa: FBT001 - the two parts, in their order
    finished = stored.state is TaskState.FINISHED
    return evolve(stored, result=stored.result if result and finished else b"", xcom=stored.xcom if values else b"")


def _too_large(reader: str, limit: int, sizes: Sequence[tuple[str, int]], tasks: int) -> InputsTooLarge:
    size, largest = sum(size for _, size in sizes), sorted(sizes, key=lambda pair: -pair[1])[:3]
    return InputsTooLarge(
        f"task {reader} takes the outputs of {tasks:,} tasks: those of the first {len(sizes):,} have {size:,} bytes, "
        f"allowed are {limit:,} for all together (queue.input_limit). The largest are of "
        f"{', '.join(f'task {task_id} ({size:,})' for task_id, size in largest)}. Store large data elsewhere and pass "
        "on its address, let several tasks take a part each, or raise the limit, for which the worker needs memory"
    )
