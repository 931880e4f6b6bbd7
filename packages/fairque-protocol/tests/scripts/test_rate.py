"""limit: how many tasks of a user start a second, and how many at once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


class TestRate:
    def test_a_task_beyond_the_rate_waits(self, queue: "Bench") -> None:
        queue.limit(rate=2)
        queue.fill("ann", 3)
        assert queue.pop_ids(5) == ["t1"]
        assert queue.wait_ms() == 500
        queue.advance(499)
        assert queue.wait_ms() == 1
        queue.advance(1)
        assert queue.pop_ids(5) == ["t2"]

    def test_a_rate_limited_user_uses_no_attempt_and_is_only_in_the_timers(self, queue: "Bench") -> None:
        queue.limit(rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        for _ in range(5):
            queue.advance(100)
            assert queue.pop(5) == ()
        found = queue.snapshot("timers", "ready", "fresh")
        assert found == {"timers": [("ann", float(queue.now_us + 500_000))]}
        assert (queue.info("t2").attempts, queue.info("t2").failures) == (0, 0)

    def test_a_burst_may_start_at_once(self, queue: "Bench") -> None:
        queue.limit(rate=1, burst=3)
        queue.fill("ann", 10)
        assert len(queue.pop(10)) == 3
        queue.advance(1_000)
        assert len(queue.pop(10)) == 1
        queue.advance(60_000)
        assert [len(queue.pop(10)), queue.wait_ms()] == [3, 1_000]

    def test_over_any_time_no_more_start_than_burst_and_rate_allow(self, queue: "Bench") -> None:
        queue.limit(rate=7, burst=4)
        queue.fill("ann", 100)
        starts = []
        for _ in range(400):
            starts += [queue.now_us] * len(queue.pop(10))
            queue.advance(13)
        assert len(starts) == 4 + int(7 * 399 * 0.013)
        for first in range(len(starts)):
            for last in range(first, len(starts)):
                assert last - first + 1 <= 4 + 7 * (starts[last] - starts[first]) / 1e6 + 1e-6

    def test_emptying_the_queue_in_between_does_not_refill_the_bucket(self, queue: "Bench") -> None:
        queue.limit(rate=1)
        queue.finish(queue.started())
        queue.sweep()
        assert queue.snapshot("timers") == {"timers": [("ann", float(queue.now_us + 1_000_000))]}
        queue.push()
        assert queue.pop() == ()
        queue.advance(1_000)
        assert queue.pop_ids() == ["t2"]

    def test_a_release_does_not_refund_a_start(self, queue: "Bench") -> None:
        queue.limit(rate=1)
        queue.release(queue.started())
        assert queue.pop() == ()
        queue.advance(1_000)
        assert queue.pop_ids() == ["t1"]

    def test_a_raised_rate_applies_at_once(self, queue: "Bench") -> None:
        queue.limit(rate=0.001)
        queue.fill("ann", 3)
        queue.pop(5)
        queue.woken()
        queue.limit(rate=10)
        assert queue.woken()
        assert queue.wait_ms() == 100

    def test_a_lowered_rate_counts_from_the_start_that_was_allowed(self, queue: "Bench") -> None:
        queue.limit(rate=10)
        queue.fill("ann", 3)
        queue.pop(5)
        queue.limit(rate=1)
        assert queue.wait_ms() == 100
        queue.advance(100)
        assert queue.pop_ids(5) == ["t2"]
        assert queue.wait_ms() == 1_000

    def test_removing_a_rate_frees_the_backlog(self, queue: "Bench") -> None:
        queue.limit(rate=0.001)
        queue.fill("ann", 3)
        queue.pop(5)
        queue.woken()
        queue.limit(rate=None)
        assert queue.woken()
        assert not queue.snapshot("timers")
        assert len(queue.pop(5)) == 2

    def test_removing_a_rate_leaves_nothing_of_a_user_without_work(self, queue: "Bench") -> None:
        queue.limit(rate=0.001)
        queue.finish(queue.started())
        queue.sweep()
        assert queue.snapshot("users")
        queue.limit(rate=None)
        assert not queue.snapshot("users", "u:", "timers")

    def test_a_paused_user_is_in_no_timer_and_returns_to_its_rate(self, queue: "Bench") -> None:
        queue.limit(rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        queue.limit(paused=1)
        assert not queue.snapshot("timers")
        queue.advance(400)
        queue.limit(paused=None)
        assert queue.wait_ms() == 600

    def test_a_sweep_also_frees_a_rate_limited_user(self, queue: "Bench") -> None:
        queue.limit(rate=1)
        queue.fill("ann", 2)
        queue.pop(5)
        queue.advance(1_000)
        queue.woken()
        queue.sweep()
        assert queue.woken()
        assert queue.snapshot("ready").keys() == {"ready"}

    def test_an_earlier_start_than_all_others_shortens_the_wait(self, queue: "Bench") -> None:
        queue.limit("slow", rate=0.01)
        queue.limit("fast", rate=10)
        queue.fill("slow", 2)
        queue.pop(5)
        queue.fill("fast", 1)
        queue.pop(5)
        queue.woken()
        queue.fill("fast", 1)
        assert queue.wait_ms() == 100
