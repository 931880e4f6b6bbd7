"""pop: give a worker its next tasks, fair between users."""

from typing import Any

from attrs import frozen

from fairque.protocol.calls.reclaimed import Reclaimed, reclaimed_in
from fairque.protocol.model.states import Priority
from fairque.protocol.wire.call import Call, opened, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["MAX_POP_TASKS", "Granted", "Popped", "pop"]

MAX_POP_TASKS = 100


@frozen
class Granted:
    """A task that the worker now holds.

    Attributes:
        task_id: The task.
        message: The encoded task; empty when it is lost.
        token: Proof of holding it; every later call about this attempt carries it.
        attempt: Number of this attempt, from 1.
        failures: How many attempts ended in an error so far.
        solo: Whether its last worker vanished while it ran, so that it should run apart from others.
        pushed_at: When it was pushed, in milliseconds since the epoch.
        heritage: User and priority of a task whose message leaves them to those that it depends on.
    """

    task_id: str
    message: bytes
    token: str
    attempt: int
    failures: int
    solo: bool
    pushed_at: int
    heritage: tuple[str, Priority] | None = None

    @property
    def fence(self) -> int:
        """A number that grows with each attempt, by which an outside store can refuse an older one."""
        return int(self.token.partition(":")[0])


@frozen
class Popped:
    """The answer of a pop.

    Attributes:
        tasks: At most as many as were asked for, and as many as have 4 MiB together; at least one where there is one.
        more: Whether another pop may find something at once: a runnable task, or a bounded step that is not finished.
        wait_ms: Milliseconds until the next delay, retry, rate or lease is over; None when nothing waits for a time.
        reclaimed: Tasks of lost workers that were taken back on the way, at most 2.
    """

    tasks: tuple[Granted, ...]
    more: bool
    wait_ms: int | None
    reclaimed: tuple[Reclaimed, ...] = ()


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
) -> Call[Popped]:
    """Build the call that takes up to ``count`` (1 to 100) tasks.

    Args:
        keys: The queue.
        worker: Name of the worker.
        claim: A new nonce for each pop; the same one again gets the same tasks again.
        count: How many at most.
        lease_ms: Milliseconds until the tasks are given to others unless the lease is renewed.
        max_lost_workers: How many lost leases make a dead letter.
        result_ttl_ms: How long a task that ends canceled here is remembered.
        dead_ttl_ms: How long a dead letter is kept.
    """
    args = (worker, claim, min(count, MAX_POP_TASKS), lease_ms, max_lost_workers, result_ttl_ms, dead_ttl_ms)

    def decode(reply: list[Any]) -> Popped:
        answers = opened(keys, reply)
        wait_ms = int(answers[2])
        places = iter(answers[4:])
        tasks = tuple(
            Granted(
                text(task_id),
                message,
                text(token),
                int(attempt),
                int(failures),
                bool(solo),
                int(pushed_at),
                (text(heritage[1:]), Priority(int(heritage[:1]))) if heritage else None,
            )
            for task_id, message, token, attempt, failures, solo, pushed_at, heritage in zip(*[places] * 8, strict=True)
        )
        return Popped(tasks, bool(answers[1]), None if wait_ms < 0 else wait_ms, reclaimed_in(answers[3]))

    return Call("pop", keys, args, decode)
