"""queue.users: limits, pauses, usage, and why users and their tasks wait."""

from typing import Any

import pytest

from fairque.client import (
    UNCHANGED,
    AsyncTaskQueue,
    BulkReport,
    Conflict,
    CostMode,
    InvalidArgument,
    InvalidTask,
    Limits,
    QueueFull,
    Task,
    TaskCanceled,
    TaskNotFound,
    TaskQueue,
    TaskState,
    WaitReason,
)

NOT_NUMBERS = [float("nan"), float("inf"), True, "1"]


def fill(queue: TaskQueue, user: str, number: int, **fields: Any) -> list[Any]:
    return queue.push_many([Task(func="f", user_id=user, **fields) for _ in range(number)])


class TestSetting:
    def test_only_given_limits_change_and_none_removes_one(self, queue: TaskQueue) -> None:
        assert queue.users.set("ann", weight=2, cap=3, rate=0.5, burst=4, backlog=9)
        assert queue.users.set("ann", cap=None, rate=1)
        found = queue.users.get("ann")
        assert found.own_limits == Limits(weight=2, rate=1, burst=4, backlog=9)
        assert (found.weight, found.cap, found.limits.rate) == (2, None, 1)

    def test_setting_the_same_again_changes_nothing_and_returns_false(self, queue: TaskQueue) -> None:
        assert queue.users.set("ann", cap=3)
        assert not queue.users.set("ann", cap=3)
        assert not queue.users.set("ann", weight=None)

    def test_defaults_apply_to_users_without_their_own_limits(self, queue: TaskQueue) -> None:
        assert queue.users.set_defaults(cap=5, rate=7, backlog=100, burst=2)
        queue.users.set("ann", cap=1)
        fill(queue, "bob", 1)
        ann, bob = queue.users.get("ann"), queue.users.get("bob")
        assert ann.limits == Limits(weight=1, cap=1, rate=7, backlog=100, burst=2, paused=False)
        assert ann.own_limits == Limits(cap=1)
        assert (bob.cap, bob.own_limits) == (5, Limits())
        assert queue.users.set_defaults(cap=None)
        assert queue.users.get("bob").cap is None

    def test_a_reset_removes_all_limits_and_keeps_the_defaults(self, queue: TaskQueue) -> None:
        queue.users.set_defaults(cap=5)
        queue.users.set("ann", cap=1, weight=3)
        queue.users.pause("ann")
        assert queue.users.reset("ann")
        assert not queue.users.reset("ann")
        found = queue.users.get("ann")
        assert (found.own_limits, found.cap, found.weight) == (Limits(), 5, 1)

    def test_all_invalid_values_are_reported_at_once_and_nothing_is_sent(self, queue: TaskQueue, spy: Any) -> None:
        with pytest.raises(InvalidArgument) as caught:
            queue.users.set("ann", weight=0.001, cap=0, rate=-1, burst=1, backlog=0)
        assert [problem.split(" must")[0] for problem in caught.value.problems] == [
            "user 'ann': weight",
            "user 'ann': cap",
            "user 'ann': rate",
            "user 'ann': backlog",
        ]
        assert spy.scripts == []

    @pytest.mark.parametrize("value", NOT_NUMBERS)
    @pytest.mark.parametrize("name", ["weight", "cap", "rate", "burst", "backlog"])
    def test_a_value_that_is_not_a_number_is_refused(self, queue: TaskQueue, spy: Any, name: str, value: Any) -> None:
        with pytest.raises(InvalidArgument, match=f"{name} must be"):
            queue.users.set("ann", **{name: value})
        assert spy.scripts == []

    @pytest.mark.parametrize("user", ["", "a\nb", "x" * 129, 5])
    def test_an_invalid_user_id_is_refused(self, queue: TaskQueue, spy: Any, user: Any) -> None:
        with pytest.raises(InvalidArgument, match="user_id"):
            queue.users.set(user, cap=1)
        for method in (queue.users.pause, queue.users.resume, queue.users.reset):
            with pytest.raises(InvalidArgument, match="user_id"):
                method(user)
        others: list[Any] = [queue.users.get, lambda user: queue.tasks.cancel_all(user_id=user)]
        for other in others:
            with pytest.raises(InvalidArgument, match="user_id"):
                other(user)
        assert spy.scripts == []

    def test_setting_nothing_is_refused(self, queue: TaskQueue) -> None:
        with pytest.raises(InvalidArgument, match="give at least one of weight, cap, rate, burst, backlog"):
            queue.users.set("ann")
        with pytest.raises(InvalidArgument, match="give at least one of cap, rate, burst, backlog"):
            queue.users.set_defaults(cap=UNCHANGED)


