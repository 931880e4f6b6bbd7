"""queue.schedules: schedules are read, paused, resumed and removed; only a scheduler adds them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    InvalidArgument,
    InvalidSchedule,
    ScheduleNotFound,
    TaskQueue,
)
from fairque.protocol import calls
from fairque.protocol.calls import Storing
from fairque.testing.internal import stored_schedule


def add(worker: Any, *names: str, next_at: int | None = None) -> None:
    """Add schedules as a scheduler does."""
    storing = [
        Storing(
            schedule=stored_schedule(schedule_id=name, cron="0 3 * * *", user_id="ann"), revision=0, next_at=next_at
        )
        for name in names
    ]
    worker.run(calls.schedule(worker.keys, storing, message_limit=1_000))


def test_one_is_read(queue: TaskQueue, worker: Any) -> None:
    add(worker, "s", next_at=2 * 10**12)
    found = queue.schedules.get("s")
    assert (found.schedule.cron, found.next_at, found.paused, found.last_task_id) == (
        "0 3 * * *",
        datetime(2033, 5, 18, 3, 33, 20, tzinfo=UTC),
        False,
        None,
    )


def test_pages_are_in_the_order_of_the_ids(queue: TaskQueue, worker: Any) -> None:
    add(worker, "b", "c", "a")
    page = queue.schedules.list(limit=2)
    assert [one.schedule_id for one in page] == ["a", "b"]
    assert [one.schedule_id for one in queue.schedules.list(after=page.next)] == ["c"]


def test_one_is_paused_and_resumed(queue: TaskQueue, worker: Any) -> None:
    add(worker, "s", next_at=2 * 10**12)
    assert queue.schedules.pause("s")
    assert not queue.schedules.pause("s")
    assert queue.schedules.get("s").paused
    assert queue.schedules.resume("s")
    assert queue.schedules.get("s").next_at is not None


def test_one_is_removed(queue: TaskQueue, worker: Any) -> None:
    add(worker, "s")
    assert queue.schedules.delete("s")
    assert not queue.schedules.delete("s")
    with pytest.raises(ScheduleNotFound, match="has no schedule 's'"):
        queue.schedules.get("s")


def test_the_status_says_who_leads(queue: TaskQueue, worker: Any) -> None:
    add(worker, "s", next_at=1)
    assert queue.schedules.status().leader is None
    worker.run(calls.lead(worker.keys, "x", lease_ms=60_000))
    found = queue.schedules.status()
    assert (found.leader, found.schedules, found.overdue) == ("x", 1, 1)


def test_what_cannot_be_is_refused_before_anything_is_sent(queue: TaskQueue) -> None:
    for method in (queue.schedules.get, queue.schedules.pause, queue.schedules.resume, queue.schedules.delete):
        with pytest.raises(InvalidSchedule, match="control characters"):
            method("a\nb")
    with pytest.raises(InvalidArgument, match="limit must be a whole number"):
        queue.schedules.list(limit=0)
    with pytest.raises(ScheduleNotFound):
        queue.schedules.pause("nobody")


async def test_the_same_on_an_event_loop(async_queue: AsyncTaskQueue, worker: Any) -> None:
    add(worker, "a", "b")
    assert await async_queue.schedules.pause("a")
    assert await async_queue.schedules.resume("a")
    assert await async_queue.schedules.delete("b")
    assert [one.schedule_id for one in await async_queue.schedules.list()] == ["a"]
    assert not (await async_queue.schedules.get("a")).paused
    assert (await async_queue.schedules.status()).schedules == 1
