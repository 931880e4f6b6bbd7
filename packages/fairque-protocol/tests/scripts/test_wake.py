"""The wake-up list: at most one element, set exactly when an idle worker should look."""

from typing import TYPE_CHECKING

from fairque.protocol.runners.wait import WaitLine
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

    from fairque.protocol.calls.read import QueueStats


def test_a_push_to_an_empty_queue_wakes_one_worker(queue: "Bench") -> None:
    queue.push()
    assert queue.woken()


def test_a_large_push_wakes_at_most_one_worker(queue: "Bench") -> None:
    queue.fill("ann", 500)
    queue.fill("bob", 500)
    assert queue.woken()


def test_a_push_to_a_queue_with_waiting_tasks_wakes_a_worker_again(queue: "Bench") -> None:
    """The one that took the first wake-up may have died."""
    queue.push()
    queue.woken()
    queue.push()
    assert queue.woken()


def test_a_repeated_push_wakes_no_worker(queue: "Bench") -> None:
    task = queue.task()
    queue.push(task)
    queue.woken()
    queue.push(task)
    assert not queue.woken()


def test_a_pop_that_does_not_take_all_tasks_wakes_the_next_worker(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.woken()
    queue.pop(2)
    assert queue.woken()


def test_a_pop_that_takes_all_tasks_wakes_no_worker(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.woken()
    queue.pop(3)
    assert not queue.woken()


def test_a_delayed_task_wakes_a_worker_when_it_is_the_first_to_become_due(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=1_000))
    assert queue.woken()
    queue.push(queue.task(delay_ms=1_001))
    assert not queue.woken()
    queue.push(queue.task(delay_ms=999))
    assert queue.woken()


def test_a_retry_wakes_a_worker_when_it_is_the_first_to_become_due(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=500))
    one = queue.started()
    two = queue.started()
    queue.woken()
    queue.fail(one, pause_ms=600)
    assert not queue.woken()
    queue.fail(two, pause_ms=400)
    assert queue.woken()


def test_a_release_and_a_lost_lease_wake_a_worker(queue: "Bench") -> None:
    granted = queue.started()
    queue.woken()
    queue.release(granted)
    assert queue.woken()
    queue.pop()
    queue.woken()
    queue.advance(30_000)
    queue.sweep()
    assert queue.woken()


def test_tasks_that_became_due_wake_a_worker_in_the_sweep(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100))
    queue.woken()
    queue.advance(100)
    queue.sweep()
    assert queue.woken()


def test_an_ending_wakes_no_worker(queue: "Bench") -> None:
    one = queue.started()
    two = queue.started()
    queue.push(queue.task(delay_ms=1))
    queue.woken()
    queue.finish(one)
    queue.fail(two, verdict="dead")
    queue.cancel("t3")
    assert not queue.woken()


def test_a_wake_up_that_is_passed_on_reaches_the_next_worker_if_there_are_tasks(queue: "Bench") -> None:
    queue.run(calls.rouse(queue.keys))
    assert not queue.woken()
    queue.push()
    queue.woken()
    queue.run(calls.rouse(queue.keys))
    queue.run(calls.rouse(queue.keys))
    assert queue.woken()


def test_a_worker_that_blocks_is_woken_by_a_push(queue: "Bench") -> None:
    line: WaitLine[QueueStats] = WaitLine(queue.runner.settings)
    line.begin_wait([queue.keys.wake], 30, calls.read_stats(queue.keys), clear=queue.keys.interrupt("w1"))
    queue.push()
    taken, stats = line.receive_wait(30)
    assert (taken, stats.queued) == (queue.keys.wake, 1)
    assert not queue.woken()
    line.close()


def test_an_interrupt_ends_the_wait_of_only_one_worker(queue: "Bench") -> None:
    lines: dict[str, WaitLine[QueueStats]] = {name: WaitLine(queue.runner.settings) for name in ("w1", "w2")}
    for name, line in lines.items():
        own = queue.keys.interrupt(name)
        line.begin_wait([queue.keys.wake, own], 30, calls.read_stats(queue.keys), clear=own)
    queue.run(calls.interrupt(queue.keys, "w1"))
    assert lines["w1"].receive_wait(30)[0] == queue.keys.interrupt("w1")
    queue.push()
    assert lines["w2"].receive_wait(30)[0] == queue.keys.wake
    for line in lines.values():
        line.close()


def test_a_late_interrupt_does_not_end_a_later_wait(queue: "Bench") -> None:
    own = queue.keys.interrupt("w1")
    queue.run(calls.interrupt(queue.keys, "w1"))
    queue.push()
    line: WaitLine[QueueStats] = WaitLine(queue.runner.settings)
    line.begin_wait([queue.keys.wake, own], 30, calls.read_stats(queue.keys), clear=own)
    assert line.receive_wait(30)[0] == queue.keys.wake
    assert not queue.client.exists(own)
    line.close()
