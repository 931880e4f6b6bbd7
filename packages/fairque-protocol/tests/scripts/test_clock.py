"""The server's clock steps back, forward, or forward and back: nothing waits longer than intended."""

import math
from typing import TYPE_CHECKING, Any

import pytest

from fairque.console.verifier import verify
from fairque.protocol.calls.limits import ALL_USERS, Setting
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.standing import TaskStanding
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.holder import holder_of
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, stored_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench

HOUR_MS = 3_600_000
BACK_MS = -2 * HOUR_MS
#: What the server's clock does between two calls.
STEPS = {
    "back": (BACK_MS,),
    "back by less than a second": (-700.5,),
    "back twice": (BACK_MS, BACK_MS),
    "forward and back": (2 * HOUR_MS, BACK_MS),
    "back and forward": (BACK_MS, 2 * HOUR_MS),
}


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> "Callable[[Bench], None]":
    """What happens to the clock; some call is made after each step, as workers do all the time."""

    def steps(queue: "Bench") -> None:
        for milliseconds in STEPS[request.param]:
            queue.advance(milliseconds)
            queue.pop(worker="idle")

    return steps


@pytest.fixture
def back() -> "Callable[[Bench], None]":
    """It steps back by two hours, and the next one of the calls that workers make all the time finds that."""

    def steps(queue: "Bench") -> None:
        queue.advance(BACK_MS)
        queue.sweep()

    return steps


Step = Any


def explain(queue: "Bench", task_id: str) -> TaskStanding:
    return queue.run(calls.explain(queue.keys, task_id))


