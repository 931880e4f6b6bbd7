"""The effect of each verb on charges, places and leases."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.model.score import calculate_score
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.fairness.model import FairModel
from fairque.testing.fairness.records import Lane

if TYPE_CHECKING:
    from tests.fairness.conftest import Bench

ALL = list(Priority)


class TestCharges:
    def test_an_unknown_user_is_charged_a_millisecond_in_advance(self, queue: "Bench") -> None:
        queue.push(number=2)
        queue.pop()
        assert queue.tag() == 1_000

    def test_a_known_user_is_charged_its_average_in_advance(self, queue: "Bench") -> None:
        queue.push(number=4)
        queue.serve(ran=0.8)
        queue.serve(ran=1.6)
        assert queue.user().ewma == 900_000
        queue.pop()
        assert queue.tag() == 2_400_000 + 900_000

    def test_others_averages_are_the_first_estimate_of_a_user_without_one(self, queue: "Bench") -> None:
        queue.push("bob")
        queue.serve(ran=0.801)
        queue.push("ann", 2)
        before = queue.model.V
        queue.pop()
        assert queue.tag() - before == 101_000

    @pytest.mark.parametrize(("hint", "charged"), [(0, 1_000), (2_500_000, 2_500_000), (60_000_000, 10_000_000)])
    def test_a_given_cost_is_charged_up_to_a_third_of_the_lease(self, queue: "Bench", hint: int, charged: int) -> None:
        queue.push(number=2, cost_us=hint)
        queue.pop(lease_ms=30_000)
        assert queue.tag() == charged

    def test_an_ending_replaces_the_estimate_by_the_measured_time(self, queue: "Bench") -> None:
        queue.push(number=2, cost_us=7_000_000)
        queue.serve(ran=0.25)
        assert queue.tag() == 250_000

    def test_the_shortest_task_costs_a_millisecond(self, queue: "Bench") -> None:
        queue.push(number=2)
        queue.serve(ran=0)
        assert queue.tag() == 1_000

    def test_no_task_costs_more_than_the_time_since_its_start(self, queue: "Bench") -> None:
        queue.push(number=2)
        queue.advance(1)
        (task,) = queue.pop()
        queue.advance(2)
        queue.finish(task, ran=50)
        assert queue.tag() == 2_000_000

    def test_a_clock_that_was_set_back_refunds_nothing(self, queue: "Bench") -> None:
        queue.push(number=2, cost_us=5_000)
        (task,) = queue.pop()
        queue.advance(-60)
        queue.model.beat(queue.now_us, [task])
        queue.finish(task, ran=1)
        assert queue.tag() == 1_000

    def test_a_heartbeat_charges_run_time_beyond_the_estimate(self, queue: "Bench") -> None:
        queue.push(number=2, cost_us=5_000_000)
        running = queue.pop()
        for seconds, charged in (4, 5_000_000), (4, 8_000_000), (4, 12_000_000):
            queue.advance(seconds)
            queue.model.beat(queue.now_us, running)
            assert queue.tag() == charged

    def test_a_weight_divides_all_charges(self, queue: "Bench") -> None:
        queue.set("ann", weight=4)
        queue.push(number=2)
        (task,) = queue.pop()
        assert queue.tag() == 250
        queue.advance(2)
        queue.model.beat(queue.now_us, [task])
        assert queue.tag() == 500_000
        queue.finish(task, ran=1)
        assert queue.tag() == 250_000

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 30_000_000), st.booleans()), min_size=1, max_size=20))
    def test_the_final_charges_are_the_measured_times(self, bench: "type[Bench]", runs: list[tuple[int, bool]]) -> None:
        queue = bench()
        queue.push(number=len(runs) + 1)
        for ran_us, failed in runs:
            (task,) = queue.pop()
            queue.advance(ran_us / 2_000_000)
            queue.model.beat(queue.now_us, [task])
            queue.advance(ran_us / 2_000_000 + 1)
            (queue.model.fail if failed else queue.model.finish)(queue.now_us, {task: ran_us})
        assert queue.tag() == sum(max(ran_us, 1_000) for ran_us, _ in runs)


class TestCountMode:
    def test_every_start_costs_one_whatever_it_takes(self, counting: "Bench") -> None:
        counting.push(number=5, cost_us=5_000_000)
        running = counting.pop(2)
        counting.advance(100)
        counting.model.beat(counting.now_us, running)
        counting.finish(*running, ran=100)
        assert counting.tag() == 2

    def test_a_release_refunds_the_charge(self, counting: "Bench") -> None:
        counting.push(number=2)
        counting.model.release(counting.now_us, dict.fromkeys(counting.pop(), 0))
        assert counting.tag() == 0

    def test_a_failure_and_a_lost_lease_keep_it(self, counting: "Bench") -> None:
        counting.push(number=3)
        failed, _ = counting.pop(2)
        counting.model.fail(counting.now_us, {failed: 0}, pause_ms=0)
        counting.advance(60)
        counting.model.sweep(counting.now_us)
        assert counting.tag() == 2


class TestTheOrderOfOneUsersTasks:
    def test_is_that_of_calculate_score(self, queue: "Bench") -> None:
        (task,) = queue.push(priority=Priority.HIGH)
        assert queue.model.tasks[task].place == calculate_score(queue.now_us, Priority.HIGH)

    def test_is_the_order_of_a_batch(self, queue: "Bench") -> None:
        pushed = queue.push(number=30)
        assert queue.pop(30) == pushed

    def test_has_critical_tasks_first_but_at_most_four_in_a_row(self, queue: "Bench") -> None:
        plain = queue.push(number=3)
        critical = queue.push(number=10, priority=Priority.CRITICAL)
        assert queue.pop(20) == [
            *critical[:4],
            plain[0],
            *critical[4:8],
            plain[1],
            *critical[8:],
            plain[2],
        ]

    def test_of_delayed_tasks_is_that_of_their_due_times(self, queue: "Bench") -> None:
        due_ms = queue.now_us // 1000
        (late,) = queue.push(due_ms=due_ms + 2_000)
        (early,) = queue.push(due_ms=due_ms + 1_000)
        assert queue.pop() == []
        queue.advance(3)
        (pushed,) = queue.push()
        assert queue.pop(3) == [early, late, pushed]

    def test_a_released_task_keeps_its_place(self, queue: "Bench") -> None:
        first, *_ = queue.push(number=3)
        queue.model.release(queue.now_us, dict.fromkeys(queue.pop(), 0))
        assert queue.pop() == [first]

    def test_a_failed_task_returns_after_its_delay(self, queue: "Bench") -> None:
        first, second = queue.push(number=2)
        queue.model.fail(queue.now_us, dict.fromkeys(queue.pop(), 0), pause_ms=5_000)
        assert queue.pop(2) == [second]
        queue.advance(5)
        assert queue.pop(2) == [first]

    def test_equal_tags_are_served_in_the_order_of_the_bytes_of_their_users(self, counting: "Bench") -> None:
        names = ["\U0001f600", "\uffff", "é", "z", "Z"]
        for name in names:
            counting.push(name, 3)
        counting.pop(len(names))
        assert counting.serve(len(names)) == sorted(names, key=str.encode)


class TestLeases:
    def test_a_task_of_an_unresponsive_worker_returns_to_its_place_and_stays_charged(self, queue: "Bench") -> None:
        first, *_ = queue.push(number=2, cost_us=3_000_000)
        queue.pop(lease_ms=9_000)
        queue.advance(9)
        assert queue.pop() == [first]
        assert queue.tag() == 6_000_000

    def test_a_pop_reclaims_two_lost_leases_and_a_sweep_a_hundred(self, queue: "Bench") -> None:
        queue.push("ann", 110)
        queue.pop(100)
        queue.advance(60)
        queue.pop()
        assert queue.user().inf == 99
        queue.model.sweep(queue.now_us)
        assert queue.user().inf == 1

    def test_a_heartbeat_renews_the_lease(self, queue: "Bench") -> None:
        queue.push(number=2)
        running = queue.pop()
        for _ in range(10):
            queue.advance(29)
            queue.model.beat(queue.now_us, running)
        queue.model.sweep(queue.now_us)
        assert queue.user().inf == 1

    def test_each_attempt_begins_later_than_the_one_before(self, queue: "Bench") -> None:
        """The start is also the fence by which an external store refuses an older attempt."""
        (task,) = queue.push()
        starts = []
        for _ in range(3):
            queue.model.release(queue.now_us, dict.fromkeys(queue.pop(), 0))
            starts.append(queue.model.tasks[task].start_us - queue.now_us)
        assert starts == [0, 1, 2]

    def test_a_task_ends_after_its_last_delivery(self, queue: "Bench") -> None:
        (task,) = queue.push()
        for _ in range(queue.model.max_lost_workers):
            assert queue.pop() == [task]
            queue.advance(60)
        assert queue.pop() == []
        assert not queue.model.tasks


class TestRedrive:
    def test_a_dead_letter_has_all_its_deliveries_again(self, queue: "Bench") -> None:
        (task_id,) = queue.push()
        task = queue.model.tasks[task_id]
        for _ in range(2):
            for _ in range(queue.model.max_lost_workers):
                assert queue.pop() == [task_id]
                queue.advance(60)
            assert queue.pop() == []
            queue.model.redrive(queue.now_us, [task])

    def test_it_enters_behind_the_waiting_tasks(self, queue: "Bench") -> None:
        (task_id,) = queue.push()
        task = queue.model.tasks[task_id]
        queue.model.fail(queue.now_us, dict.fromkeys(queue.pop(), 0))
        waiting = queue.push(number=2)
        queue.model.redrive(queue.now_us, [task])
        assert queue.pop(3) == [*waiting, task_id]

    def test_a_known_task_is_left_unchanged(self, queue: "Bench") -> None:
        (task_id,) = queue.push()
        task = queue.model.tasks[task_id]
        queue.pop()
        queue.model.redrive(queue.now_us, [task])
        assert task.state is TaskState.STARTED


class TestCancel:
    @pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.CRITICAL])
    def test_a_waiting_task_ends(self, queue: "Bench", priority: Priority) -> None:
        first, second = queue.push(number=2, priority=priority)
        queue.model.cancel(queue.now_us, first)
        assert queue.pop(2) == [second]

    def test_a_delayed_task_ends(self, queue: "Bench") -> None:
        (task,) = queue.push(due_ms=queue.now_us // 1000 + 1_000)
        queue.model.cancel(queue.now_us, task)
        assert queue.model.wake_at_us() is None
        assert not queue.model.tasks

    def test_a_running_task_ends_unless_it_finishes(self, queue: "Bench") -> None:
        queue.push(number=4)
        failed, released, lost = queue.pop(3)
        for task in (failed, released, lost):
            queue.model.cancel(queue.now_us, task)
        queue.model.fail(queue.now_us, {failed: 0}, pause_ms=1)
        queue.model.release(queue.now_us, {released: 0})
        queue.advance(60)
        queue.model.sweep(queue.now_us)
        assert [task.state for task in queue.model.tasks.values()] == [TaskState.QUEUED]
        assert queue.user().inf == 0


class TestUnknownTasks:
    def test_a_known_id_is_not_pushed_again(self, queue: "Bench") -> None:
        (task,) = queue.push()
        queue.model.push(queue.now_us, [queue.model.tasks[task]])
        assert queue.pop(2) == [task]

    def test_an_ending_of_a_task_that_does_not_run_changes_nothing(self, queue: "Bench") -> None:
        (task,) = queue.push()
        for verb in (queue.model.finish, queue.model.fail, queue.model.release):
            verb(queue.now_us, {task: 5, "unknown": 5})
        queue.model.beat(queue.now_us, [task, "unknown"])
        queue.model.cancel(queue.now_us, "unknown")
        assert queue.pop() == [task]

    def test_an_unknown_cost_mode_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="'time' or 'count', not 'tokens'"):
            FairModel(cost_mode="tokens")  # type: ignore[arg-type]


class TestRecords:
    def test_nothing_is_left_of_users_whose_work_is_done(self, queue: "Bench") -> None:
        for number in range(300):
            queue.push(f"once{number}", priority=ALL[number % 6])
        queue.serve(300, ran=3)
        for _ in range(4):
            queue.model.sweep(queue.now_us)
        model = queue.model
        assert (model.V, model.aseq, model.bs, model.cg) == (0, 0, 0, 0)
        assert len(model.tasks) + len(model.owe) + len(model.timers) + len(model.running) == 0

    def test_a_debt_is_remembered_until_virtual_time_passes_it(self, queue: "Bench") -> None:
        queue.push("bob", 50)
        queue.push("ann")
        queue.serve(2, ran=10)
        assert queue.user("ann").lane is Lane.IDLE
        assert "ann" in queue.model.owe
        queue.serve(2, ran=10)
        assert "ann" not in queue.model.users
        assert "ann" not in queue.model.owe

    def test_a_debt_that_is_made_and_forgiven_in_one_call_counts_as_it_is_then(self, queue: "Bench") -> None:
        (canceled,) = queue.push("ann")
        (released,) = queue.push("bob")
        queue.pop(2)
        queue.model.cancel(queue.now_us, canceled)
        queue.advance(10)
        queue.model.release(queue.now_us, {canceled: 10_000_000, released: 0})
        assert (queue.user("bob").S, queue.model.V) == (10_000_000, 10_000_000)
        assert "ann" not in queue.model.owe

    def test_a_sweep_forgives_no_debt_while_a_task_runs(self, queue: "Bench") -> None:
        queue.push("ann")
        queue.push("bob")
        running, _ = queue.pop(2)
        queue.finish(running, ran=0)
        queue.model.sweep(queue.now_us)
        assert queue.model.owe.items() == [("ann", 1_000), ("bob", 1_000)]

    def test_a_debt_that_is_passed_in_the_call_that_checks_it_is_gone(self, queue: "Bench") -> None:
        queue.set("ann", rate=1)
        queue.push("ann")
        queue.push("bob", 20)
        queue.serve(2, ran=0.005)
        queue.advance(1)
        queue.pop(10)
        assert "ann" not in queue.model.users
        assert "ann" not in queue.model.owe
