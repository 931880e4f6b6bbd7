"""queue.dead_letters: tasks that failed finally are read, retried or deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    BulkReport,
    DeadReason,
    ErrorInfo,
    InvalidArgument,
    InvalidTask,
    NotFound,
    QueueFull,
    ResultExpired,
    RetryReport,
    TaskFailed,
    TaskNotFound,
    TaskQueue,
    TaskState,
    task,
)
from fairque.testing.internal import eventually

ERROR = {"type": "ValueError", "error": "no", "traceback": "…", "reason": "retries"}


@task
def add(a: int, b: int) -> int:
    return a + b


@task(name="letters.mail")
def mail(to: str) -> None:
    """Do nothing."""


#: Later than all endings in this module.
LATER = datetime(2200, 1, 1, tzinfo=UTC)


def report(changed: int, *, refused: int = 0) -> BulkReport:
    """The report of a call whose filters matched every dead letter it read."""
    matched = changed + refused
    return BulkReport(matched=matched, changed=changed, refused=refused, scanned=matched)


def dead(queue: TaskQueue, worker: Any, *tasks: Any, **error: Any) -> list[str]:
    """Push tasks that fail finally; a task of `add` by default."""
    handles = [queue.push(task) for task in tasks or (add.task(1, 2),)]
    for _ in handles:
        worker.fail({**ERROR, **error})
    return [handle.task_id for handle in handles]


def ids(queue: TaskQueue) -> list[str]:
    return [letter.task_id for letter in queue.dead_letters.list()]


def test_the_list_shows_user_function_arguments_and_error(queue: TaskQueue, worker: Any) -> None:
    (task_id,) = dead(queue, worker, mail.options(user_id="bob").task("ann@example.org"))
    (letter,) = queue.dead_letters.list()
    assert (letter.task_id, letter.user_id, letter.func, letter.worker) == (task_id, "bob", "letters.mail", "hand")
    assert (letter.error, letter.reason, letter.attempts) == (
        ErrorInfo("ValueError", "no", "…"),
        DeadReason.RETRIES,
        1,
    )
    assert letter.task is not None
    assert letter.task.args == ("ann@example.org",)


def test_each_page_leads_to_the_next(queue: TaskQueue, worker: Any) -> None:
    pushed = dead(queue, worker, *(add.task(n, n) for n in range(5)))
    page = queue.dead_letters.list(limit=2)
    found = [*page]
    while page.next is not None:
        page = queue.dead_letters.list(after=page.next, limit=2)
        found += page
    assert len(found) == 5
    assert {letter.task_id for letter in found} == {*pushed}


def test_a_retried_task_runs_again_and_its_handle_can_wait_for_it(
    queue: TaskQueue, worker: Any, in_thread: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    worker.fail(ERROR)
    with pytest.raises(TaskFailed):
        handle.result(timeout=5)
    assert handle.retry() == RetryReport(task_ids=(handle.task_id,), refused=0)
    waiting = in_thread(lambda: handle.result(timeout=10))
    eventually(lambda: queue._link._waiters._by_task)
    worker.finish(3)
    assert waiting.outcome() == 3
    assert ids(queue) == []
    assert queue.info().totals["redriven"] == 1


def test_a_task_that_is_not_a_dead_letter_is_left_unchanged(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    assert handle.retry() == RetryReport(task_ids=(), refused=0)
    assert not queue.dead_letters.delete(handle.task_id)
    assert handle.result() == 3


def test_an_unknown_task_is_not_found(queue: TaskQueue) -> None:
    with pytest.raises(TaskNotFound):
        queue.task("unknown").retry()
    assert not queue.dead_letters.delete("unknown")


def test_a_backlog_refuses_a_retry_and_says_when_to_try_again(queue: TaskQueue, worker: Any) -> None:
    (task_id,) = dead(queue, worker)
    queue.users.set("ann", backlog=1)
    queue.push(add.task(1, 2))
    with pytest.raises(QueueFull, match=f"task {task_id} stays a dead letter") as caught:
        queue.task(task_id).retry()
    assert caught.value.retry_after >= 1
    assert ids(queue) == [task_id]


def test_each_call_retries_a_hundred_dead_letters(queue: TaskQueue, worker: Any, spy: Any) -> None:
    queue.push_many([add.task(n, n) for n in range(250)])
    worker.fail_all(ERROR)
    spy.scripts.clear()
    assert queue.dead_letters.retry_all(ended_before=LATER) == report(250)
    assert spy.scripts == ["read_dead", "redrive"] * 3
    assert queue.info().tasks[TaskState.QUEUED] == 250
    assert queue.dead_letters.retry_all(ended_before=LATER) == report(0)


def test_dead_letters_above_the_backlog_stay_until_the_next_call(queue: TaskQueue, worker: Any) -> None:
    dead(queue, worker, *(add.task(n, n) for n in range(5)), *(add.options(user_id="bob").task(n, n) for n in range(3)))
    queue.users.set("ann", backlog=2)
    assert queue.dead_letters.retry_all(ended_before=LATER) == report(5, refused=3)
    queue.users.reset("ann")
    assert queue.dead_letters.retry_all(ended_before=LATER) == report(3)


@pytest.mark.parametrize(
    ("conditions", "number"),
    [
        ({"user_id": "ann"}, 3),
        ({"user_id": "bob"}, 2),
        ({"user_id": "eve"}, 0),
        ({"func": mail}, 2),
        ({"func": "letters.mail"}, 2),
        ({"func": add, "user_id": "bob"}, 0),
        ({"reason": DeadReason.LOST_WORKERS}, 1),
        ({"error_type": "ValueError"}, 5),
        ({"error_type": "KeyError"}, 0),
        ({"reason": DeadReason.RETRIES, "user_id": "ann"}, 2),
    ],
)
def test_only_dead_letters_that_match_all_filters_are_retried(
    queue: TaskQueue, worker: Any, conditions: dict[str, Any], number: int
) -> None:
    dead(queue, worker, *(add.task(n, n) for n in range(2)), *(mail.options(user_id="bob").task("x") for _ in range(2)))
    dead(queue, worker, reason="deliveries")
    kept = queue.dead_letters.list(**conditions)
    assert (len(kept), kept.scanned, kept.next) == (number, 5, None)
    assert [letter.task_id for letter in queue.dead_letters.iter(**conditions)] == [letter.task_id for letter in kept]
    counted = queue.dead_letters.retry_all(dry_run=True, **conditions)
    assert (counted.matched, counted.changed, counted.scanned) == (number, 0, 5)
    assert queue.dead_letters.retry_all(**conditions).changed == number
    assert len(queue.dead_letters.list()) == 5 - number
    worker.fail_all(ERROR)
    queue.dead_letters.retry_all(ended_before=LATER)


def test_times_bound_the_selection(queue: TaskQueue, worker: Any, server: Any) -> None:
    pushed = dead(queue, worker, *(add.task(n, n) for n in range(6)))
    prefix = queue._link.keys.prefix
    for second, task_id in enumerate(pushed):
        server.zadd(f"{prefix}dead", {task_id: 1_000_000 + 1_000 * second})
        # Only the index is read, so the time in the record need not change.
    then = datetime.fromtimestamp(1_000, tz=UTC)
    later = datetime.fromtimestamp(4_000_000_000, tz=UTC)
    assert queue.dead_letters.delete_all(ended_after=later).changed == 0
    assert queue.dead_letters.delete_all(ended_before=then).changed == 0
    assert queue.dead_letters.delete_all(ended_after=then + timedelta(seconds=3)).changed == 3
    assert sorted(ids(queue)) == sorted(pushed[:3])
    assert queue.dead_letters.delete_all(ended_before=datetime.now(tz=UTC) + timedelta(hours=1)).changed == 3


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"reason": "retrys"},
        {"reason": DeadReason.UNKNOWN},
        {"reason": []},
        {"user_id": None},
        {"func": ""},
        {"func": 5},
    ],
)
def test_filters_that_match_nothing_or_everything_are_refused(queue: TaskQueue, spy: Any, filters: Any) -> None:
    for act in (queue.dead_letters.retry_all, queue.dead_letters.delete_all):
        with pytest.raises(InvalidArgument, match=next(iter(filters), "without a filter")):
            act(**filters)
    if filters:
        with pytest.raises(InvalidArgument):
            queue.dead_letters.list(**filters)
    assert spy.scripts == []


def test_an_unknown_filter_is_a_type_error(queue: TaskQueue, spy: Any) -> None:
    with pytest.raises(TypeError, match="no filter 'user': did you mean 'user_id'"):
        queue.dead_letters.delete_all(user="ann")  # type: ignore[call-arg]  # what this tests
    assert spy.scripts == []


def test_all_invalid_filters_are_reported_at_once(queue: TaskQueue) -> None:
    wrong: Any = {"user_id": "", "reason": "no", "ended_after": 5}
    with pytest.raises(InvalidArgument) as caught:
        queue.dead_letters.list(**wrong)
    assert len(caught.value.problems) == 3


def test_a_dead_letter_is_read_by_its_id(queue: TaskQueue, worker: Any) -> None:
    pushed = dead(queue, worker, *(add.task(n, n) for n in range(5)))
    for task_id in pushed:
        assert queue.dead_letters.get(task_id).task_id == task_id


def test_one_of_hundreds_that_ended_in_the_same_millisecond_is_read_by_its_id(queue: TaskQueue, worker: Any) -> None:
    handles = queue.push_many([add.task(n, n) for n in range(250)])
    worker.fail_all(ERROR)
    last = max(queue.dead_letters.iter(), key=lambda letter: (letter.ended_at, letter.task_id))
    for task_id in (handles[0].task_id, handles[-1].task_id, last.task_id):
        assert queue.dead_letters.get(task_id).task_id == task_id


def test_a_task_that_is_not_a_dead_letter_is_not_found(queue: TaskQueue) -> None:
    handle = queue.push(add.task(1, 2))
    with pytest.raises(NotFound, match=f"task {handle.task_id} of queue .* is QUEUED: it is not a dead letter"):
        queue.dead_letters.get(handle.task_id)
    with pytest.raises(TaskNotFound):
        queue.dead_letters.get("unknown")


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), 5, "2026-01-01"])  # noqa: DTZ001 - that is what is refused
def test_a_datetime_without_a_time_zone_is_refused(queue: TaskQueue, spy: Any, moment: Any) -> None:
    for act in (queue.dead_letters.retry_all, queue.dead_letters.delete_all):
        with pytest.raises(InvalidArgument, match="ended_after must be a datetime with a time zone"):
            act(ended_after=moment)
        with pytest.raises(InvalidArgument, match="ended_before must be"):
            act(ended_before=moment)
    assert spy.scripts == []


def test_a_task_that_fails_again_meanwhile_is_retried_once(queue: TaskQueue, worker: Any, spy: Any) -> None:
    pushed = [handle.task_id for handle in queue.push_many([add.task(n, n) for n in range(250)])]
    worker.fail_all(ERROR)
    run = spy.run

    def fail_at_once(call: Any) -> Any:
        answer = run(call)
        if call.script == "redrive":
            worker.fail_all(ERROR)
        return answer

    spy.run = fail_at_once
    done = queue.dead_letters.retry_all(ended_before=LATER)
    assert (done.matched, done.changed) == (250, 250)
    spy.run = run
    assert {letter.task_id for letter in queue.dead_letters.list(limit=1_000)} == {*pushed}


def test_a_dead_letter_is_deleted(queue: TaskQueue, worker: Any) -> None:
    first, second = dead(queue, worker, *(add.task(n, n) for n in range(2)))
    assert queue.dead_letters.delete(first)
    assert not queue.dead_letters.delete(first)
    assert ids(queue) == [second]
    with pytest.raises(TaskNotFound):
        queue.task(first).state()


def test_dependents_that_are_still_pending_are_settled_first(queue: TaskQueue, worker: Any, spy: Any) -> None:
    parent = add.options(user_id="boss").task(1, 2)
    queue.push_many([parent, *(add.options(depends_on=parent).task(n, n) for n in range(250))])
    worker.fail(ERROR)
    spy.scripts.clear()
    assert queue.task(parent.task_id).retry().task_ids == (parent.task_id,)
    assert spy.scripts == ["redrive"] * 3
    assert queue.info().totals["canceled"] == 250


@pytest.mark.parametrize("task_id", ["", "a\nb", "x" * 129, 7, None])
def test_an_invalid_id_is_refused(queue: TaskQueue, spy: Any, task_id: Any) -> None:
    for act in (queue.task, queue.dead_letters.get, queue.dead_letters.delete):
        with pytest.raises(InvalidTask, match="task_id"):
            act(task_id)
    assert spy.scripts == []


@pytest.mark.parametrize(("after", "limit"), [("x", 5), (None, 0), (None, 1_001), (None, "5")])
def test_an_invalid_page_is_refused(queue: TaskQueue, spy: Any, after: Any, limit: Any) -> None:
    with pytest.raises(InvalidArgument):
        queue.dead_letters.list(after=after, limit=limit)
    assert spy.scripts == []


async def test_the_asynchronous_queue_does_the_same(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handles = await async_queue.push_many([add.task(n, n) for n in range(3)])
    worker.fail_all(ERROR)
    letters = async_queue.dead_letters
    page = await letters.list(limit=2)
    assert (len(page), page.next is None) == (2, False)
    assert (await handles[0].retry()).task_ids == (handles[0].task_id,)
    assert await letters.retry_all(func=add) == report(2)
    worker.fail_all(ERROR)
    assert await letters.delete(handles[0].task_id)
    assert (await letters.delete_all(user_id="ann")).changed == 2
    with pytest.raises(ResultExpired):
        await handles[0].retry()
