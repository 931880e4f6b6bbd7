"""pop: which tasks a worker gets, their order within a user, and the effects of a lost answer or a lost lease."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.codec import decode_task, encode_task
from fairque.protocol.wire.status import Status
from fairque.testing.internal import amend_record

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

CLAIM = "00000000000000aa"
MINUTE_MS = 60_000


def test_an_empty_queue_returns_no_tasks_and_no_wait(queue: "Bench") -> None:
    popped = queue.run(queue.pop_call(3))
    assert popped.tasks == ()
    assert (popped.more, popped.wait_ms) == (False, None)


def test_a_pop_returns_message_and_lease_and_stores_them_in_the_records(queue: "Bench") -> None:
    task = queue.task()
    queue.push(task)
    queue.advance(20)
    (granted,) = queue.pop(claim=CLAIM)
    assert granted.task_id == "t1"
    assert decode_task(granted.message) == task.evolve(priority=Priority.NORMAL)
    assert granted.token == f"{queue.now_us}:{CLAIM}"
    assert granted.fence == queue.now_us
    assert (granted.attempt, granted.failures, granted.solo) == (1, 0, False)
    assert granted.pushed_at == queue.now_ms - 20
    assert queue.snapshot() == {
        "meta": {"test": "1", "schema": "1", "born": str(queue.now_us - 20_000)},
        "g": queue.new_globals(aseq=1, bs=1, pop_at=queue.now_ms, pushed=1, clk=queue.now_us - 20_000),
        "owe": [("ann", 1000.0)],
        "users": [("ann", 0.0)],
        "u:ann": {
            "S": "1000",
            "inf": "1",
            "lane": "",
            "served": "0",
            "since": str(queue.now_ms - 20),
        },
        "running": [("t1", queue.now_ms + 30_000)],
        "claim:w1": f"{CLAIM}\nt1",
        "a": ["t1"],
        "m:t1": granted.message.decode(),
        "t:t1": {
            "state": "STARTED",
            "user": "ann",
            "digest": encode_task(task).digest,
            "pushed_at": str(queue.now_us - 20_000),
            "token": granted.token,
            "charged": "1000",
            "score": str(queue.now_us - 20_000 - 120_000_000),
            "attempt": "1",
            "worker": "w1",
        },
        "wake": ["1"],
    }


def test_the_claim_is_kept_as_long_as_the_lease(queue: "Bench") -> None:
    queue.push()
    queue.pop(lease_ms=5_000)
    assert 0 < queue.ttl_ms("claim:w1") <= 5_000


def test_a_pop_returns_at_most_the_requested_number(queue: "Bench") -> None:
    queue.fill("ann", 5)
    assert queue.pop_ids(2) == ["t1", "t2"]
    assert queue.pop_ids(100) == ["t3", "t4", "t5"]


class TestReplay:
    def test_the_same_claim_gets_the_same_tasks_and_changes_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        first = queue.pop(2, claim=CLAIM)
        before = queue.snapshot()
        assert queue.pop(2, claim=CLAIM) == first
        assert queue.snapshot() == before

    def test_a_task_that_ended_meanwhile_is_omitted(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        one, two = queue.pop(2, claim=CLAIM)
        queue.finish(one)
        assert queue.pop(2, claim=CLAIM) == (two,)

    def test_a_task_that_another_worker_got_meanwhile_is_omitted(self, queue: "Bench") -> None:
        queue.push()
        queue.pop(claim=CLAIM)
        queue.advance(30_000)
        assert queue.pop_ids(worker="w2") == ["t1"]
        assert queue.pop(claim=CLAIM) == ()

    def test_another_worker_with_the_same_claim_gets_other_tasks(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.pop(claim=CLAIM)
        assert queue.pop_ids(claim=CLAIM, worker="w2") == ["t2"]

    def test_a_new_claim_gets_new_tasks(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.pop(claim=CLAIM)
        assert queue.pop_ids(claim="00000000000000ab") == ["t2"]

    def test_a_claim_that_only_starts_like_the_last_one_is_new(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.pop(claim=CLAIM)
        assert queue.pop_ids(claim=CLAIM[:8]) == ["t2"]


class TestOrderInsideAUser:
    def test_an_urgent_task_overtakes_those_of_the_last_minutes(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="normal"))
        queue.advance(MINUTE_MS - 1)
        queue.push(queue.task(task_id="high", priority=Priority.HIGH))
        assert queue.pop_ids(2) == ["high", "normal"]

    def test_an_urgent_task_does_not_overtake_those_that_waited_longer_than_its_head_start(
        self, queue: "Bench"
    ) -> None:
        queue.push(queue.task(task_id="normal"))
        queue.advance(MINUTE_MS + 1)
        queue.push(queue.task(task_id="high", priority=Priority.HIGH))
        assert queue.pop_ids(2) == ["normal", "high"]

    def test_priorities_pushed_at_once_are_served_from_highest_to_lowest(self, queue: "Bench") -> None:
        queue.push(*(queue.task(task_id=p.name, priority=p) for p in Priority))
        assert queue.pop_ids(6) == [p.name for p in sorted(Priority, reverse=True)]

    def test_critical_tasks_come_first_and_in_their_order(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="z", priority=Priority.VERY_HIGH))
        queue.push(*(queue.task(task_id=i, priority=Priority.CRITICAL) for i in "cab"))
        assert queue.pop_ids(4) == ["c", "a", "b", "z"]

    def test_after_four_critical_tasks_the_user_s_other_work_gets_a_turn(self, queue: "Bench") -> None:
        queue.push(*(queue.task(task_id=f"c{n}", priority=Priority.CRITICAL) for n in range(6)))
        queue.push(queue.task(task_id="n0"), queue.task(task_id="n1"))
        assert queue.pop_ids(8) == ["c0", "c1", "c2", "c3", "n0", "c4", "c5", "n1"]

    def test_delayed_tasks_start_in_the_order_of_their_times(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="later", delay_ms=200), queue.task(task_id="sooner", delay_ms=100))
        queue.advance(99)
        assert queue.pop_ids(2) == []
        queue.advance(1)
        assert queue.pop_ids(2) == ["sooner"]
        queue.advance(100)
        assert queue.pop_ids(2) == ["later"]

    def test_a_delayed_task_counts_from_the_time_when_it_was_due(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="delayed", delay_ms=100))
        queue.advance(101)
        queue.push(queue.task(task_id="fresh"))
        assert queue.pop_ids(2) == ["delayed", "fresh"]

    def test_many_that_are_due_at_once_are_promoted_a_few_at_a_time(self, queue: "Bench") -> None:
        queue.fill("ann", 30, delay_ms=100)
        queue.advance(100)
        popped = queue.run(queue.pop_call(1))
        assert len(popped.tasks) == 1
        assert popped.more
        assert queue.stats().scheduled == 30 - 11


class TestWait:
    def test_the_wait_lasts_until_the_first_delayed_task(self, queue: "Bench") -> None:
        queue.push(queue.task(delay_ms=700), queue.task(delay_ms=500))
        assert queue.wait_ms() == 500

    def test_the_wait_lasts_until_the_first_lease_ends(self, queue: "Bench") -> None:
        queue.push()
        queue.pop(lease_ms=4_000)
        queue.advance(1_000)
        assert queue.wait_ms() == 3_000

    def test_there_is_more_while_work_is_left_and_not_after_it(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        assert queue.run(queue.pop_call(1)).more
        assert not queue.run(queue.pop_call(1)).more

    def test_there_is_more_while_tasks_are_due_that_no_pop_has_reached(self, queue: "Bench") -> None:
        queue.limit("ann", cap=1)
        queue.fill("ann", 40, delay_ms=100)
        queue.advance(100)
        answers = [queue.run(queue.pop_call(1)) for _ in range(5)]
        assert [answer.more for answer in answers] == [True, True, True, False, False]
        assert sum(len(answer.tasks) for answer in answers) == 1

    def test_there_is_more_while_ended_leases_are_not_reclaimed(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.pop(5, lease_ms=100)
        queue.limit("ann", paused=1)
        queue.advance(100)
        assert [queue.run(queue.pop_call(1)).more for _ in range(4)] == [True, True, False, False]


class TestLostLease:
    def test_the_task_goes_back_to_its_place_and_is_marked_solo(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        (lost,) = queue.pop(lease_ms=100)
        queue.advance(100)
        again, other = queue.pop(2)
        assert (again.task_id, other.task_id) == ("t1", "t2")
        assert (again.solo, other.solo) == (True, False)
        assert again.attempt == 2
        assert again.failures == 0
        assert again.fence > lost.fence
        assert queue.stats().expired == 1

    def test_a_lease_is_valid_until_its_last_millisecond(self, queue: "Bench") -> None:
        queue.push()
        queue.pop(lease_ms=100)
        queue.advance(99)
        assert queue.pop() == ()

    def test_the_late_ending_is_refused_and_counted(self, queue: "Bench") -> None:
        lost = queue.started()
        queue.advance(30_000)
        (again,) = queue.pop()
        before = queue.snapshot("t:", "u:", "g", "r:", "running", "kept")
        assert queue.finish(lost) == [(Status.LOST, TaskState.STARTED)]
        assert queue.fail(lost) == [(Status.LOST, TaskState.STARTED)]
        assert queue.release(lost) == [(Status.LOST, TaskState.STARTED)]
        assert queue.snapshot("t:", "u:", "g", "r:", "running", "kept") == before
        assert queue.stats().stale == 3
        assert queue.finish(again) == [(Status.OK, TaskState.FINISHED)]

    def test_the_late_ending_is_refused_also_before_the_task_is_started_again(self, queue: "Bench") -> None:
        lost = queue.started()
        queue.advance(30_000)
        queue.sweep()
        assert queue.finish(lost) == [(Status.LOST, TaskState.QUEUED)]
        assert queue.pop_ids() == ["t1"]

    def test_an_ending_after_the_lease_but_before_its_loss_is_accepted(self, queue: "Bench") -> None:
        lost = queue.started()
        queue.advance(60_000)
        assert queue.finish(lost) == [(Status.OK, TaskState.FINISHED)]

    def test_a_pop_reclaims_at_most_two_tasks(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        queue.pop(5, lease_ms=100)
        queue.advance(100)
        assert queue.pop_ids(5) == ["t1", "t2"]
        assert queue.pop_ids(5) == ["t3", "t4"]

    def test_the_fence_grows_even_when_the_server_s_clock_steps_back(self, queue: "Bench") -> None:
        first = queue.started()
        queue.advance(30_000)
        queue.sweep()
        queue.advance(-50_000)
        (second,) = queue.pop()
        assert second.fence > first.fence
        queue.release(second)
        (third,) = queue.pop()
        assert third.fence > second.fence

    def test_after_its_last_lost_worker_the_task_is_a_dead_letter(self, queue: "Bench") -> None:
        queue.push()
        for _ in range(3):
            queue.pop(max_lost_workers=3)
            queue.advance(30_000)
        assert queue.pop(max_lost_workers=3) == ()
        state, blob = queue.outcome("t1")
        assert state is TaskState.FAILED
        assert b'"reason":"deliveries"' in blob
        assert b'"attempts":3' in blob
        assert b'"worker":"w1"' in blob
        assert queue.snapshot("dead") == {"dead": [("t1", queue.now_ms)]}
        assert queue.snapshot("m:")

    def test_a_reported_failure_does_not_count_as_a_lost_worker(self, queue: "Bench") -> None:
        queue.push()
        for _ in range(4):
            (granted,) = queue.pop(max_lost_workers=2)
            queue.fail(granted, pause_ms=0)
        queue.pop(max_lost_workers=2)
        queue.advance(30_000)
        assert len(queue.pop(max_lost_workers=2)) == 1

    def test_a_task_asked_to_stop_ends_canceled(self, queue: "Bench") -> None:
        queue.started()
        queue.cancel("t1")
        queue.advance(30_000)
        assert queue.pop() == ()
        assert queue.outcome("t1") == (TaskState.CANCELED, b'"canceled while it ran"')


def test_a_broken_record_is_dropped_and_the_next_task_given(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    amend_record(queue.client, f"{queue.keys.prefix}t:t2", state="FINISHED")
    assert queue.pop_ids(2) == ["t3"]
    assert queue.stats().queued == 0


def test_a_lost_message_is_returned_empty(queue: "Bench") -> None:
    queue.release(queue.started())
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    (granted,) = queue.pop()
    assert (granted.task_id, granted.message) == ("t1", b"")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, ""),
        (1, ""),
        (1, "xyz"),
        (1, "ab\ncd"),
        (2, "0"),
        (2, "101"),
        (2, "1.5"),
        (2, "many"),
        (3, "0"),
        (3, "-1"),
        (3, "1e300"),
        (4, ""),
        (5, "nan"),
        (6, "inf"),
        (7, "one too many"),
        (6, None),
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", place: int, value: str | None) -> None:
    queue.push()
    good = ["w1", CLAIM, "1", "1000", "5", "1000", "1000"]
    bad = [a for a in [*good[:place], value, *good[place + 1 :]] if a is not None]
    before = queue.snapshot()
    assert queue.raw("pop", *bad)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
