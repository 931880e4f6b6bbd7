"""A queue with short methods for the calls of a worker, for tests in which no worker runs."""

from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

from fairque.protocol.calls.endings import Ended, Failed, Finished, Released
from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.model.infos import TaskInfo
from fairque.protocol.model.states import TaskState
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls

__all__ = ["DEAD_TTL_MS", "LEASE_MS", "RESULT_TTL_MS", "QueueBench", "pop_call"]

T = TypeVar("T")

LEASE_MS = 30_000
RESULT_TTL_MS = 60_000
DEAD_TTL_MS = 120_000


def pop_call(keys: QueueKeys, number: int = 1, **changes: Any) -> Call[calls.Popped]:
    """Build the call that takes ``count`` tasks, with default arguments unless others are given."""
    arguments = {
        "worker": "w1",
        "claim": new_nonce(),
        "lease_ms": LEASE_MS,
        "max_lost_workers": 5,
        "result_ttl_ms": RESULT_TTL_MS,
        "dead_ttl_ms": DEAD_TTL_MS,
    }
    return calls.pop(keys, count=number, **{**arguments, **changes})


class QueueBench:
    """A queue with the calls of a worker, with default arguments.

    Args:
        runner: Sends the calls.
        name: Name of the queue.

    Attributes:
        runner: Sends the calls.
        keys: Keys of the queue.
    """

    def __init__(self, runner: Runner, name: str) -> None:
        self.runner = runner
        self.keys = QueueKeys(name)
        self._claims = count(1)

    def run(self, call: Call[T]) -> T:
        """Send a call."""
        return self.runner.run(call)

    def pop_call(self, number: int = 1, **changes: Any) -> Call[calls.Popped]:
        """Build the call that takes ``count`` tasks, with a new claim."""
        return pop_call(self.keys, number, **{"claim": f"{next(self._claims):016x}", **changes})

    def pop(self, number: int = 1, **changes: Any) -> tuple[Granted, ...]:
        """Take tasks."""
        return self.run(self.pop_call(number, **changes)).tasks

    def finish(
        self, *held: Granted, result: bytes = b"", xcom: bytes = b"", ran_us: int = 5_000, token: str = ""
    ) -> list[tuple[Status, TaskState | None]]:
        """End tasks with a result."""
        tasks = [Finished(h.task_id, token or h.token, ran_us, result, xcom) for h in held]
        return _plain(self.run(calls.finish(self.keys, tasks, result_ttl_ms=RESULT_TTL_MS)))

    def fail(
        self,
        *held: Granted,
        verdict: Any = "retry",
        pause_ms: int = 1_000,
        error: bytes = b'{"e":1}',
        ran_us: int = 5_000,
        token: str = "",
    ) -> list[tuple[Status, TaskState | None]]:
        """End the attempts of tasks with an error."""
        tasks = [Failed(h.task_id, token or h.token, ran_us, verdict, pause_ms, error) for h in held]
        call = calls.fail(self.keys, tasks, result_ttl_ms=RESULT_TTL_MS, dead_ttl_ms=DEAD_TTL_MS)
        return _plain(self.run(call))

    def release(self, *held: Granted, ran_us: int = 5_000, token: str = "") -> list[tuple[Status, TaskState | None]]:
        """Release tasks."""
        tasks = [Released(h.task_id, token or h.token, ran_us) for h in held]
        return _plain(self.run(calls.release(self.keys, tasks, result_ttl_ms=RESULT_TTL_MS)))

    def cancel(self, task_id: str, reason: str = "no longer wanted") -> tuple[Status, TaskState]:
        """Cancel a task."""
        return self.run(calls.cancel(self.keys, task_id, reason=reason, result_ttl_ms=RESULT_TTL_MS))

    def outcome(self, task_id: str) -> tuple[TaskState, bytes]:
        """Return the state of a task, and its result, error or reason."""
        found = self.run(calls.watch(self.keys, task_id))
        return found.state, found.blob

    def state(self, task_id: str) -> TaskState:
        """Return the state of a task."""
        return self.outcome(task_id)[0]

    def stats(self) -> calls.QueueStats:
        """Return the counts of the queue."""
        return self.run(calls.read_stats(self.keys))

    def info(self, task_id: str) -> TaskInfo:
        """Return the record of a task."""
        return self.run(calls.read_task(self.keys, task_id))


def _plain(ended: Sequence[Ended]) -> list[tuple[Status, TaskState | None]]:
    return [(e.code, e.state) for e in ended]
