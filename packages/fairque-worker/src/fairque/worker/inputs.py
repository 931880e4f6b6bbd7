"""Makes a task ready to run: what its message left open is filled in, the outputs of other tasks among it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairque.protocol.calls import Granted
from fairque.protocol.errors import OutputMissing, RedisUnavailable
from fairque.protocol.model.outputs import Input, Left, fill_in, take_out
from fairque.protocol.model.registry import parameter_name
from fairque.protocol.model.retry import Snooze
from fairque.protocol.model.task import Task
from fairque.protocol.wire.codec import decode_task

__all__ = ["Inputs", "patiently", "task_of"]

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
    return task.evolve(user_id=user_id, priority=priority)


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
        read: Reads for a task what others have left, in their order.
    """

    def __init__(self, read: Callable[[str, Sequence[str]], list[Left]]) -> None:
        self.read = read

    def filled(self, task: Task[Any]) -> Task[Any]:
        """Return the task with the outputs of others in their places among its arguments.

        Raises:
            OutputMissing: One is not there; the message names the task and the argument.
            Snooze: The server did not answer.
        """
        if not task.depends_on:
            return task
        _, _, inputs = take_out(task.args, task.kwargs)
        if not inputs:
            return task
        ids = list(dict.fromkeys(one.output.task_id for one in inputs))
        with patiently():
            left = dict(zip(ids, self.read(task.task_id, ids), strict=True))

        def value_of(one: Input) -> Any:
            try:
                return one.output.value_in(left[one.output.task_id])
            except OutputMissing as error:
                argument = parameter_name(task.func, one.at[0]) or f"args[{one.at[0]}]"
                raise OutputMissing(f"task {task.task_id}, argument {argument!r}: {error}", error.task_id) from None

        args, kwargs = fill_in(task.args, task.kwargs, tuple(inputs), value_of)
        return task.evolve(args=args, kwargs=kwargs)
