"""pop: give a worker its next tasks, fairly between users."""

import struct
from collections.abc import Sequence
from typing import Any

from attrs import define, frozen

from fairque.protocol.calls.endings import Ended, Finished, ended_in, finished_args
from fairque.protocol.calls.reclaimed import Reclaimed, reclaimed_in
from fairque.protocol.model.states import Priority
from fairque.protocol.wire.body import read_body
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["MAX_POP_TASKS", "Granted", "Popped", "granted_in", "pop"]

MAX_POP_TASKS = 100

#: Where the tasks begin in an answer, and how many places each has.
_FIRST, _PLACES = 6, 3
#: Fence, attempt, failures, and whether to run apart; formats.lua has the same.
_AGAIN = struct.Struct("<dIIB")
_PRIORITIES = {int(priority): priority for priority in Priority}


@define
class Granted:
    """A task whose lease the worker now holds.

    Attributes:
        task_id: The id of the task.
        message: The encoded task; empty if it is lost.
        token: The proof that the worker holds the lease, for all later calls about this attempt.
        attempt: Number of this attempt, from 1.
        failures: How many attempts have raised an error.
        solo: Whether its last worker was lost while running it, so that it should run apart from other tasks.
        pushed_at: When it was pushed, in milliseconds since the epoch.
        user_id: Its user, which it may have inherited from a dependency; None if it is unknown.
        priority: Its priority, likewise.
    """

    task_id: str
    message: bytes
    token: str
    attempt: int
    failures: int
    solo: bool
    pushed_at: int
    user_id: str | None = None
    priority: Priority | None = None

    @property
    def fence(self) -> int:
        """The fencing token, which grows with each attempt, so that other stores can refuse older attempts."""
        return int(self.token.partition(":")[0])


@frozen
class Popped:
    """The answer of a pop.

    Attributes:
        tasks: At most the requested number, and at most 4 MiB; at least one if there is one.
        more: Whether another pop may find more at once: a runnable task, or a bounded step that is not complete.
        wait_ms: Milliseconds until the next delay, retry, rate or lease ends, 0 if there is more at once; None if
            nothing waits for a time.
        reclaimed: Tasks of lost workers that were reclaimed meanwhile, at most 2.
        ended: The answers for the attempts that the call ended.
    """

    tasks: tuple[Granted, ...]
    more: bool
    wait_ms: int | None
    reclaimed: tuple[Reclaimed, ...] = ()
    ended: Sequence[Ended] = ()


def pop(
    keys: QueueKeys,
    *,
    worker: str,
    claim: str,
    count: int,
    lease_ms: int,
    max_lost_workers: int,
    result_ttl_ms: int,
    dead_ttl_ms: int,
    finished: Sequence[Finished] = (),
) -> Call[Popped]:
    """Build the call that ends attempts, if any, and then takes up to ``count`` (1 to 100) tasks.

    Args:
        keys: The queue.
        worker: Name of the worker.
        claim: A new nonce for each pop; repeating the call with the same nonce returns the same tasks.
        count: Most tasks to take.
        lease_ms: Milliseconds until the tasks are reclaimed unless their leases are renewed.
        max_lost_workers: Number of lost workers after which a task becomes a dead letter.
        result_ttl_ms: How long to keep the results of tasks that end here.
        dead_ttl_ms: How long to keep a dead letter.
        finished: The worker's attempts that returned since its last call.
    """
    count = min(count, MAX_POP_TASKS)
    fixed: tuple[Argument, ...] = (worker, claim, count, lease_ms, max_lost_workers, result_ttl_ms, dead_ttl_ms)

    def decode(reply: list[Any]) -> Popped:
        answers = checked(keys, reply)
        wait_ms = int(answers[2])
        # Most attempts are the first of their tasks, and have the same token.
        token = f"{answers[5]}:{claim}"
        ids, bodies, others = (answers[place::_PLACES] for place in range(_FIRST, _FIRST + _PLACES))
        places = zip(ids, bodies, others, strict=True)
        tasks = tuple([_granted(task_id, body, again, token, claim) for task_id, body, again in places])
        ended = ended_in(keys, answers[4]) if finished else ()
        return Popped(tasks, bool(answers[1]), None if wait_ms < 0 else wait_ms, reclaimed_in(answers[3]), ended)

    return Call("pop", keys, (*fixed, *finished_args(finished)), decode)


def granted_in(reply: list[Any]) -> int:
    """Return how many tasks are in an answer that is not decoded yet."""
    return (len(reply) - _FIRST) // _PLACES


def _granted(task_id: bytes, body: bytes, again: bytes, token: str, claim: str) -> Granted:
    pushed_at, priority, user_id, message = read_body(body)
    attempt, failures, solo = 1, 0, 0
    if again:
        fence, attempt, failures, solo = _AGAIN.unpack(again)
        token = f"{int(fence)}:{claim}"
    return Granted(
        text(task_id),
        message,
        token,
        attempt,
        failures,
        bool(solo),
        pushed_at,
        user_id or None,
        _PRIORITIES.get(priority),
    )