class TestBack:
    def test_a_user_with_a_rate_starts_its_next_task_in_time(self, queue: "Bench", back: Step) -> None:
        queue.limit(rate=2, burst=2)
        queue.fill("ann", 4)
        assert len(queue.pop(5)) == 2
        back(queue)
        assert queue.wait_ms() == 500
        queue.advance(500)
        assert len(queue.pop(5)) == 1

    def test_a_user_whose_bucket_is_not_full_and_who_has_no_work_is_forgotten_in_time(
        self, queue: "Bench", back: Step
    ) -> None:
        queue.limit(rate=1)
        queue.finish(queue.started())
        back(queue)
        queue.sweep()
        assert queue.snapshot("u:")
        queue.advance(1_000)
        queue.sweep()
        assert not queue.snapshot("u:", "timers", "users")

    def test_tasks_of_a_dead_worker_are_reclaimed_after_their_lease(self, queue: "Bench", back: Step) -> None:
        queue.started()
        back(queue)
        queue.advance(29_999)
        assert queue.pop() == ()
        queue.advance(1)
        assert queue.pop_ids() == ["t1"]

    def test_a_renewed_lease_has_its_usual_length(self, queue: "Bench", back: Step) -> None:
        held = queue.started()
        back(queue)
        queue.advance(20_000)
        assert queue.beat(held) == [Status.OK]
        queue.advance(29_999)
        assert queue.pop() == ()
        queue.advance(1)
        assert queue.pop_ids() == ["t1"]

    def test_the_lease_of_a_task_beyond_its_timeout_is_not_renewed(self, queue: "Bench", back: Step) -> None:
        held = queue.started(timeout_ms=60_000)
        back(queue)
        for _ in range(5):
            queue.advance(10_000)
            assert queue.beat(held) == [Status.OK]
        queue.advance(10_000)
        assert queue.beat(held) == [Status.OVERDUE]

    def test_a_delayed_task_starts_after_its_delay(self, queue: "Bench", back: Step) -> None:
        queue.push(queue.task(delay_ms=5_000))
        back(queue)
        assert queue.wait_ms() == 5_000
        queue.advance(5_000)
        assert queue.pop_ids() == ["t1"]

    def test_a_failed_task_is_retried_after_its_pause(self, queue: "Bench", back: Step) -> None:
        queue.fail(queue.started(), pause_ms=3_000)
        back(queue)
        queue.advance(2_999)
        assert queue.pop() == ()
        queue.advance(1)
        assert queue.pop_ids() == ["t1"]

    def test_a_dependent_task_starts_after_its_delay(self, queue: "Bench", back: Step) -> None:
        queue.push(queue.task())
        queue.push(queue.task(depends_on="t1", delay_ms=4_000))
        back(queue)
        queue.finish(*queue.pop())
        queue.advance(3_999)
        assert queue.pop() == ()
        queue.advance(1)
        assert queue.pop_ids() == ["t2"]

    def test_a_time_of_a_task_is_by_the_clock_of_the_server(self, queue: "Bench", back: Step) -> None:
        moment = queue.now_ms + 5_000
        queue.push(queue.task())
        queue.push(queue.task(depends_on="t1", execute_at=moment), queue.task(execute_at=moment))
        back(queue)
        queue.finish(*queue.pop())
        queue.advance(5_000)
        assert queue.pop() == ()
        assert explain(queue, "t2").due_at == explain(queue, "t3").due_at == moment
        queue.advance(moment - queue.now_ms - 1)
        assert (queue.pop(), queue.wait_ms()) == ((), 1)
        queue.advance(1)
        assert sorted(queue.pop_ids(2)) == ["t2", "t3"]

    def test_a_time_that_has_been_reached_is_not_waited_for_again(self, queue: "Bench", back: Step) -> None:
        queue.push(queue.task(execute_at=queue.now_ms + 1_000))
        queue.advance(1_000)
        (held,) = queue.pop()
        back(queue)
        queue.fail(held, pause_ms=2_000)
        queue.advance(2_000)
        assert queue.pop_ids() == ["t1"]

    def test_tasks_pushed_first_are_served_first(self, queue: "Bench", back: Step) -> None:
        queue.push(queue.task())
        back(queue)
        queue.push(queue.task())
        queue.push(queue.task(delay_ms=1))
        queue.advance(1)
        queue.sweep()
        assert queue.pop_ids(3) == ["t1", "t2", "t3"]

    def test_fences_grow(self, queue: "Bench", back: Step) -> None:
        before = queue.started()
        queue.release(before)
        back(queue)
        (after,) = queue.pop()
        assert after.fence > before.fence

    def test_a_task_is_charged_its_run_time(self, queue: "Bench", back: Step) -> None:
        held = queue.started()
        queue.advance(2_000)
        queue.beat(held)
        back(queue)
        queue.advance(1_000)
        queue.finish(held, ran_us=3_000_000)
        assert queue.snapshot("u:")["u:ann"]["served"] == "3000000"

    def test_results_and_dead_letters_are_kept_for_their_time_and_no_longer(self, queue: "Bench", back: Step) -> None:
        queue.finish(queue.started())
        queue.fail(queue.started(), verdict="dead")
        back(queue)
        queue.advance(59_999)
        queue.sweep()
        assert queue.snapshot("t:").keys() == {"t:t1", "t:t2"}
        queue.advance(1)
        queue.sweep()
        assert queue.snapshot("t:").keys() == {"t:t2"}
        queue.advance(60_000)
        queue.sweep()
        assert not queue.snapshot("t:", "dead", "kept")

    def test_a_deduplication_key_is_held_for_its_time_and_no_longer(self, queue: "Bench", back: Step) -> None:
        def pushed() -> Any:
            return queue.push(queue.task(dedup_key="k", dedup_ttl_ms=5_000))[0]

        queue.push(queue.task(dedup_key="k", dedup_ttl_ms=5_000))
        back(queue)
        queue.advance(4_999)
        assert pushed() == (Status.DEDUPLICATED, TaskState.QUEUED, "t1")
        queue.advance(1)
        assert pushed() == (Status.OK, TaskState.QUEUED, "t3")

    def test_another_scheduler_leads_after_the_lease(self, queue: "Bench", back: Step) -> None:
        def lead(name: str) -> calls.Leadership:
            return queue.run(calls.lead(queue.keys, holder_of(name, "0" * 16), lease_ms=10_000))

        assert lead("a").leads
        back(queue)
        waits = lead("b")
        assert (waits.leads, waits.lease_ms) == (False, 10_000)
        assert queue.run(calls.read_scheduler(queue.keys)).lease_ms == 10_000
        queue.advance(10_000)
        assert lead("b").leads

    def test_a_schedule_whose_next_run_is_not_computed_continues_from_now(self, queue: "Bench", back: Step) -> None:
        often = stored_schedule(schedule_id="s", every_ms=60_000, user_id="ann", func="f")
        queue.run(calls.schedule(queue.keys, [ScheduleWrite(schedule=often, revision=0)], message_limit=1_000))
        back(queue)
        found = queue.run(calls.due(queue.keys, ahead_ms=0, most=10))
        assert [name for name, _ in found.times] == ["s"]
        assert queue.run(calls.read_schedule(queue.keys, "s")).from_ms == queue.now_ms
        assert queue.run(calls.read_scheduler(queue.keys)).next_ms is None

    def test_answers_are_by_the_clock_of_the_server(self, queue: "Bench", back: Step) -> None:
        queue.limit(rate=1)
        queue.push(queue.task(), queue.task(), queue.task(delay_ms=9_000))
        queue.advance(100)
        (held,) = queue.pop()
        back(queue)
        queue.pop()
        queue.advance(50)
        now = queue.now_ms
        assert queue.info("t1").pushed_at == from_epoch_ms(now - 150)
        assert queue.info("t1").started_at == from_epoch_ms(now - 50)
        standing = explain(queue, "t1")
        assert (standing.user.at_ms, standing.lease_ends_at, standing.user.since) == (now, now + 29_950, now - 150)
        assert (standing.user.next_start_at, standing.user.oldest_seconds) == (now + 950, 0.15)
        assert standing.user.last_pop_at == now - 50
        assert explain(queue, "t3").due_at == now + 8_850
        (row,) = queue.run(calls.read_users(queue.keys))
        assert row.since == from_epoch_ms(now - 150)
        queue.fail(held, verdict="dead")
        page = queue.run(calls.read_dead(queue.keys))
        assert [(letter.pushed_at, letter.ended_at) for letter in page] == [
            (from_epoch_ms(now - 150), from_epoch_ms(now))
        ]
        assert queue.info("t1").ended_at == page.read_at == from_epoch_ms(now)

    def test_pages_of_dead_letters_continue_where_they_were(self, queue: "Bench", back: Step) -> None:
        for _ in range(4):
            queue.fail(queue.started(), verdict="dead")
            queue.advance(1)
        page = queue.run(calls.read_dead(queue.keys, most=2))
        back(queue)
        rest = queue.run(calls.read_dead(queue.keys, after=page.next, most=2))
        assert [letter.task_id for letter in [*page, *rest]] == ["t1", "t2", "t3", "t4"]

    def test_a_change_of_the_cost_mode_keeps_the_clock(self, queue: "Bench", back: Step) -> None:
        queue.finish(queue.started())
        queue.sweep()
        queue.push(queue.task(delay_ms=5_000))
        back(queue)
        queue.sweep()
        queue.run(calls.configure(queue.keys, cost_mode="count"))
        queue.advance(5_000)
        assert queue.pop_ids() == ["t1" if queue.info("t1").state is not TaskState.FINISHED else "t2"]

    def test_an_unreadable_clock_is_replaced_with_that_of_the_server(self, queue: "Bench", back: Step) -> None:
        queue.push()
        back(queue)
        for spoiled in (math.nan, math.inf, -5, 1e300, 0.5):
            queue.amend_globals(seen=spoiled, shift=spoiled)
            queue.release(*queue.pop())
            assert explain(queue, "t1").user.at_ms == queue.now_ms
            assert explain(queue, "t1").user.last_pop_at == queue.now_ms


