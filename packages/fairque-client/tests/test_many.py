"""as_completed and gather: many handles in a few calls, also across lost connections."""

from collections.abc import Iterator
from typing import Any

import pytest

from fairque.client import (
    ClientSettings,
    FairqueError,
    ResultExpired,
    TaskCanceled,
    TaskFailed,
    TaskHandle,
    TaskNotFound,
    TaskQueue,
    TaskState,
    task,
)
from fairque.testing.internal import amend_record, eventually


@task
def add(a: int, b: int) -> int:
    return a + b


def pushed(queue: TaskQueue, number: int) -> list[TaskHandle[int]]:
    return queue.push_many([add.task(n, n) for n in range(number)])


def watches(spy: Any, number: int = 1) -> None:
    eventually(lambda: spy.scripts.count("watch") >= number, what=f"{number} watch calls")


def test_handles_are_yielded_in_the_order_in_which_their_tasks_end(
    queue: TaskQueue, worker: Any, in_thread: Any
) -> None:
    handles = pushed(queue, 3)
    first, second, third = (worker.take() for _ in handles)
    worker.end(third, result=30)
    ended = queue.as_completed(handles, timeout=10)
    assert next(ended).result() == 30
    worker.end(first, result=10)
    assert next(ended).result() == 10
    last = in_thread(lambda: next(ended).result())
    worker.end(second, result=20)
    assert last.outcome() == 20
    assert list(ended) == []


