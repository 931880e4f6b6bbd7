"""Operations on dead letters, as steps."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from fairque.client.filters import Selection
from fairque.client.steps import Steps
from fairque.protocol.calls.dead import delete, read_dead, redrive
from fairque.protocol.calls.read import read_task
from fairque.protocol.durations import to_epoch_ms
from fairque.protocol.errors import NotFound, QueueFull, TaskNotFound
from fairque.protocol.model.dead_letters import DeadLetter
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.page import Page
from fairque.protocol.model.reports import BulkReport, RetryReport
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from fairque.protocol.model.infos import TaskInfo

__all__ = ["delete_letter", "delete_letters", "get_letter", "list_letters", "retry_letter", "retry_letters"]

#: Dead letters that one call reads, retries or deletes.
_CHUNK = 100


def get_letter(keys: QueueKeys, task_id: str) -> Steps[DeadLetter]:
    """Read one dead letter."""
    check_id(task_id, "task_id")
    task: TaskInfo = yield read_task(keys, task_id)
    after = None if task.ended_at is None else f"{to_epoch_ms(task.ended_at, 'ended_at')}:"
    while after is not None:
        page: Page[DeadLetter] = yield read_dead(keys, after=after, most=_CHUNK)
        for letter in page:
            if letter.task_id == task_id:
                return letter
        after = page.next if task.ended_at and page and page[-1].ended_at <= task.ended_at else None
    raise NotFound(f"task {task_id} of queue {keys.name!r} is {task.state}: it is not a dead letter")


def list_letters(keys: QueueKeys, selection: Selection, after: str | None, limit: int) -> Steps[Page[DeadLetter]]:
    """Read a page of the selected dead letters."""
    page = yield read_dead(keys, after=after or selection.start, most=limit)
    last = page and selection.ends_before(page[-1])
    return evolve(page, items=tuple(filter(selection, page)), next=None if last else page.next)


def retry_letter(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[RetryReport]:
    """Make one dead letter runnable again."""
    while True:
        (answer,) = yield redrive(keys, [task_id], result_ttl_ms=result_ttl_ms)
        if answer.code == Status.FULL:
            raise QueueFull(
                f"task {task_id} stays a dead letter: the backlog of its user, or of queue {keys.name!r}, is full",
                answer.pause_ms / 1000,
            )
        if answer.code == Status.NOT_FOUND:
            raise TaskNotFound(task_id, keys.name)
        if answer.code != Status.BUSY:
            return RetryReport(task_ids=(task_id,) if answer.code == Status.OK else (), refused=0)


def delete_letter(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[bool]:
    """Delete one dead letter and return whether it existed."""
    check_id(task_id, "task_id")
    changed, _ = yield from _delete(keys, [task_id], result_ttl_ms)
    return changed == 1


def retry_letters(keys: QueueKeys, selection: Selection, result_ttl_ms: int, *, dry_run: bool) -> Steps[BulkReport]:
    """Make the selected dead letters runnable again, as of the start of the call, or only count them."""
    return _in_batches(keys, selection, lambda ids: _redrive(keys, ids, result_ttl_ms), dry_run=dry_run)


def delete_letters(keys: QueueKeys, selection: Selection, result_ttl_ms: int, *, dry_run: bool) -> Steps[BulkReport]:
    """Delete the selected dead letters, as of the start of the call, or only count them."""
    return _in_batches(keys, selection, lambda ids: _delete(keys, ids, result_ttl_ms), dry_run=dry_run)


def _redrive(keys: QueueKeys, ids: list[str], result_ttl_ms: int) -> Steps[tuple[int, int]]:
    codes: list[Status] = []
    while ids:
        answers = yield redrive(keys, ids, result_ttl_ms=result_ttl_ms)
        codes += [answer.code for answer in answers]
        ids = [task_id for task_id, answer in zip(ids, answers, strict=True) if answer.code == Status.BUSY]
    return codes.count(Status.OK), codes.count(Status.FULL)


def _delete(keys: QueueKeys, ids: list[str], result_ttl_ms: int) -> Steps[tuple[int, int]]:
    deleted = 0
    while ids:
        codes = yield delete(keys, ids, result_ttl_ms=result_ttl_ms)
        deleted += codes.count(Status.OK)
        ids = [task_id for task_id, code in zip(ids, codes, strict=True) if code == Status.BUSY]
    return deleted, 0


def _in_batches(
    keys: QueueKeys, selection: Selection, act: Callable[[list[str]], Steps[tuple[int, int]]], *, dry_run: bool
) -> Steps[BulkReport]:
    """Call ``act`` with the ids of the selected dead letters of each page; it returns how many it changed and refused.

    Tasks that fail again meanwhile are skipped: otherwise this might never end.
    """
    matched = changed = refused = scanned = 0
    after = selection.start
    while True:
        page = yield read_dead(keys, after=after, most=_CHUNK)
        now = page.read_at + timedelta(milliseconds=1)
        if selection.ended_before is None or now < selection.ended_before:
            selection = evolve(selection, ended_before=now)
        ids = [letter.task_id for letter in page if selection(letter)]
        matched, scanned = matched + len(ids), scanned + page.scanned
        if ids and not dry_run:
            counts = yield from act(ids)
            changed, refused = changed + counts[0], refused + counts[1]
        if page.next is None or selection.ends_before(page[-1]):
            return BulkReport(matched=matched, changed=changed, refused=refused, scanned=scanned)
        after = page.next
