"""The watch over leases and timeouts, without a server: it acts on a task when its deadline passes, and on no other."""

import math
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.calls.pop import Granted
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import StopReason, Task, TaskContext
from fairque.worker.jobs import Job, Lease
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.running.alarm import Alarm

Watching = Callable[..., list[Job]]


@pytest.fixture
def alarm() -> Alarm:
    return Alarm()


@pytest.fixture
def enforced() -> "SimpleQueue[tuple[Job, float]]":
    """The jobs whose limit was over, and when the watch noticed it."""
    return SimpleQueue()


@pytest.fixture
def watching(
    no_thread_is_left: None,  # noqa: ARG001 - it looks after the watch was stopped
    alarm: Alarm,
    enforced: "SimpleQueue[tuple[Job, float]]",
) -> Iterator[Watching]:
    """Watches jobs, and checks them as often as a test sets, or when it must."""
    watches: list[Watch] = []

    def enforce(job: Job) -> None:
        job.limit = math.inf
        enforced.put((job, clock.monotonic()))

    def watching(*jobs: Job, longest: float = 60.0) -> list[Job]:
        held = list(jobs)
        watches.append(Watch(longest, lambda: list(held), alarm, enforce, print))
        watches[-1].start()
        return held

    yield watching
    for watch in watches:
        watch.stop()
        watch.stop()


class Told(TaskContext):
    """A context that records when its task was asked to stop."""

    def __init__(self, task: Task[Any], timeout_seconds: float, job: Job) -> None:
        deadline = clock.monotonic() + timeout_seconds
        super().__init__(task, attempt=1, fence=7, deadline=deadline, stop=job.stop, held=job.lease.held)
        self.at: SimpleQueue[float] = SimpleQueue()
        job.stop.when_given(lambda: self.at.put(clock.monotonic()))


def job(held_seconds: float, timeout_seconds: float = 60.0) -> tuple[Job, Told]:
    job = Job(
        Granted("t", b"", "7:ab", 1, 0, solo=False, pushed_at=0), Lease(held_until=clock.monotonic() + held_seconds)
    )
    context = Told(Task(task_id="t", user_id="ann"), timeout_seconds, job)
    job.context = context
    return job, context


def test_a_task_is_notified_when_its_lease_is_over_and_not_before(watching: Watching) -> None:
    held, context = job(0.25)
    watching(held)
    assert context.at.get(timeout=PATIENCE) >= held.lease.held_until
    assert (context.stop_reason, context.lease_held, held.lease.lost) == (
        StopReason.LEASE_LOST,
        False,
        True,
    )


def test_a_task_whose_lease_is_renewed_is_not_notified(watching: Watching) -> None:
    renewed, context = job(PATIENCE)
    over, other = job(0)
    watching(renewed, over)
    other.at.get(timeout=PATIENCE)
    assert not context.should_stop


def test_a_task_that_comes_later_is_watched_too(watching: Watching) -> None:
    late, context = job(0.25)
    watching(longest=0.1).append(late)
    assert context.wait_stop(PATIENCE)


def test_a_task_that_was_asked_to_stop_for_another_reason_is_still_notified_of_its_lost_lease(
    watching: Watching,
) -> None:
    held, context = job(0.05)
    held.request_stop(StopReason.CANCELED)
    told: SimpleQueue[StopReason] = SimpleQueue()
    give = held.stop.give

    def hear(reason: StopReason) -> None:
        give(reason)
        told.put(reason)

    held.stop.give = hear  # type: ignore[method-assign]
    watching(held)
    assert told.get(timeout=PATIENCE) is StopReason.LEASE_LOST
    assert (context.stop_reason, context.lease_held) == (StopReason.CANCELED, False)


def test_a_limit_is_enforced_when_it_is_over_and_not_before(
    watching: Watching, enforced: "SimpleQueue[tuple[Job, float]]"
) -> None:
    held, _ = job(60)
    limit = held.limit = clock.monotonic() + 0.25
    watching(held)
    found, at = enforced.get(timeout=PATIENCE)
    assert found is held
    assert at >= limit


def test_a_limit_is_enforced_also_when_the_lease_is_lost(
    watching: Watching, enforced: "SimpleQueue[tuple[Job, float]]"
) -> None:
    lost, context = job(0)
    lost.limit = clock.monotonic() + 0.1
    watching(lost)
    assert enforced.get(timeout=PATIENCE)[0] is lost
    assert not context.lease_held


def test_a_limit_before_the_next_check_rings_the_alarm_and_is_not_missed(
    watching: Watching, alarm: Alarm, enforced: "SimpleQueue[tuple[Job, float]]"
) -> None:
    held = watching()
    eventually(lambda: math.isfinite(alarm.until), what="a watch that waits for its next look")
    late, _ = job(60)
    held.append(late)
    late.limit = clock.monotonic() + 0.05
    assert late.limit < alarm.until
    alarm.ring()
    assert enforced.get(timeout=PATIENCE)[0] is late


def test_without_a_watch_no_ring_is_needed(alarm: Alarm) -> None:
    assert alarm.until == -math.inf


def test_a_limit_that_cannot_be_enforced_does_not_end_the_watch(
    no_thread_is_left: None,  # noqa: ARG001 - it looks after the watch was stopped
    alarm: Alarm,
) -> None:
    seen: SimpleQueue[str] = SimpleQueue()

    def enforce(one: Job) -> None:
        one.limit = math.inf
        seen.put(one.granted.task_id)
        raise OSError("no such process")

    jobs = [job(60)[0], job(60)[0]]
    for one in jobs:
        one.limit = clock.monotonic()
    watch = Watch(60, lambda: jobs, alarm, enforce, print)
    watch.start()
    assert [seen.get(timeout=PATIENCE) for _ in jobs] == ["t", "t"]
    watch.stop()