def test_a_thousand_handles_are_waited_for_with_one_call(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handles = pushed(queue, 1_000)
    waiting = in_thread(lambda: [handle.result() for handle in queue.as_completed(handles)])
    watches(spy)
    worker.finish_all("done")
    assert waiting.outcome() == ["done"] * 1_000
    assert spy.scripts == ["push", "watch"]


def test_a_thousand_available_results_take_one_call(queue: TaskQueue, worker: Any, spy: Any) -> None:
    handles = pushed(queue, 1_000)
    worker.finish_all(7)
    assert queue.gather(*handles) == [7] * 1_000
    assert queue.gather(*handles) == [7] * 1_000
    assert spy.scripts == ["push", "watch"]


def test_a_thousand_tasks_are_read_in_one_call_and_large_results_in_several(
    queue: TaskQueue, worker: Any, spy: Any
) -> None:
    handles = queue.push_many([add.task(n, n) for n in range(1_001)], chunked=True)
    worker.finish_all("x" * 40_000)
    assert {len(result) for result in queue.gather(*handles)} == {40_000}  # type: ignore[arg-type]  # the worker returns strings
    assert 10 <= spy.scripts.count("watch") <= 12


def test_results_are_in_the_order_of_the_handles(queue: TaskQueue, worker: Any) -> None:
    handles = pushed(queue, 3)
    for number, held in enumerate([worker.take() for _ in handles][::-1]):
        worker.end(held, result=number)
    assert queue.gather(*handles, timeout=10) == [2, 1, 0]
    assert queue.gather(*handles[::-1], handles[0]) == [0, 1, 2, 2]


def test_gathering_no_handles_returns_no_results(queue: TaskQueue, spy: Any) -> None:
    assert queue.gather() == []
    assert list(queue.as_completed([])) == []
    assert spy.scripts == []


def test_several_handles_of_one_task_are_all_yielded(queue: TaskQueue, worker: Any) -> None:
    first = queue.push(add.task(1, 2))
    other = queue.task(first.task_id)
    worker.finish(3)
    assert first.result() == 3
    assert set(queue.as_completed([first, other, first])) == {first, other}
    assert queue.gather(first, other) == [3, 3]


def test_the_first_error_is_raised_while_other_tasks_run(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handles = pushed(queue, 3)
    waiting = in_thread(lambda: queue.gather(*handles))
    watches(spy)
    worker.fail({"type": "ValueError", "error": "no"})
    with pytest.raises(TaskFailed, match="ValueError: no"):
        waiting.outcome()


def test_errors_are_returned_in_place_of_results_on_request(queue: TaskQueue, worker: Any) -> None:
    handles = pushed(queue, 5)
    worker.finish(1)
    worker.fail({"type": "ValueError", "error": "no"})
    handles[2].cancel(reason="not needed")
    unknown: TaskHandle[int] = queue.task("unknown")
    results = queue.gather(*handles, unknown, timeout=0.1, return_exceptions=True)
    kinds = [1, TaskFailed, TaskCanceled, TimeoutError, TimeoutError, TaskNotFound]
    assert [result if isinstance(result, int) else type(result) for result in results] == kinds
    assert f"task {handles[3].task_id} is still QUEUED after 0.1 s" in str(results[3])


def test_the_error_of_a_timeout_names_the_tasks_that_continue(queue: TaskQueue, worker: Any) -> None:
    handles = pushed(queue, 6)
    worker.finish(1)
    ended = queue.as_completed(handles, timeout=0.1)
    assert next(ended) is handles[0]
    with pytest.raises(TimeoutError, match=rf"5 of 6 tasks have not ended after 0.1 s: {handles[1].task_id}, .*, …\."):
        next(ended)
    with pytest.raises(TimeoutError, match=rf"task {handles[1].task_id} is still QUEUED"):
        queue.gather(*handles, timeout=0.1)


def test_a_timeout_of_zero_only_checks(queue: TaskQueue, worker: Any, spy: Any) -> None:
    handles = pushed(queue, 2)
    worker.finish(1)
    with pytest.raises(TimeoutError, match="1 of 2 tasks have not ended after 0 s"):
        list(queue.as_completed(handles, timeout=0))
    assert spy.scripts == ["push", "watch"]
    assert queue._link._subscription is None


def test_the_handle_of_an_unknown_task_is_yielded_and_its_result_raises(queue: TaskQueue, server: Any) -> None:
    gone, unknown = queue.push(add.task(1, 2)), queue.task("unknown")
    server.delete(f"{queue._link.keys.prefix}t:{gone.task_id}")
    assert list(queue.as_completed([gone, unknown], timeout=10)) == [gone, unknown]
    with pytest.raises(ResultExpired):
        queue.gather(gone)
    with pytest.raises(TaskNotFound):
        queue.gather(unknown)


def test_a_lost_subscription_loses_no_ending_and_costs_one_more_call(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handles = pushed(queue, 100)
    waiting = in_thread(lambda: queue.gather(*handles))
    watches(spy)
    worker.finish_all("before", most=40)
    server.client_kill_filter(_type="pubsub")
    watches(spy, 2)
    worker.finish_all("after")
    assert waiting.outcome() == ["before"] * 40 + ["after"] * 60
    assert spy.scripts == ["push", "watch", "watch"]


def test_endings_during_a_lost_connection_are_not_lost(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handles = pushed(queue, 3)
    waiting = in_thread(lambda: queue.gather(*handles))
    watches(spy)
    worker.finish(1)
    # In one transaction, so that nothing is subscribed when the tasks end.
    with server.pipeline(transaction=True) as at_once:
        at_once.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        for handle in handles[1:]:
            key = f"{worker.keys.prefix}t:{handle.task_id}"
            amend_record(at_once, key, state="FINISHED", ended_at=1, result="3")
        at_once.execute()
    assert waiting.outcome() == [1, 3, 3]


def test_one_subscription_serves_all_waits(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handles = pushed(queue, 30)
    waiting = [in_thread(lambda part=part: queue.gather(*part)) for part in (handles[:10], handles[10:20])]
    waiting += [in_thread(handle.result) for handle in handles[20:]]
    watches(spy, 12)
    assert len(server.pubsub_channels(f"{queue._link.keys.prefix}done:*")) == 1
    worker.finish_all(1)
    assert [thread.outcome() for thread in waiting] == [[1] * 10] * 2 + [1] * 10


def test_results_too_large_for_the_message_are_read_together(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handles = pushed(queue, 50)
    waiting = in_thread(lambda: queue.gather(*handles))
    watches(spy)
    worker.finish_all("x" * 20_000)
    assert waiting.outcome() == ["x" * 20_000] * 50
    assert spy.scripts.count("watch") < 20


def test_an_abandoned_wait_leaves_nothing_behind(queue: TaskQueue, worker: Any) -> None:
    handles = pushed(queue, 3)
    worker.finish(1)
    ended = queue.as_completed(handles)
    next(ended)
    assert queue._link._waiters._by_task
    del ended
    assert not queue._link._waiters._by_task


def test_closing_the_queue_ends_the_wait(queue: TaskQueue, in_thread: Any, spy: Any) -> None:
    handles = pushed(queue, 3)
    waiting = in_thread(lambda: queue.gather(*handles))
    watches(spy)
    queue.close()
    with pytest.raises(FairqueError, match="is closed"):
        waiting.outcome()


@pytest.fixture
def other_queue(settings: ClientSettings) -> Iterator[TaskQueue]:
    with TaskQueue(settings) as queue:
        yield queue


def test_handles_of_two_queue_objects_are_refused(queue: TaskQueue, other_queue: TaskQueue) -> None:
    handles = [queue.task("t1"), other_queue.task("t2")]
    with pytest.raises(
        FairqueError, match=r"the handle of task t2 belongs to another queue object, .*: use queue\.task\(task_id\)"
    ):
        queue.as_completed(handles)
    with pytest.raises(FairqueError, match="another queue object"):
        queue.gather(*handles)


@pytest.mark.parametrize("other", ["t1", None, 5])
def test_an_object_that_is_not_a_handle_is_refused(queue: TaskQueue, other: Any) -> None:
    with pytest.raises(TypeError, match=rf"cannot wait for {other!r}: expected TaskHandle"):
        queue.as_completed([queue.task("t"), other])
    with pytest.raises(TypeError, match=r"cannot wait for .*: expected TaskHandle"):
        queue.gather(other)


def test_an_invalid_timeout_is_refused_before_anything_is_sent(queue: TaskQueue, spy: Any) -> None:
    wrong: Any = "5"
    with pytest.raises(TypeError, match="timeout must be"):
        queue.as_completed([queue.task("t")], timeout=wrong)
    with pytest.raises(TypeError, match="timeout must be"):
        queue.gather(queue.task("t"), timeout=wrong)
    assert spy.scripts == []


def test_a_cached_result_outlives_its_record(queue: TaskQueue, worker: Any, server: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    assert handle.result() == 3
    server.flushdb()
    assert (handle.result(), handle.wait()) == (3, TaskState.FINISHED)
    assert spy.scripts == ["push", "watch"]
