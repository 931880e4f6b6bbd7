"""configure: the cost mode, and the backlog of the whole queue."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import Conflict, QueueFull
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def configure(queue: "Bench", **changes: Any) -> bool:
    return queue.run(calls.configure(queue.keys, **changes))


class TestCostMode:
    def test_a_task_costs_one_however_long_it_runs(self, queue: "Bench") -> None:
        assert configure(queue, cost_mode="count")
        queue.fill("ann", 20)
        queue.fill("bob", 20)
        users = []
        for _ in range(20):
            (held,) = queue.pop()
            users.append(queue.info(held.task_id).user_id)
            queue.advance(9_000 if users[-1] == "ann" else 1)
            queue.finish(held, ran_us=9_000_000 if users[-1] == "ann" else 1_000)
        assert abs(users.count("ann") - users.count("bob")) <= 1

    def test_a_release_refunds_the_cost_and_a_finish_does_not(self, queue: "Bench") -> None:
        configure(queue, cost_mode="count")
        queue.fill("ann", 3)
        queue.fill("bob", 1)
        one, two, _ = queue.pop(3)
        tags = [float(queue.snapshot("u:")["u:ann"]["S"])]
        for end, held in ((queue.release, one), (queue.finish, two)):
            end(held)
            tags.append(float(queue.snapshot("u:")["u:ann"]["S"]))
        assert tags == [2.0, 1.0, 1.0]

    def test_the_cost_mode_cannot_change_while_users_have_tasks(self, queue: "Bench") -> None:
        queue.push()
        before = queue.snapshot()
        with pytest.raises(Conflict, match="change it to 'count' when the queue is empty"):
            configure(queue, cost_mode="count", backlog=5)
        assert queue.snapshot() == before

    def test_the_cost_mode_can_change_once_all_debts_are_paid(self, queue: "Bench") -> None:
        queue.finish(queue.started())
        queue.sweep()
        assert configure(queue, cost_mode="count")
        assert (queue.globals()["V"], queue.globals()["est0"]) == (0, 1_000)
        queue.push()
        assert len(queue.pop()) == 1


class TestBacklog:
    def test_a_push_above_the_queue_s_backlog_is_refused_and_nothing_written(self, queue: "Bench") -> None:
        configure(queue, backlog=3)
        queue.push(queue.task("ann"), queue.task("bob", delay_ms=9_000))
        before = queue.snapshot()
        with pytest.raises(QueueFull, match="is full: it has 2 waiting tasks of at most 3") as caught:
            queue.fill("cem", 2)
        assert caught.value.retry_after >= 1
        assert queue.snapshot() == before
        queue.fill("cem", 1)

    def test_the_suggested_pause_grows_with_the_excess_up_to_a_minute(self, queue: "Bench") -> None:
        configure(queue, backlog=10, cost_mode="count")

        def pause(number: int) -> float:
            with pytest.raises(QueueFull) as caught:
                queue.fill("ann", number)
            return caught.value.retry_after

        assert [pause(11), pause(15), pause(500)] == [1, 5, 60]

    def test_zero_removes_the_backlog(self, queue: "Bench") -> None:
        configure(queue, backlog=1)
        configure(queue, backlog=0)
        queue.fill("ann", 5)


def test_the_same_again_changes_nothing(queue: "Bench") -> None:
    assert configure(queue, cost_mode="count", backlog=7)
    before = queue.snapshot()
    assert not configure(queue, cost_mode="count", backlog=7)
    assert not configure(queue)
    assert queue.snapshot() == before


def test_settings_can_be_read(queue: "Bench") -> None:
    found = queue.run(calls.read_configured(queue.keys))
    assert (found.cost_mode, found.backlog) == ("time", None)
    configure(queue, cost_mode="count", backlog=7)
    found = queue.run(calls.read_configured(queue.keys))
    assert (found.cost_mode, found.backlog) == ("count", 7)


@pytest.mark.parametrize("arguments", [(), ("count",), ("sum", ""), ("", "-1"), ("", "1.5"), ("", "nan"), ("", "", "")])
def test_the_script_refuses_invalid_values_and_changes_nothing(queue: "Bench", arguments: tuple[str, ...]) -> None:
    before = queue.snapshot()
    assert queue.raw("configure", *arguments)[0] == -5
    assert queue.snapshot() == before
