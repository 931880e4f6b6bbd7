"""queue.dead_letters: what failed for good is looked at, run again, or forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    InvalidArgument,
    InvalidTask,
    QueueFull,
    Redriven,
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
    """Nothing."""


def dead(queue: TaskQueue, worker: Any, *tasks: Any, **error: Any) -> list[str]:
    """Push tasks that fail for good; the one task of add when none is given."""
    handles = [queue.push(one) for one in tasks or (add.task(1, 2),)]
    for _ in handles:
        worker.fail({**ERROR, **error})
    return [handle.task_id for handle in handles]


def ids(queue: TaskQueue) -> list[str]:
    return [letter.task_id for letter in queue.dead_letters.list()]


def test_the_list_shows_user_function_arguments_and_error(queue: TaskQueue, worker: Any) -> None:
    (task_id,) = dead(queue, worker, mail.options(user_id="bob").task("ann@example.org"))
    (letter,) = queue.dead_letters.list()
    assert (letter.task_id, letter.user_id, letter.func, letter.worker) == (task_id, "bob", "letters.mail", "hand")
    assert (letter.error_type, letter.error, letter.reason, letter.attempts) == ("ValueError", "no", "retries", 1)
    assert letter.task is not None
    assert letter.task.args == ("ann@example.org",)


def test_pages_lead_to_each_other(queue: TaskQueue, worker: Any) -> None:
    pushed = dead(queue, worker, *(add.task(n, n) for n in range(5)))
    page = queue.dead_letters.list(most=2)
    found = [*page]
    while page.next is not None:
        page = queue.dead_letters.list(after=page.next, most=2)
        found += page
    assert len(found) == 5
    assert {letter.task_id for letter in found} == {*pushed}


def test_a_redriven_task_runs_again_and_its_handle_waits_again(queue: TaskQueue, worker: Any, in_thread: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.fail(ERROR)
    with pytest.raises(TaskFailed):
        handle.result(timeout=5)
    assert queue.dead_letters.redrive(handle.task_id) is TaskState.QUEUED
    waiting = in_thread(lambda: handle.result(timeout=10))
    eventually(lambda: queue._link._waiters._by_task)
    worker.finish(3)
    assert waiting.outcome() == 3
    assert ids(queue) == []
    assert queue.info().totals["redriven"] == 1


def test_a_task_that_is_no_dead_letter_is_left_alone(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    assert queue.dead_letters.redrive(handle.task_id) is TaskState.FINISHED
    assert not queue.dead_letters.delete(handle.task_id)
    assert handle.result() == 3


def test_an_unknown_task_is_not_found(queue: TaskQueue) -> None:
    with pytest.raises(TaskNotFound):
        queue.dead_letters.redrive("unknown")
    assert not queue.dead_letters.delete("unknown")


def test_a_backlog_refuses_a_redrive_and_says_when_to_try_again(queue: TaskQueue, worker: Any) -> None:
    (task_id,) = dead(queue, worker)
    queue.users.set("ann", backlog=1)
    queue.push(add.task(1, 2))
    with pytest.raises(QueueFull, match=f"task {task_id} stays a dead letter") as caught:
        queue.dead_letters.redrive(task_id)
    assert caught.value.retry_after >= 1
    assert ids(queue) == [task_id]


def test_all_are_redriven_a_hundred_a_call(queue: TaskQueue, worker: Any, spy: Any) -> None:
    queue.push_many([add.task(n, n) for n in range(250)])
    worker.fail_all(ERROR)
    spy.scripts.clear()
    assert queue.dead_letters.redrive_all() == Redriven(250, 0)
    assert spy.scripts == ["read_dead", "redrive"] * 3
    assert queue.info().tasks[TaskState.QUEUED] == 250
    assert queue.dead_letters.redrive_all() == Redriven(0, 0)


def test_those_for_which_there_is_no_room_stay_and_come_with_the_next_call(queue: TaskQueue, worker: Any) -> None:
    dead(queue, worker, *(add.task(n, n) for n in range(5)), *(add.options(user_id="bob").task(n, n) for n in range(3)))
    queue.users.set("ann", backlog=2)
    assert queue.dead_letters.redrive_all() == Redriven(5, 3)
    queue.users.reset("ann")
    assert queue.dead_letters.redrive_all() == Redriven(3, 0)


@pytest.mark.parametrize(
    ("conditions", "number"),
    [
        ({"user_id": "ann"}, 3),
        ({"user_id": "bob"}, 2),
        ({"user_id": "eve"}, 0),
        ({"func": mail}, 2),
        ({"func": "letters.mail"}, 2),
        ({"func": add, "user_id": "bob"}, 0),
        ({"reason": "deliveries"}, 1),
        ({"reason": "retries", "user_id": "ann"}, 2),
    ],
)
def test_only_those_that_all_conditions_fit(
    queue: TaskQueue, worker: Any, conditions: dict[str, Any], number: int
) -> None:
    dead(queue, worker, *(add.task(n, n) for n in range(2)), *(mail.options(user_id="bob").task("x") for _ in range(2)))
    dead(queue, worker, reason="deliveries")
    assert queue.dead_letters.redrive_all(**conditions) == Redriven(number, 0)
    assert len(queue.dead_letters.list()) == 5 - number
    worker.fail_all(ERROR)
    queue.dead_letters.redrive_all()


def test_moments_bound_what_is_meant(queue: TaskQueue, worker: Any, server: Any) -> None:
    pushed = dead(queue, worker, *(add.task(n, n) for n in range(6)))
    prefix = queue._link.keys.prefix
    for second, task_id in enumerate(pushed):
        server.zadd(f"{prefix}dead", {task_id: 1_000_000 + 1_000 * second})
        # What is not in the index is not looked at, so the record needs no other time.
    then = datetime.fromtimestamp(1_000, tz=UTC)
    later = datetime.fromtimestamp(4_000_000_000, tz=UTC)
    assert queue.dead_letters.purge(ended_after=later) == 0
    assert queue.dead_letters.purge(ended_before=then) == 0
    assert queue.dead_letters.purge(ended_after=then + timedelta(seconds=3)) == 3
    assert sorted(ids(queue)) == sorted(pushed[:3])
    assert queue.dead_letters.purge(ended_before=datetime.now(tz=UTC) + timedelta(hours=1)) == 3


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), 5, "2026-01-01"])  # noqa: DTZ001 - that is what is refused
def test_a_moment_without_a_time_zone_is_refused(queue: TaskQueue, spy: Any, moment: Any) -> None:
    for act in (queue.dead_letters.redrive_all, queue.dead_letters.purge):
        with pytest.raises(InvalidArgument, match="ended_after must be a datetime with a time zone"):
            act(ended_after=moment)
        with pytest.raises(InvalidArgument, match="ended_before must be"):
            act(ended_before=moment)
    assert spy.scripts == []


def test_a_task_that_fails_again_meanwhile_is_redriven_once(queue: TaskQueue, worker: Any, spy: Any) -> None:
    pushed = [handle.task_id for handle in queue.push_many([add.task(n, n) for n in range(250)])]
    worker.fail_all(ERROR)
    run = spy.run

    def fail_at_once(call: Any) -> Any:
        answer = run(call)
        if call.script == "redrive":
            worker.fail_all(ERROR)
        return answer

    spy.run = fail_at_once
    assert queue.dead_letters.redrive_all() == Redriven(250, 0)
    spy.run = run
    assert {letter.task_id for letter in queue.dead_letters.list(most=1_000)} == {*pushed}


def test_one_is_deleted(queue: TaskQueue, worker: Any) -> None:
    first, second = dead(queue, worker, *(add.task(n, n) for n in range(2)))
    assert queue.dead_letters.delete(first)
    assert not queue.dead_letters.delete(first)
    assert ids(queue) == [second]
    with pytest.raises(TaskNotFound):
        queue.task(first).state()


def test_dependents_that_are_not_told_yet_are_told_first(queue: TaskQueue, worker: Any, spy: Any) -> None:
    parent = add.options(user_id="boss").task(1, 2)
    queue.push_many([parent, *(add.options(depends_on=parent).task(n, n) for n in range(250))])
    worker.fail(ERROR)
    spy.scripts.clear()
    assert queue.dead_letters.redrive(parent.task_id) is TaskState.QUEUED
    assert spy.scripts == ["redrive"] * 3
    assert queue.info().totals["canceled"] == 250


@pytest.mark.parametrize("task_id", ["", "a\nb", "x" * 129, 7, None])
def test_what_cannot_be_an_id_is_refused(queue: TaskQueue, spy: Any, task_id: Any) -> None:
    for act in (queue.dead_letters.redrive, queue.dead_letters.delete):
        with pytest.raises(InvalidTask, match="task_id"):
            act(task_id)
    assert spy.scripts == []


@pytest.mark.parametrize(("after", "most"), [("x", 5), (None, 0), (None, 1_001), (None, "5")])
def test_a_page_that_cannot_be_is_refused(queue: TaskQueue, spy: Any, after: Any, most: Any) -> None:
    with pytest.raises(InvalidArgument):
        queue.dead_letters.list(after=after, most=most)
    assert spy.scripts == []


async def test_on_asyncio_it_is_the_same_with_an_await(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handles = await async_queue.push_many([add.task(n, n) for n in range(3)])
    worker.fail_all(ERROR)
    letters = async_queue.dead_letters
    page = await letters.list(most=2)
    assert (len(page), page.next is None) == (2, False)
    assert await letters.redrive(handles[0].task_id) is TaskState.QUEUED
    assert await letters.redrive_all(func=add) == Redriven(2, 0)
    worker.fail_all(ERROR)
    assert await letters.delete(handles[0].task_id)
    assert await letters.purge(user_id="ann") == 2
    with pytest.raises(TaskNotFound):
        await letters.redrive(handles[0].task_id)
