"""The filler among the running tasks: the server keeps a skip list, and nobody counts it as a task."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.console.verifier import verify
from fairque.protocol.errors import QueueFull

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def encoding(queue: "Bench") -> object:
    return queue.client.object("ENCODING", f"{queue.keys.prefix}running")


def test_from_the_first_sweep_on_running_tasks_are_in_a_skip_list(queue: "Bench") -> None:
    held = queue.started()
    assert encoding(queue) == b"listpack"
    queue.sweep()
    assert encoding(queue) == b"skiplist"
    queue.finish(held)
    assert encoding(queue) == b"skiplist"


def test_a_sweep_of_a_queue_that_does_not_exist_stores_no_filler(queue: "Bench") -> None:
    queue.sweep()
    assert not queue.client.exists(f"{queue.keys.prefix}running")


def test_statistics_and_standings_do_not_count_the_filler(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(1)
    queue.sweep()
    assert queue.stats().running == 1
    assert queue.standing().queue_running == 1


def retry_after(queue: "Bench") -> float:
    with pytest.raises(QueueFull) as caught:
        queue.fill("ann", 100)
    return caught.value.retry_after


def test_a_refused_push_is_told_the_same_pause_with_and_without_the_filler(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(2)
    queue.amend_globals(est0=1_000_000)
    queue.limit(backlog=70)
    before = retry_after(queue)
    assert 1 < before < 60
    queue.sweep()
    assert retry_after(queue) == before


def test_an_idle_worker_does_not_wait_for_the_filler(queue: "Bench") -> None:
    queue.finish(queue.started())
    assert queue.wait_ms() is None
    queue.sweep()
    assert queue.wait_ms() is None


def test_debts_are_forgiven_when_only_the_filler_is_left(queue: "Bench") -> None:
    queue.finish(queue.started(), ran_us=30_000_000)
    queue.sweep()
    assert not queue.snapshot("owe", "u:")


def test_a_filler_that_looks_due_is_not_taken_for_a_lost_task(queue: "Bench") -> None:
    queue.finish(queue.started())
    queue.sweep()
    members: list[Any] = queue.client.zrange(f"{queue.keys.prefix}running", 0, -1)
    queue.client.zadd(f"{queue.keys.prefix}running", dict.fromkeys(members, 1))
    assert queue.sweep().reclaimed == 0
    assert queue.wait_ms() is None


def test_verify_finds_nothing_wrong_with_the_filler(queue: "Bench") -> None:
    queue.started()
    queue.sweep()
    assert verify(queue.runner, queue.keys).found == []
