"""read_task and read_stats: they read without changing anything."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.read import QueueStats
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.infos import TaskInfo
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def test_a_waiting_task_is_read(queue: "Bench") -> None:
    queue.push(queue.task("auth0|x"))
    before = queue.snapshot()
    assert queue.info("t1") == TaskInfo(
        task_id="t1",
        state=TaskState.QUEUED,
        user_id="auth0|x",
        priority=Priority.NORMAL,
        attempts=0,
        failures=0,
        pushed_at=from_epoch_ms(queue.now_ms),
        started_at=None,
        ended_at=None,
        worker=None,
        cancel_requested=False,
    )
    assert queue.snapshot() == before


def test_an_ended_task_is_read(queue: "Bench") -> None:
    queue.push()
    queue.fail(*queue.pop(), pause_ms=10)
    queue.advance(10)
    queue.finish(*queue.pop(worker="w2"))
    queue.advance(5)
    info = queue.info("t1")
    assert (info.attempts, info.failures, info.worker) == (2, 1, "w2")
    assert info.started_at == info.ended_at == from_epoch_ms(queue.now_ms - 5)


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    with pytest.raises(TaskNotFound):
        queue.info("nobody")


def test_the_statistics_of_a_queue_are_read(queue: "Bench") -> None:
    queue.fill("ann", 4)
    queue.fill("bob", 2)
    (last,) = queue.fill("cleo", 1, delay_ms=9_000_000)
    queue.fill("cleo", 3, depends_on=[last])
    finished, dead, retried, lost = queue.pop(4)
    queue.finish(finished)
    queue.fail(dead, verdict="dead")
    queue.fail(retried)
    queue.advance(30_000)
    queue.sweep()
    queue.finish(lost)
    (released, running) = queue.pop(2)
    queue.release(released)
    queue.cancel(released.task_id)
    before = queue.snapshot()
    assert queue.stats() == QueueStats(
        queued=2,
        scheduled=1,
        deferred=3,
        running=1,
        dead=1,
        kept=3,
        users_waiting=1,
        at_ms=queue.now_ms,
        pushed=10,
        finished=1,
        failed=1,
        canceled=1,
        retried=1,
        released=1,
        redriven=0,
        expired=1,
        stale=1,
        broken=0,
    )
    assert queue.snapshot() == before
    assert running


def test_an_unused_queue_has_zeros(queue: "Bench") -> None:
    stats = queue.stats()
    assert (stats.queued, stats.pushed, stats.users_waiting) == (0, 0, 0)


@pytest.mark.parametrize("arguments", [[], [""], ["t1", "t2"]])
def test_only_one_task_can_be_read(queue: "Bench", arguments: list[str]) -> None:
    assert queue.raw("read_task", *arguments)[0] == Status.BAD_ARGS
