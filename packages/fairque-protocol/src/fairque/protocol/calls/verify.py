"""verify_keys, verify_tasks, verify_places, verify_users, and the like: one step each of a verification."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.model.dependencies import After, parent_lines
from fairque.protocol.wire.call import Argument, Call, opened, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = [
    "Found",
    "verify_counts",
    "verify_keys",
    "verify_parents",
    "verify_places",
    "verify_running",
    "verify_schedules",
    "verify_settings",
    "verify_tasks",
    "verify_users",
]


@frozen
class Found:
    """One thing that is not as it should be.

    Attributes:
        kind: Of which sort it is: ``type``, ``record``, ``lost``, ``message``, ``lease``, ``nowhere``, ``place``,
            ``dependents``, ``listener``, ``user``, ``schedule``, ``setting``, ``counter``, ``leftover``; or ``unseen``:
            what could not be looked at; or ``counts``: nothing wrong, but a user for `verify_running`.
        name: The task, user, schedule, key or counter.
        what: What is wrong with it.
        fixed: Whether it is right now.
    """

    kind: str
    name: str
    what: str
    fixed: bool


def verify_keys(keys: QueueKeys, names: Sequence[bytes], *, fix: bool, dead_ttl_ms: int) -> Call[list[Found]]:
    """Build the call that looks at keys, named by what follows the prefix of the queue; up to 10,000."""
    return Call("verify_keys", keys, (int(fix), dead_ttl_ms, *names), _found(keys))


def verify_tasks(
    keys: QueueKeys, task_ids: Sequence[bytes], *, fix: bool, dead_ttl_ms: int, result_ttl_ms: int, lease_ms: int
) -> Call[list[Found]]:
    """Build the call that checks whether tasks are where their states say; up to 10,000.

    Args:
        keys: The queue.
        task_ids: The tasks.
        fix: Whether to fix what is found.
        dead_ttl_ms: How long a task is kept that becomes a dead letter.
        result_ttl_ms: How long an ended task is kept that nobody would have forgotten.
        lease_ms: What a running task without a lease gets: its worker renews it, or others take the task back.
    """
    return Call("verify_tasks", keys, (int(fix), dead_ttl_ms, result_ttl_ms, lease_ms, *task_ids), _found(keys))


def verify_parents(
    keys: QueueKeys, waiting: Sequence[tuple[bytes, Sequence[After]]], *, fix: bool, result_ttl_ms: int
) -> Call[list[Found]]:
    """Build the call that checks whether tasks that wait for others will be told of their ends; up to 10,000.

    Args:
        keys: The queue.
        waiting: The tasks, each with what it depends on by its message. One that does not wait is passed by.
        fix: Whether to fix what is found.
        result_ttl_ms: How long a task is kept that is canceled, since one on which it depends did not finish.
    """
    args: list[Argument] = [int(fix), result_ttl_ms]
    for task_id, parents in waiting:
        args += (task_id, parent_lines(parents))
    return Call("verify_parents", keys, tuple(args), _found(keys))


def verify_places(
    keys: QueueKeys, places: Sequence[tuple[bytes, bytes]], *, fix: bool, dead_ttl_ms: int
) -> Call[list[Found]]:
    """Build the call that checks whether tasks belong in the indexes where they stand: pairs of index and task."""
    args: list[Argument] = [int(fix), dead_ttl_ms]
    for place in places:
        args += place
    return Call("verify_places", keys, tuple(args), _found(keys))


def verify_users(keys: QueueKeys, user_ids: Sequence[bytes], *, fix: bool, strays: bool = False) -> Call[list[Found]]:
    """Build the call that checks whether users stand where they should; with ``strays`` only those without a record.

    Its answer also names those whose records count running tasks, by the kind ``counts``.
    """
    return Call("verify_users", keys, (int(fix), int(strays), *user_ids), _found(keys))


def verify_running(keys: QueueKeys, user_ids: Sequence[bytes], *, fix: bool) -> Call[list[Found]]:
    """Build the call that compares the number of running tasks with the records of their users.

    It looks at those of whom some task runs, and at up to 10,000 whose records say so.
    """
    return Call("verify_running", keys, (int(fix), *user_ids), _found(keys))


def verify_schedules(
    keys: QueueKeys, schedule_ids: Sequence[Argument], *, fix: bool, strays: bool = False
) -> Call[list[Found]]:
    """Build the call that checks whether schedules can be read and are due when their records say; up to 10,000.

    With ``strays`` it looks only at those that stand in an index without a record.
    """
    return Call("verify_schedules", keys, (int(fix), int(strays), *schedule_ids), _found(keys))


def verify_settings(keys: QueueKeys, *, fix: bool) -> Call[list[Found]]:
    """Build the call that looks at what is kept of the queue as a whole; it comes before the others."""
    return Call("verify_settings", keys, (int(fix),), _found(keys))


def verify_counts(keys: QueueKeys, *, fix: bool) -> Call[list[Found]]:
    """Build the call that compares the counter of queued tasks with the queues."""
    return Call("verify_counts", keys, (int(fix),), _found(keys))


def _found(keys: QueueKeys) -> Callable[[list[Any]], list[Found]]:
    def decode(reply: list[Any]) -> list[Found]:
        places = iter(opened(keys, reply)[1:])
        return [
            Found(text(kind), text(name), text(what), bool(fixed))
            for kind, name, what, fixed in zip(places, places, places, places, strict=True)
        ]

    return decode
