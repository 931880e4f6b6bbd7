"""Reading dead letters, retrying and deleting them, one or many, step by step."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from fairque.client.filters import Chosen
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

__all__ = ["deleting", "deleting_one", "getting", "listing", "retrying", "retrying_one"]

#: Letters that are read, and retried or deleted, in one call.
_CHUNK = 100


def getting(keys: QueueKeys, task_id: str) -> Steps[DeadLetter]:
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


def listing(keys: QueueKeys, wanted: Chosen, after: str | None, limit: int) -> Steps[Page[DeadLetter]]:
    """Read a page, and leave out what is not wanted."""
    page = yield read_dead(keys, after=after or wanted.start, most=limit)
    over = page and wanted.over(page[-1])
    return evolve(page, items=tuple(filter(wanted, page)), next=None if over else page.next)


def retrying_one(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[RetryReport]:
    """Make one dead letter runnable again."""
    while True:
        (answer,) = yield redrive(keys, [task_id], result_ttl_ms=result_ttl_ms)
        if answer.code == Status.FULL:
            raise QueueFull(
                f"task {task_id} stays a dead letter: as many tasks wait in queue {keys.name!r} as its user, or the "
                "queue, may have",
                answer.pause_ms / 1000,
            )
        if answer.code == Status.NOT_FOUND:
            raise TaskNotFound(task_id, keys.name)
        if answer.code != Status.BUSY:
            return RetryReport(task_ids=(task_id,) if answer.code == Status.OK else (), refused=0)


def deleting_one(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[bool]:
    """Delete one dead letter and return whether there was one."""
    check_id(task_id, "task_id")
    changed, _ = yield from _delete(keys, [task_id], result_ttl_ms)
    return changed == 1


def retrying(keys: QueueKeys, wanted: Chosen, result_ttl_ms: int, *, dry_run: bool) -> Steps[BulkReport]:
    """Make all runnable again that are wanted and are dead letters when it begins, or only count them."""
    return _in_batches(keys, wanted, lambda ids: _redrive(keys, ids, result_ttl_ms), dry_run=dry_run)


def deleting(keys: QueueKeys, wanted: Chosen, result_ttl_ms: int, *, dry_run: bool) -> Steps[BulkReport]:
    """Delete all that are wanted and are dead letters when it begins, or only count them."""
    return _in_batches(keys, wanted, lambda ids: _delete(keys, ids, result_ttl_ms), dry_run=dry_run)


def _redrive(keys: QueueKeys, ids: list[str], result_ttl_ms: int) -> Steps[tuple[int, int]]:
    codes: list[Status] = []
    while ids:
        answers = yield redrive(keys, ids, result_ttl_ms=result_ttl_ms)
        codes += [answer.code for answer in answers]
        ids = [task_id for task_id, answer in zip(ids, answers, strict=True) if answer.code == Status.BUSY]
    return codes.count(Status.OK), codes.count(Status.FULL)


def _delete(keys: QueueKeys, ids: list[str], result_ttl_ms: int) -> Steps[tuple[int, int]]:
    gone = 0
    while ids:
        codes = yield delete(keys, ids, result_ttl_ms=result_ttl_ms)
        gone += codes.count(Status.OK)
        ids = [task_id for task_id, code in zip(ids, codes, strict=True) if code == Status.BUSY]
    return gone, 0


def _in_batches(
    keys: QueueKeys, wanted: Chosen, act: Callable[[list[str]], Steps[tuple[int, int]]], *, dry_run: bool
) -> Steps[BulkReport]:
    """Do something to the ids of all letters that are wanted, page by page; it returns how many it changed and refused.

    One that fails again meanwhile is left alone: else this might never end.
    """
    matched = changed = refused = scanned = 0
    after = wanted.start
    while True:
        page = yield read_dead(keys, after=after, most=_CHUNK)
        now = page.read_at + timedelta(milliseconds=1)
        if wanted.ended_before is None or now < wanted.ended_before:
            wanted = evolve(wanted, ended_before=now)
        ids = [letter.task_id for letter in page if wanted(letter)]
        matched, scanned = matched + len(ids), scanned + page.scanned
        if ids and not dry_run:
            done = yield from act(ids)
            changed, refused = changed + done[0], refused + done[1]
        if page.next is None or wanted.over(page[-1]):
            return BulkReport(matched=matched, changed=changed, refused=refused, scanned=scanned)
        after = page.next