class TestAnyStep:
    def test_everything_ends_eventually(self, queue: "Bench", step: Step) -> None:
        queue.limit("ann", rate=10)
        queue.fill("ann", 5)
        queue.fill("bob", 5)
        queue.push(queue.task("bob", delay_ms=1_000), queue.task("bob", depends_on="t1"))
        held = queue.pop(3)
        step(queue)
        queue.fail(*held, pause_ms=2_000)
        step(queue)
        for _ in range(40):
            queue.advance(1_000)
            if held := queue.pop(10):
                queue.finish(*held)
            queue.sweep()
        assert queue.stats().finished == 12
        assert verify(queue.runner, queue.keys, fix=True).found == []

    def test_time_continues_by_what_has_passed(self, queue: "Bench", step: Step) -> None:
        queue.push(queue.task(delay_ms=50_000_000))
        for _ in range(10):
            step(queue)
            before = queue.wait_ms()
            queue.advance(1_000)
            assert before is not None
            assert queue.wait_ms() == before - 1_000


class TestForward:
    def test_a_long_task_is_charged_a_lease_at_most_until_it_ends(self, queue: "Bench") -> None:
        held = queue.started()
        queue.advance(2 * HOUR_MS)
        queue.beat(held)
        assert float(queue.snapshot("u:")["u:ann"]["S"]) <= 30_000_000 + 10_000_000
        queue.finish(held, ran_us=50_000)
        assert queue.snapshot("u:")["u:ann"]["served"] == "50000"

    def test_a_rate_and_delays_end(self, queue: "Bench") -> None:
        queue.limit(rate=0.001)
        queue.fill("ann", 2)
        queue.push(queue.task("bob", delay_ms=HOUR_MS))
        held = queue.pop()
        queue.advance(2 * HOUR_MS)
        queue.finish(*held)
        assert {task.task_id for task in queue.pop(5)} == {"t2", "t3"}


class TestBucketsOfDefaults:
    def test_a_raised_default_rate_applies_to_each_user_that_is_checked(self, queue: "Bench") -> None:
        queue.run(calls.limit(queue.keys, [Setting(ALL_USERS, "rate", 0.000_001)]))
        queue.fill("ann", 2)
        queue.pop(5)
        queue.run(calls.limit(queue.keys, [Setting(ALL_USERS, "rate", 10.0)]))
        queue.push()
        assert queue.wait_ms() == 100

    def test_removing_a_default_rate_leaves_no_timer(self, queue: "Bench") -> None:
        queue.run(calls.limit(queue.keys, [Setting(ALL_USERS, "rate", 0.000_001)]))
        queue.fill("ann", 2)
        queue.pop(5)
        queue.run(calls.limit(queue.keys, [Setting(ALL_USERS, "rate", None)]))
        queue.push()
        assert len(queue.pop(5)) == 2
        queue.sweep()
        assert not queue.snapshot("timers")
