"""progress and read_progress: store the progress of running tasks, and read it."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import ProtocolError
from fairque.protocol.jsonvalue import dumps, loads
from fairque.protocol.model.progress import Progress
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Argument, Call, checked
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Reported", "parse_progress", "progress", "read_progress"]


@frozen
class Reported:
    """The progress of a task, reported by the worker that holds its lease."""

    task_id: str
    token: str
    progress: Progress


def progress(keys: QueueKeys, reports: Sequence[Reported]) -> Call[list[Status]]:
    """Build the call that stores the progress of tasks; it answers OK, LOST or NOT_FOUND for each, in order."""
    args: list[Argument] = []
    for report in reports:
        args += (report.task_id, report.token, _encoded(report.progress))
    return Call("progress", keys, tuple(args), lambda reply: [Status(code) for code in checked(keys, reply)[1:]])


def read_progress(keys: QueueKeys, task_ids: Sequence[str]) -> Call[list[Progress | None]]:
    """Build the call that reads the progress of 1 to 1,000 tasks; None for a task that reported none."""

    def decode(reply: list[Any]) -> list[Progress | None]:
        return [parse_progress(stored) if stored else None for stored in checked(keys, reply)[1:]]

    return Call("read_progress", keys, tuple(task_ids), decode)


def parse_progress(stored: bytes) -> Progress:
    """Parse a progress in the form that the queue stores and publishes: its time, and the JSON of the worker.

    Raises:
        ProtocolError: It is not a progress.
    """
    try:
        time, _, text = stored.partition(b"\n")
        fields = loads(text)
        return Progress(
            fields["done"],
            fields.get("total"),
            fields.get("message", ""),
            attempt=fields.get("attempt", 1),
            updated_at=int(time),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProtocolError(f"a progress cannot be read ({safe_repr(error, 200)}): {stored[:200]!r}") from error


def _encoded(progress: Progress) -> bytes:
    fields: dict[str, Any] = {"done": progress.done, "attempt": progress.attempt}
    if progress.total is not None:
        fields["total"] = progress.total
    if progress.message:
        fields["message"] = progress.message
    return dumps(fields)
