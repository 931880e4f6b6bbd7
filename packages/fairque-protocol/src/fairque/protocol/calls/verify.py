"""verify_keys, verify_tasks, verify_places, verify_users and others: the steps of a verification."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.model.dependencies import After, parent_lines
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.keys import QueueKeys

__all__ = [
    "Finding",
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
class Finding:
    """An inconsistency.

    Attributes:
        kind: ``type``, ``record``, ``lost``, ``message``, ``lease``, ``nowhere``, ``place``, ``dependents``,
            ``listener``, ``user``, ``schedule``, ``definition``, ``setting``, ``counter`` or ``leftover``. Two kinds
            are not inconsistencies: ``unseen`` could not be checked, and ``counts`` is a user for `verify_running`.
        name: The task, user, schedule, key or counter.
        what: What is wrong.
        fixed: Whether it has been fixed.
    """

    kind: str
    name: str
    what: str
    fixed: bool


def verify_keys(keys: QueueKeys, names: Sequence[bytes], *, fix: bool) -> Call[list[Finding]]:
    """Build the call that checks up to 10,000 keys, given without the prefix of the queue."""
    return Call("verify_keys", keys, (int(fix), *names), _found(keys))


def verify_tasks(
    keys: QueueKeys, task_ids: Sequence[bytes], *, fix: bool, dead_ttl_ms: int, result_ttl_ms: int, lease_ms: int
) -> Call[list[Finding]]:
    """Build the call that checks whether up to 10,000 tasks are in the indexes of their states.

    Args:
        keys: The queue.
        task_ids: The tasks.
        fix: Whether to fix findings.
        dead_ttl_ms: How long to keep a task that becomes a dead letter.
        result_ttl_ms: How long to keep an ended task that had no expiry.
        lease_ms: The lease of a running task that had none: its worker renews it, or the task is reclaimed.
    """
    return Call("verify_tasks", keys, (int(fix), dead_ttl_ms, result_ttl_ms, lease_ms, *task_ids), _found(keys))


def verify_parents(
    keys: QueueKeys, waiting: Sequence[tuple[bytes, Sequence[After]]], *, fix: bool, result_ttl_ms: int
) -> Call[list[Finding]]:
    """Build the call that checks whether the endings of parents will reach up to 10,000 dependents.

    Args:
        keys: The queue.
        waiting: The dependents, each with the parents in its message. Tasks that do not wait are skipped.
        fix: Whether to fix findings.
        result_ttl_ms: How long to keep a task that is canceled because a parent did not finish.
    """
    args: list[Argument] = [int(fix), result_ttl_ms]
    for task_id, parents in waiting:
        args += (task_id, parent_lines(parents))
    return Call("verify_parents", keys, tuple(args), _found(keys))


def verify_places(
    keys: QueueKeys, places: Sequence[tuple[bytes, bytes]], *, fix: bool, dead_ttl_ms: int
) -> Call[list[Finding]]:
    """Build the call that checks whether tasks belong to the indexes that list them, given pairs of index and task."""
    args: list[Argument] = [int(fix), dead_ttl_ms]
    for place in places:
        args += place
    return Call("verify_places", keys, tuple(args), _found(keys))


def verify_users(keys: QueueKeys, user_ids: Sequence[bytes], *, fix: bool, strays: bool = False) -> Call[list[Finding]]:
    """Build the call that checks whether users are in the right rings; with ``strays``, only users without a record.

    The answer also lists the users whose records count running tasks, with the kind ``counts``.
    """
    return Call("verify_users", keys, (int(fix), int(strays), *user_ids), _found(keys))


def verify_running(keys: QueueKeys, user_ids: Sequence[bytes], *, fix: bool) -> Call[list[Finding]]:
    """Build the call that compares the numbers of running tasks with the records of their users.

    It checks all users with running tasks, and up to 10,000 given users whose records count running tasks.
    """
    return Call("verify_running", keys, (int(fix), *user_ids), _found(keys))


def verify_schedules(
    keys: QueueKeys, schedule_ids: Sequence[Argument], *, fix: bool, strays: bool = False
) -> Call[list[Finding]]:
    """Build the call that checks whether up to 10,000 schedules are readable and due at the right times.

    With ``strays`` it checks only schedules that are in an index without a record.
    """
    return Call("verify_schedules", keys, (int(fix), int(strays), *schedule_ids), _found(keys))


def verify_settings(keys: QueueKeys, *, fix: bool) -> Call[list[Finding]]:
    """Build the call that checks the settings of the queue; it comes before the others."""
    return Call("verify_settings", keys, (int(fix),), _found(keys))


def verify_counts(keys: QueueKeys, *, fix: bool) -> Call[list[Finding]]:
    """Build the call that compares the counter of queued tasks with the queues."""
    return Call("verify_counts", keys, (int(fix),), _found(keys))


def _found(keys: QueueKeys) -> Callable[[list[Any]], list[Finding]]:
    def decode(reply: list[Any]) -> list[Finding]:
        places = iter(checked(keys, reply)[1:])
        return [
            Finding(text(kind), text(name), text(what), bool(fixed))
            for kind, name, what, fixed in zip(places, places, places, places, strict=True)
        ]

    return decode