class TestPause:
    def test_a_paused_user_waits_until_it_is_resumed(self, queue: TaskQueue, worker: Any) -> None:
        handles = fill(queue, "ann", 1)
        assert queue.users.pause("ann")
        assert not queue.users.pause("ann")
        assert queue.users.get("ann").reason == "user_paused"
        assert queue.users.resume("ann")
        assert not queue.users.resume("ann")
        worker.finish(5)
        assert handles[0].result(1) == 5


class TestCancelAll:
    def test_all_waiting_tasks_are_canceled_with_the_reason(self, queue: TaskQueue) -> None:
        handles = [*fill(queue, "ann", 3), *fill(queue, "ann", 1, delay=60)]
        (other,) = fill(queue, "bob", 1)
        report = queue.tasks.cancel_all(reason="the account is closed", user_id="ann")
        assert report == BulkReport(matched=4, changed=4, refused=0, scanned=4)
        for handle in handles:
            with pytest.raises(TaskCanceled, match="the account is closed"):
                handle.result(0)
        assert other.state() is TaskState.QUEUED
        assert queue.tasks.cancel_all(user_id="ann").matched == 0

    def test_a_dry_run_only_counts(self, queue: TaskQueue) -> None:
        handles = [*fill(queue, "ann", 3), *fill(queue, "ann", 1, delay=60)]
        report = queue.tasks.cancel_all(user_id="ann", dry_run=True)
        assert report == BulkReport(matched=4, changed=0, refused=0, scanned=4)
        assert not any(handle.state().ended for handle in handles)

    @pytest.mark.parametrize("filters", [{}, {"user_id": None}, {"user_id": ""}, {"user_id": 5}])
    def test_filters_that_would_match_all_users_are_refused(self, queue: TaskQueue, spy: Any, filters: Any) -> None:
        with pytest.raises(InvalidArgument, match="user"):
            queue.tasks.cancel_all(**filters)
        assert spy.scripts == []

    def test_an_unknown_filter_is_a_type_error(self, queue: TaskQueue, spy: Any) -> None:
        with pytest.raises(TypeError, match="no filter 'user': did you mean 'user_id'"):
            queue.tasks.cancel_all(user="ann")  # type: ignore[call-arg]  # what this tests
        assert spy.scripts == []

    def test_a_large_backlog_is_canceled_in_several_calls(self, queue: TaskQueue, spy: Any) -> None:
        for _ in range(3):
            fill(queue, "ann", 800)
        spy.scripts.clear()
        assert queue.tasks.cancel_all(user_id="ann").changed == 2_400
        assert spy.scripts == ["purge"] * 3
        assert queue.info().tasks[TaskState.QUEUED] == 0

    def test_concurrent_pushes_neither_keep_it_running_nor_save_the_tasks_that_waited(
        self, queue: TaskQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = [handle for _ in range(2) for handle in fill(queue, "ann", 700)]
        run, calls = queue._link.run, 0

        def run_and_push(call: Any) -> Any:
            nonlocal calls
            answer = run(call)
            if call.script == "purge":
                calls += 1
                assert calls < 5, "it does not end"
                fill(queue, "ann", 900)
            return answer

        monkeypatch.setattr(queue._link, "run", run_and_push)
        assert queue.tasks.cancel_all(user_id="ann").changed == 1_400
        assert queue.info().tasks[TaskState.QUEUED] == 1_800
        assert {old[0].state(), old[-1].state()} == {TaskState.CANCELED}


class TestReading:
    def test_the_info_of_a_user_says_what_it_has_and_why_it_waits(self, queue: TaskQueue, worker: Any) -> None:
        queue.users.set("ann", cap=1)
        fill(queue, "ann", 3)
        worker.take()
        found = queue.users.get("ann")
        assert (found.waiting, found.running, found.reason) == (2, 1, WaitReason.USER_CAP)
        assert str(found) == "user 'ann' runs 1 task, as many as its cap of 1 allows"

    def test_the_info_of_a_user_says_that_its_tasks_wait_for_others(self, queue: TaskQueue) -> None:
        first = Task(payload=1, user_id="ann", delay=600)
        queue.push(first >> Task(payload=2))
        found = queue.users.get("ann")
        assert str(found) == "user 'ann' has 2 tasks that must wait for a time or for others"

    def test_the_explanation_of_a_task_says_why_it_waits(self, queue: TaskQueue) -> None:
        queue.users.pause("ann")
        _, second = fill(queue, "ann", 2)
        found = second.explain()
        assert (found.ahead_in_user, found.reason, found.next_start_at) == (1, WaitReason.USER_PAUSED, None)
        assert str(found).endswith("user 'ann' is paused: nothing is started until it is resumed")

    def test_an_unknown_task_is_not_found(self, queue: TaskQueue) -> None:
        with pytest.raises(TaskNotFound):
            queue.task("nothing").explain()
        with pytest.raises(InvalidTask, match="task_id"):
            queue.task("").explain()

    def test_an_unknown_user_has_no_tasks_and_the_default_limits(self, queue: TaskQueue) -> None:
        found = queue.users.get("nobody")
        assert (found.waiting, found.running, found.served, found.since) == (0, 0, 0, None)
        assert (found.reason, str(found)) == (WaitReason.IDLE, "user 'nobody' has no task that waits")
        assert found.own_limits == Limits()

    def test_all_users_are_yielded(self, queue: TaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fairque.client._sync.users.MAX_PAGE", 2)
        for user in ("ann", "bob", "cem"):
            fill(queue, user, 1)
        assert [row.user_id for row in queue.users.iter()] == ["ann", "bob", "cem"]

    def test_users_are_listed_page_by_page(self, queue: TaskQueue) -> None:
        for user in ("cem", "ann", "-", "bob"):
            fill(queue, user, 2)
        first = queue.users.list(limit=3)
        assert [row.user_id for row in first] == ["-", "ann", "bob"]
        rest = queue.users.list(after=first.next)
        assert [(row.user_id, row.waiting, row.reason) for row in rest] == [("cem", 2, "turn")]
        assert (rest.next, rest.scanned, len(rest), rest[0].user_id) == (None, 1, 1, "cem")

    @pytest.mark.parametrize("page", [{"limit": 0}, {"limit": 1_001}, {"limit": True}, {"after": "a\nb"}, {"after": 5}])
    def test_an_invalid_page_is_refused(self, queue: TaskQueue, spy: Any, page: Any) -> None:
        with pytest.raises(InvalidArgument, match=r"limit must be|after"):
            queue.users.list(**page)
        assert spy.scripts == []

    def test_two_snapshots_show_what_each_user_got(self, queue: TaskQueue, worker: Any) -> None:
        queue.set(cost_mode=CostMode.COUNT)
        queue.users.set("ann", weight=3)
        fill(queue, "ann", 20)
        fill(queue, "bob", 20)
        for _ in range(4):
            worker.finish()
        before = queue.users.snapshot()
        fill(queue, "new", 5)
        for _ in range(10):
            worker.finish()
        report = queue.users.snapshot().since(before)
        assert [(share.user_id, share.fair_share) for share in report.users] == [("ann", 0.75), ("bob", 0.25)]
        assert report.jain is not None
        assert report.jain > 0.9

    def test_a_snapshot_reads_all_pages(self, queue: TaskQueue, spy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fairque.client.user_steps.MAX_PAGE", 2)
        queue.push_many([Task(func="f", user_id=f"u{number}") for number in range(5)])
        spy.scripts.clear()
        assert list(queue.users.snapshot().rows) == ["u0", "u1", "u2", "u3", "u4"]
        assert spy.scripts == ["read_users"] * 3


class TestBacklog:
    def test_a_push_above_the_backlog_of_its_user_stores_nothing(self, queue: TaskQueue) -> None:
        queue.users.set("ann", backlog=2)
        fill(queue, "ann", 1)
        with pytest.raises(QueueFull, match="user 'ann' has 1 waiting tasks of at most 2") as caught:
            queue.push_many([Task(func="f", user_id=user) for user in ("bob", "ann", "ann")])
        assert caught.value.retry_after >= 1
        assert queue.info().totals["pushed"] == 1
        assert queue.users.get("bob").waiting == 0

    def test_a_push_above_the_backlog_of_the_queue_stores_nothing(self, queue: TaskQueue) -> None:
        assert queue.set(backlog=2)
        fill(queue, "ann", 2)
        with pytest.raises(QueueFull, match="it has 2 waiting tasks of at most 2"):
            fill(queue, "bob", 1)
        assert queue.info().totals["pushed"] == 2
        assert queue.set(backlog=None)
        assert not queue.set(backlog=None)
        fill(queue, "bob", 1)


class TestConfigure:
    @pytest.mark.parametrize(
        "changes", [{"backlog": 0}, {"backlog": -1}, {"backlog": float("nan")}, {"backlog": True}, {"cost_mode": "sum"}]
    )
    def test_invalid_settings_are_refused_and_nothing_is_sent(self, queue: TaskQueue, spy: Any, changes: Any) -> None:
        with pytest.raises(InvalidArgument, match=r"backlog|cost_mode"):
            queue.set(**changes)
        assert spy.scripts == []

    def test_the_cost_mode_stays_while_users_have_tasks(self, queue: TaskQueue) -> None:
        fill(queue, "ann", 1)
        with pytest.raises(Conflict, match="change it to 'count' when the queue is empty"):
            queue.set(cost_mode=CostMode.COUNT)
        assert not queue.set()


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "1"])
def test_an_invalid_cost_is_refused(queue: TaskQueue, cost: Any) -> None:
    with pytest.raises(InvalidTask, match="cost must be a number of seconds from 0"):
        queue.push(Task(func="f", user_id="ann", cost=cost))
    assert queue.info().totals["pushed"] == 0


async def test_the_asynchronous_queue_does_the_same(async_queue: AsyncTaskQueue, async_spy: Any) -> None:
    queue, users = async_queue, async_queue.users
    assert await queue.set(cost_mode=CostMode.COUNT, backlog=50)
    assert await users.set("ann", weight=2, cap=1)
    assert await users.set_defaults(rate=100)
    handle = await queue.push(Task(func="f", user_id="ann"))
    await queue.push(Task(func="f", user_id="bob"))
    assert await users.pause("ann")
    assert (await users.get("ann")).reason == "user_paused"
    assert (await handle.explain()).reason == "user_paused"
    assert await users.resume("ann")
    page = await users.list(limit=1)
    assert ([row.user_id for row in page], page.next) == (["ann"], "ann")
    assert [row.user_id async for row in users.iter()] == ["ann", "bob"]
    assert list((await users.snapshot()).rows) == ["ann", "bob"]
    assert (await queue.tasks.cancel_all(user_id="ann")).changed == 1
    assert await users.reset("ann")
    async_spy.scripts.clear()
    with pytest.raises(InvalidArgument):
        await users.set("ann", weight=float("nan"))
    assert async_spy.scripts == []
