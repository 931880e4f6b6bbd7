"""Redriving and deleting dead letters, one or many, step by step."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import frozen

from fairque.client.arguments import page_size
from fairque.client.steps import Steps
from fairque.protocol.calls import delete, read_dead, redrive
from fairque.protocol.durations import to_epoch_ms
from fairque.protocol.errors import InvalidArgument, InvalidTask, QueueFull, TaskNotFound
from fairque.protocol.model.dead_letters import DeadLetter, DeadLetterPage
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.registry import name_of
from fairque.protocol.model.states import TaskState
from fairque.protocol.showing import shown
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Chosen", "Redriven", "chosen", "deleting", "deleting_one", "page", "redriving", "redriving_one"]

#: Letters that are read, and redriven or deleted, in one call.
_CHUNK = 100


@frozen
class Redriven:
    """What became of dead letters.

    Attributes:
        redriven: How many run again.
        full: How many are still dead letters, since as many tasks wait as their user or the queue may have.
    """

    redriven: int
    full: int


@frozen(kw_only=True)
class Chosen:
    """Which dead letters are meant; None leaves a question open."""

    user_id: str | None
    func: str | None
    reason: str | None
    ended_from: int
    ended_before: float

    def __call__(self, letter: DeadLetter) -> bool:
        """Whether it is one of them."""
        return (
            self.user_id in (None, letter.user_id)
            and self.func in (None, letter.func)
            and self.reason in (None, letter.reason)
            and letter.ended_at < self.ended_before
        )


def chosen(
    user_id: str | None,
    func: Callable[..., Any] | str | None,
    reason: str | None,
    ended_after: datetime | None,
    ended_before: datetime | None,
) -> Chosen:
    """Return what is asked for.

    Raises:
        InvalidArgument: A moment has no time zone.
    """
    return Chosen(
        user_id=user_id,
        func=func if func is None or isinstance(func, str) else name_of(func),
        reason=reason,
        ended_from=0 if ended_after is None else _ms("ended_after", ended_after),
        ended_before=float("inf") if ended_before is None else _ms("ended_before", ended_before),
    )


def page(keys: QueueKeys, after: str | None, most: int) -> Call[DeadLetterPage]:
    """Build the call that reads a page.

    Raises:
        InvalidArgument: One of the arguments cannot be used.
    """
    return read_dead(keys, after=after, most=page_size(most))


def redriving_one(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[TaskState]:
    """Redrive one dead letter and return the state of the task."""
    check_id(task_id, "task_id")
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
            return TaskState(answer.state)


def deleting_one(keys: QueueKeys, task_id: str, result_ttl_ms: int) -> Steps[bool]:
    """Delete one dead letter and return whether there was one."""
    check_id(task_id, "task_id")
    return (yield from _delete(keys, [task_id], result_ttl_ms)) == 1


def redriving(keys: QueueKeys, wanted: Chosen, result_ttl_ms: int) -> Steps[Redriven]:
    """Redrive all that are wanted and are dead letters when it begins."""
    codes: Counter[Status] = Counter()

    def act(ids: list[str]) -> Steps[None]:
        while ids:
            answers = yield redrive(keys, ids, result_ttl_ms=result_ttl_ms)
            codes.update(answer.code for answer in answers)
            ids = [task_id for task_id, answer in zip(ids, answers, strict=True) if answer.code == Status.BUSY]

    yield from _in_batches(keys, wanted, act)
    return Redriven(codes[Status.OK], codes[Status.FULL])


def deleting(keys: QueueKeys, wanted: Chosen, result_ttl_ms: int) -> Steps[int]:
    """Delete all that are wanted and are dead letters when it begins, and return how many."""
    gone = 0

    def act(ids: list[str]) -> Steps[None]:
        nonlocal gone
        gone += yield from _delete(keys, ids, result_ttl_ms)

    yield from _in_batches(keys, wanted, act)
    return gone


def _delete(keys: QueueKeys, ids: list[str], result_ttl_ms: int) -> Steps[int]:
    gone = 0
    while ids:
        codes = yield delete(keys, ids, result_ttl_ms=result_ttl_ms)
        gone += codes.count(Status.OK)
        ids = [task_id for task_id, code in zip(ids, codes, strict=True) if code == Status.BUSY]
    return gone


def _in_batches(keys: QueueKeys, wanted: Chosen, act: Callable[[list[str]], Steps[None]]) -> Steps[None]:
    """Do something to the ids of all letters that are wanted, page by page.

    One that fails again meanwhile is left alone: else this might never end.
    """
    after: str | None = f"{wanted.ended_from}:"
    last = wanted.ended_before
    while after is not None:
        found = yield read_dead(keys, after=after, most=_CHUNK)
        last = min(last, found.at_ms + 1)
        ids = [letter.task_id for letter in found if wanted(letter) and letter.ended_at < last]
        if ids:
            yield from act(ids)
        over = len(found) and found.letters[-1].ended_at >= last
        after = None if over else found.next


def _ms(name: str, moment: datetime) -> int:
    try:
        return to_epoch_ms(moment, name)
    except InvalidTask as error:
        raise InvalidArgument([f"{name} must be a datetime with a time zone, not {shown(moment)}"]) from error
