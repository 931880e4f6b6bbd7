"""XCom: small values that a task pushes under keys, for the tasks that depend on it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import InvalidTask, OutputMissing
from fairque.protocol.jsonvalue import check_json, dumps
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.outputs import Output, StoredOutputs
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task

__all__ = ["MAX_XCOM_BYTES", "Pull", "XCom", "XComUse", "encode_xcom", "mark_xcom", "xcom_use"]

#: Most bytes of all values of a task together; store larger values elsewhere.
MAX_XCOM_BYTES = 262_144

#: Unfinished tasks that an error lists.
_MOST_LISTED = 3

#: The attribute in which `xcom_push` and `xcom_pull` record their use by a function.
_MARK = "__fairque_xcom__"


@frozen
class Pull:
    """A parameter that gets a pushed value: its key, and the function of the task that pushed it, if given."""

    parameter: str
    key: str
    func: str | None


@frozen
class XComUse:
    """The XCom use of a function: the keys under which its result is pushed, and its pulled parameters."""

    pushes: tuple[str, ...] = ()
    pulls: tuple[Pull, ...] = ()


_NONE = XComUse()


def xcom_use(func: Callable[..., Any]) -> XComUse:
    """Return the XCom use of a function; empty if it is not decorated."""
    use = getattr(func, _MARK, _NONE)
    return use if isinstance(use, XComUse) else _NONE


def mark_xcom(func: Callable[..., Any], *, pushes: Sequence[str] = (), pulls: Sequence[Pull] = ()) -> None:
    """Add to the XCom use of a function."""
    use = xcom_use(func)
    setattr(func, _MARK, XComUse((*use.pushes, *pushes), (*use.pulls, *pulls)))


class XCom:
    """The values of one attempt of a task, as `TaskContext.xcom`.

    Pushed values are stored together with the result when the attempt finishes; those of a failed attempt are dropped.
    Values can be pulled from the direct dependencies of the task.

    Args:
        task: The task.
        read: Reads the stored outputs of tasks, in their order.
        values: Receives the pushed values as JSON; see `encode_xcom`.
    """

    def __init__(
        self, task: Task[Any], read: Callable[[Sequence[str]], list[StoredOutputs]], values: dict[str, bytes]
    ) -> None:
        self._task = task
        self._read = read
        self._values = values
        self._outputs: dict[str, StoredOutputs] | None = None

    def push(self, key: str, value: Any) -> None:
        """Push the current state of a value under a key, replacing an earlier value of the key.

        Args:
            key: 1 to 128 bytes without control characters.
            value: A JSON value. All values of a task together may have 256 KiB.

        Raises:
            InvalidTask: The key or the value is invalid; the message names the task, the key and the size.
        """
        check_id(key, "key")
        check_json(value, f"task {self._task.task_id}: the value {key!r} of its XCom")
        # Encoded at once, so that later changes of a list or dict have no effect.
        encoded = dumps(value)
        size = len(_joined({**self._values, key: encoded}))
        if size > MAX_XCOM_BYTES:
            raise InvalidTask(
                f"task {self._task.task_id}: with the value {key!r} its XCom has {size:,} bytes, allowed are "
                f"{MAX_XCOM_BYTES:,}: store it elsewhere and push its address"
            )
        self._values[key] = encoded

    def pull(self, key: str, task: str | Callable[..., Any] | Task[Any] | None = None) -> Any:
        """Return the value that a direct dependency has pushed under a key.

        The first pull of an attempt reads the values of all dependencies from the server. In a coroutine use
        ``await asyncio.to_thread(ctx.xcom.pull, key)``, which does not block the event loop.

        Args:
            key: The key.
            task: The task that pushed it, its id, its function or its function's name; not needed if only one task
                pushed the key.

        Raises:
            OutputMissing: No dependency has pushed it, it has expired, or there are no dependencies; the message lists
                the available values.
            InvalidTask: Several dependencies have pushed it.
        """
        source = task.task_id if isinstance(task, Task) else name_of(task) if callable(task) else task
        parents = self._parents()
        finished = {task_id: outputs for task_id, outputs in parents.items() if outputs.state is TaskState.FINISHED}
        sources = {t: outputs for t, outputs in finished.items() if source is None or source in (t, outputs.func)}
        having = [task_id for task_id, outputs in sources.items() if key in outputs.values]
        if len(having) == 1:
            return Output(having[0], key).value_in(finished[having[0]])
        if having:
            raise InvalidTask(
                f"task {self._task.task_id} pulls {key!r}, which {len(having)} of its dependencies have pushed: give "
                f"the function or the id of one, such as {having[0]}"
            )
        raise OutputMissing(self._nothing(key, source, parents))

    def _parents(self) -> dict[str, StoredOutputs]:
        if self._outputs is None:
            ids = [parent.task_id for parent in self._task.depends_on]
            if not ids:
                raise OutputMissing(
                    f"task {self._task.task_id} does not depend on any task, and can pull values only from its "
                    "dependencies: give it depends_on=, or push it after them in a pipeline"
                )
            self._outputs = dict(zip(ids, self._read(ids), strict=True))
        return self._outputs

    def _nothing(self, key: str, source: str | None, parents: Mapping[str, StoredOutputs]) -> str:
        whose = f" of {source!r}" if source else ""
        pushed = ", ".join(f"{k!r} of {outputs.func or t}" for t, outputs in parents.items() for k in outputs.values)
        unfinished = [(t, outputs.state) for t, outputs in parents.items() if outputs.state is not TaskState.FINISHED]
        others = [f"{t} {f'is {state}' if state else 'is no longer known'}" for t, state in unfinished[:_MOST_LISTED]]
        if unfinished[_MOST_LISTED:]:
            others.append(f"{len(unfinished) - _MOST_LISTED} others have not finished either")
        return (
            f"task {self._task.task_id} pulls {key!r}{whose}, but its dependencies have pushed {pushed or 'nothing'}"
            f"{''.join(f'; {other}' for other in others)}. "
            "Values can be pulled only from direct dependencies: add the task that pushed it to depends_on. "
            "Values are kept until the last dependent has ended, and then for queue.result_ttl"
        )


def encode_xcom(func: str | None, values: Mapping[str, bytes]) -> bytes:
    """Return the stored form of the values pushed by a task of this function; empty if there are none."""
    # Copied, since a thread that the task left running may still push.
    return b'{"func":' + dumps(func) + b',"values":' + _joined(dict(values)) + b"}" if values else b""


def _joined(values: Mapping[str, bytes]) -> bytes:
    """Return the JSON object of encoded values."""
    return b"{" + b",".join(dumps(key) + b":" + value for key, value in values.items()) + b"}"
