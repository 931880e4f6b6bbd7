"""XCom: small values that a task leaves under keys for those that depend on it, and finds from those before it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import InvalidTask, OutputMissing
from fairque.protocol.jsonvalue import check_json, dumps
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.outputs import Left, Output
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task

__all__ = ["MAX_XCOM_BYTES", "Pull", "XCom", "XComUse", "encode_xcom", "mark_xcom", "xcom_use"]

#: Bytes of all values of one task together: they are for small things. Larger ones belong to a store of their own.
MAX_XCOM_BYTES = 262_144

#: Of how many tasks without values an error tells.
_TOLD = 3

#: Where a function keeps what `xcom_push` and `xcom_pull` said of it.
_MARK = "__fairque_xcom__"


@frozen
class Pull:
    """A parameter that gets a value of a task before: the key, and the function of that task, if it was named."""

    parameter: str
    key: str
    func: str | None


@frozen
class XComUse:
    """What a function leaves and gets: the keys of its result, and the parameters that are pulled."""

    pushes: tuple[str, ...] = ()
    pulls: tuple[Pull, ...] = ()


_NONE = XComUse()


def xcom_use(func: Callable[..., Any]) -> XComUse:
    """Return what a function leaves and gets; nothing, unless it is decorated."""
    use = getattr(func, _MARK, _NONE)
    return use if isinstance(use, XComUse) else _NONE


def mark_xcom(func: Callable[..., Any], *, pushes: Sequence[str] = (), pulls: Sequence[Pull] = ()) -> None:
    """Say of a function that it leaves and gets more than it was known to."""
    use = xcom_use(func)
    setattr(func, _MARK, XComUse((*use.pushes, *pushes), (*use.pulls, *pulls)))


class XCom:
    """The values of one attempt of a task, as `TaskContext.xcom`.

    What it pushes is stored when the attempt finishes, together with its result; of an attempt that fails nothing is
    seen. What it pulls was left by the tasks on which it directly depends.

    Args:
        task: The task.
        read: Reads what tasks have left, in their order.
        values: Gets what the task pushes, as JSON; see `encode_xcom`.
    """

    def __init__(self, task: Task[Any], read: Callable[[Sequence[str]], list[Left]], values: dict[str, bytes]) -> None:
        self._task = task
        self._read = read
        self._values = values
        self._found: dict[str, Left] | None = None

    def push(self, key: str, value: Any) -> None:
        """Leave a value under a key, as it is now; the last one under it counts.

        Args:
            key: 1 to 128 bytes without control characters.
            value: A JSON value. All values of a task together have 256 KiB at most.

        Raises:
            InvalidTask: The key or the value cannot be used; the message names the task, the key and the size.
        """
        check_id(key, "key")
        check_json(value, f"task {self._task.task_id}: the value {key!r} of its XCom")
        # Encoded at once: what becomes of a list afterwards was not pushed.
        encoded = dumps(value)
        size = len(_joined({**self._values, key: encoded}))
        if size > MAX_XCOM_BYTES:
            raise InvalidTask(
                f"task {self._task.task_id}: with the value {key!r} its XCom has {size:,} bytes, allowed are "
                f"{MAX_XCOM_BYTES:,}: store it elsewhere and push its address"
            )
        self._values[key] = encoded

    def pull(self, key: str, task: str | Callable[..., Any] | Task[Any] | None = None) -> Any:
        """Return the value that a task on which this one directly depends has left under a key.

        It asks the server once in an attempt, for the values of all those tasks. In a coroutine use
        ``await asyncio.to_thread(ctx.xcom.pull, key)``, so that the others continue meanwhile.

        Args:
            key: The key.
            task: The task that left it, its id, its function or its function's name; not needed when only one has.

        Raises:
            OutputMissing: No such task has left it, it is no longer kept, or the task depends on none; the message
                names what there is.
            InvalidTask: Several have left it.
        """
        wanted = task.task_id if isinstance(task, Task) else name_of(task) if callable(task) else task
        parents = self._parents()
        left = {task_id: one for task_id, one in parents.items() if one.state is TaskState.FINISHED}
        named = {t: one for t, one in left.items() if wanted is None or wanted in (t, one.func)}
        having = [task_id for task_id, one in named.items() if key in one.values]
        if len(having) == 1:
            return Output(having[0], key).value_in(left[having[0]])
        if having:
            raise InvalidTask(
                f"task {self._task.task_id} pulls {key!r}, which {len(having)} tasks before it have left: say whose, "
                f"by its function or its id, such as {having[0]}"
            )
        raise OutputMissing(self._nothing(key, wanted, parents))

    def _parents(self) -> dict[str, Left]:
        if self._found is None:
            ids = [parent.task_id for parent in self._task.depends_on]
            if not ids:
                raise OutputMissing(
                    f"task {self._task.task_id} depends on no other task, and only from those it can pull a value: "
                    "give it depends_on=, or push it behind them in a pipeline"
                )
            self._found = dict(zip(ids, self._read(ids), strict=True))
        return self._found

    def _nothing(self, key: str, wanted: str | None, parents: Mapping[str, Left]) -> str:
        whose = f" of {wanted!r}" if wanted else ""
        there = ", ".join(f"{k!r} of {one.func or t}" for t, one in parents.items() for k in one.values) or "nothing"
        without = [(t, one.state) for t, one in parents.items() if one.state is not TaskState.FINISHED]
        others = [f"{t} {f'is {state}' if state else 'is not known any more'}" for t, state in without[:_TOLD]]
        if without[_TOLD:]:
            others.append(f"{len(without) - _TOLD} others have not finished either")
        return (
            f"task {self._task.task_id} pulls {key!r}{whose}, but the tasks on which it depends have left {there}"
            f"{''.join(f'; {other}' for other in others)}. "
            "Only tasks on which it directly depends count: name the one that left it in depends_on, too. "
            "Values are kept until the last dependent has ended, and then for queue.result_ttl"
        )


def encode_xcom(func: str | None, values: Mapping[str, bytes]) -> bytes:
    """Return what is stored of pushed values with the result of a task of this function; empty when there are none."""
    # Of a copy: a thread that the task has left behind may still push.
    return b'{"func":' + dumps(func) + b',"values":' + _joined(dict(values)) + b"}" if values else b""


def _joined(values: Mapping[str, bytes]) -> bytes:
    """Return the JSON object of values that are JSON already."""
    return b"{" + b",".join(dumps(key) + b":" + value for key, value in values.items()) + b"}"
