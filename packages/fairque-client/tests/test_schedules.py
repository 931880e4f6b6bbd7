"""queue.schedules: schedules are added, changed, read, paused, fired and deleted."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    InvalidArgument,
    InvalidSchedule,
    Schedule,
    ScheduleConflict,
    ScheduleNotFound,
    Task,
    TaskQueue,
    TaskState,
)
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.testing.internal import calls, stored_schedule


def add(worker: Any, *names: str, next_at: int | None = None) -> None:
    """Add schedules as a scheduler does."""
    writes = [
        ScheduleWrite(
            schedule=stored_schedule(schedule_id=name, cron="0 3 * * *", user_id="ann"), revision=0, next_at=next_at
        )
        for name in names
    ]
    worker.run(calls.schedule(worker.keys, writes, message_limit=1_000))


def test_a_schedule_is_read(queue: TaskQueue, worker: Any) -> None:
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
    assert [info.schedule_id for info in page] == ["a", "b"]
    assert [info.schedule_id for info in queue.schedules.list(after=page.next)] == ["c"]


def test_a_schedule_is_paused_and_resumed(queue: TaskQueue, worker: Any) -> None:
    add(worker, "s", next_at=2 * 10**12)
    assert queue.schedules.pause("s")
    assert not queue.schedules.pause("s")
    assert queue.schedules.get("s").paused
    assert queue.schedules.resume("s")
    assert queue.schedules.get("s").next_at is not None


def test_a_schedule_is_deleted(queue: TaskQueue, worker: Any) -> None:
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


def test_invalid_arguments_are_refused_before_anything_is_sent(queue: TaskQueue) -> None:
    for method in (queue.schedules.get, queue.schedules.pause, queue.schedules.resume, queue.schedules.delete):
        with pytest.raises(InvalidSchedule, match="control characters"):
            method("a\nb")
    with pytest.raises(InvalidArgument, match="limit must be a whole number"):
        queue.schedules.list(limit=0)
    with pytest.raises(ScheduleNotFound):
        queue.schedules.pause("nobody")


async def test_the_asynchronous_queue_does_the_same(async_queue: AsyncTaskQueue, worker: Any) -> None:
    add(worker, "a", "b")
    assert await async_queue.schedules.pause("a")
    assert await async_queue.schedules.resume("a")
    assert await async_queue.schedules.delete("b")
    assert [info.schedule_id for info in await async_queue.schedules.list()] == ["a"]
    assert not (await async_queue.schedules.get("a")).paused
    assert (await async_queue.schedules.status()).schedules == 1


def nightly(**task: Any) -> Schedule:
    return Schedule("nightly", Task(**{"func": "m:f", "user_id": "ann", **task}), cron="0 3 * * *")


def test_a_schedule_is_added_changed_and_listed_as_upcoming(queue: TaskQueue) -> None:
    added = queue.schedules.add(nightly())
    assert added.next_at is not None
    assert (added.next_at.hour, added.paused, added.schedule) == (3, False, nightly().evolve(paused=False))
    assert queue.schedules.add(nightly()) == added
    with pytest.raises(ScheduleConflict):
        queue.schedules.add(nightly(args=[1]))
    changed = queue.schedules.update(nightly(args=[1]), revision=added.revision)
    assert (changed.schedule.task.args, changed.next_at) == ((1,), added.next_at)
    assert [info.schedule_id for info in queue.schedules.upcoming()] == ["nightly"]
    assert added.schedule.upcoming(2, after=added.next_at) == [added.next_at + timedelta(days=n) for n in (1, 2)]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"every": "15s"}, "every must be a number of seconds"),
        ({"every": 0}, "every must be a number of seconds"),
        ({"at": "2030-01-01"}, "at must be a datetime with a time zone"),
        ({"cron": "0 3 * * *", "timezone": None}, "timezone must be a name"),
        ({"cron": "0 3 * * *", "every": 5}, "give one of cron, every and at"),
        ({"every": 5, "misfire_limit": 0}, "misfire_limit must be a whole number"),
        ({"every": 5, "jitter": timedelta(days=400)}, "jitter must be a number of seconds"),
    ],
)
def test_a_schedule_whose_times_are_invalid_has_no_upcoming_ones(when: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSchedule, match=words):
        Schedule("nightly", Task(func="m:f", user_id="ann"), **when).upcoming()


def test_all_problems_of_a_schedule_are_reported_and_nothing_is_stored(queue: TaskQueue) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        queue.schedules.add(Schedule("s", Task(task_id="mine"), cron="0 25 * * *", jitter=-1))
    assert len(caught.value.problems) == 4
    assert not queue.schedules.list()


def test_declared_schedules_are_applied_and_pruned(queue: TaskQueue) -> None:
    assert len(queue.schedules.apply([nightly()]).changes) == 1
    assert queue.schedules.apply([nightly()]).changes == ()
    assert [info.schedule_id for info in queue.schedules.apply([]).undeclared] == ["nightly"]
    queue.schedules.apply([], prune=True)
    assert list(queue.schedules.iter()) == []


def test_a_schedule_is_fired_in_addition_to_its_runs(queue: TaskQueue) -> None:
    queue.schedules.add(nightly())
    first, second = queue.schedules.fire("nightly"), queue.schedules.fire("nightly")
    assert first.task_id != second.task_id
    assert first.state() is TaskState.QUEUED
    assert queue.schedules.get("nightly").fired == 0
    with pytest.raises(ScheduleNotFound):
        queue.schedules.fire("nobody")


async def test_the_asynchronous_queue_adds_pauses_and_fires_a_schedule(async_queue: AsyncTaskQueue) -> None:
    await async_queue.schedules.add(nightly())
    assert await async_queue.schedules.pause("nightly")
    assert (await async_queue.schedules.update(nightly(args=[2]))).paused
    assert await (await async_queue.schedules.fire("nightly")).state() is TaskState.QUEUED
    assert [info.schedule_id async for info in async_queue.schedules.iter()] == ["nightly"]


def test_croniter_is_imported_only_for_cron_schedules() -> None:
    program = (
        "import sys; from fairque.client import Schedule, Task, TaskQueue\n"
        "Schedule('s', Task(), every=60).upcoming(2); print('croniter' in sys.modules)\n"
        "Schedule('s', Task(), cron='@daily').upcoming(2); print('croniter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    assert done.stdout.split() == ["False", "True"]
