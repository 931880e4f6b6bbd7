"""progress and read_progress: how far running tasks have come, told by their workers and read by whoever asks."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.errors import ProtocolError
from fairque.protocol.jsonvalue import dumps, loads
from fairque.protocol.model.progress import Progress
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Argument, Call, opened
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Reported", "parse_progress", "progress", "read_progress"]


@frozen
class Reported:
    """How far a task has come, told by the worker that holds it."""

    task_id: str
    token: str
    progress: Progress


def progress(keys: QueueKeys, reports: Sequence[Reported]) -> Call[list[Status]]:
    """Build the call that tells how far tasks have come; it answers OK, LOST or NOT_FOUND for each in order."""
    args: list[Argument] = []
    for report in reports:
        args += (report.task_id, report.token, _encoded(report.progress))
    return Call("progress", keys, tuple(args), lambda reply: [Status(code) for code in opened(keys, reply)[1:]])


def read_progress(keys: QueueKeys, task_ids: Sequence[str]) -> Call[list[Progress | None]]:
    """Build the call that reads how far 1 to 1,000 tasks have come; None for one that has said nothing."""

    def decode(reply: list[Any]) -> list[Progress | None]:
        return [parse_progress(stored) if stored else None for stored in opened(keys, reply)[1:]]

    return Call("read_progress", keys, tuple(task_ids), decode)


def parse_progress(stored: bytes) -> Progress:
    """Return a progress as the queue keeps and announces it: its time, and what the worker wrote.

    Raises:
        ProtocolError: It is none.
    """
    try:
        time, _, text = stored.partition(b"\n")
        told = loads(text)
        return Progress(
            told["done"],
            told.get("total"),
            told.get("message", ""),
            attempt=told.get("attempt", 1),
            updated_at=int(time),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProtocolError(f"a progress cannot be read ({shown(error, 200)}): {stored[:200]!r}") from error


def _encoded(progress: Progress) -> bytes:
    told: dict[str, Any] = {"done": progress.done, "attempt": progress.attempt}
    if progress.total is not None:
        told["total"] = progress.total
    if progress.message:
        told["message"] = progress.message
    return dumps(told)
