"""Waiting: woken by the server without polling, also across lost connections and from many threads."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from attrs import evolve

from fairque.client import (
    ClientSettings,
    FairqueError,
    RedisSection,
    RedisUnavailable,
    ResultExpired,
    TaskQueue,
    TaskState,
    task,
)
from fairque.client.waiting import Waiters
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.clock import monotonic
from fairque.protocol.model.progress import Progress
from fairque.testing.internal import amend_record, eventually


@task
def add(a: int, b: int) -> int:
    return a + b


def watches(spy: Any, number: int) -> None:
    """Wait until that many watch calls have been answered; from then on, only the server can wake the waiter."""
    eventually(lambda: spy.scripts.count("watch") >= number, what=f"{number} watch calls")


def test_the_server_wakes_a_waiter_after_one_read(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    worker.finish(3)
    assert waiting.outcome() == 3
    assert spy.scripts == ["push", "watch"]


def test_the_wake_up_takes_no_polling_interval(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(lambda: (handle.result(timeout=30), monotonic()))
    watches(spy, 1)
    worker.finish(3)
    finished_at = monotonic()
    _, woken_at = waiting.outcome()
    assert woken_at - finished_at < 0.5


def test_a_wait_that_times_out_reads_only_at_its_start_and_end(queue: TaskQueue, spy: Any) -> None:
    with pytest.raises(TimeoutError):
        queue.push(add.task(1, 2)).result(timeout=0.5)
    assert spy.scripts == ["push", "watch", "watch"]


@pytest.mark.parametrize("ending", ["finish", "fail", "cancel"])
def test_every_ending_wakes_the_waiter(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, ending: str) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.wait)
    watches(spy, 1)
    end = {"finish": worker.finish, "fail": lambda: worker.fail({"error": "e"}), "cancel": handle.cancel}
    end[ending]()
    assert waiting.outcome().ended


def test_a_message_that_cannot_be_read_does_not_end_a_wait(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    link = queue._link
    with redis.Redis.from_url(queue.settings.redis.url) as client:
        client.publish(link.keys.done(link._listener), "nonsense")
        client.publish(link.keys.done(link._listener), f"{handle.task_id}\nLATER\n1")
    watches(spy, 2)
    worker.finish(3)
    assert waiting.outcome() == 3


def test_a_result_too_large_for_the_message_is_read(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    worker.finish("x" * 100_000)
    assert waiting.outcome() == "x" * 100_000
    assert spy.scripts == ["push", "watch", "watch"]


def test_a_result_with_line_breaks_arrives_complete(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    worker.finish(raw=b'{\n"a":\n1}')
    assert waiting.outcome() == {"a": 1}


def test_many_threads_wait_for_one_task(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = [in_thread(handle.result) for _ in range(20)]
    watches(spy, 20)
    worker.finish(3)
    assert [thread.outcome() for thread in waiting] == [3] * 20


def test_many_tasks_are_waited_for_on_one_subscription(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handles = queue.push_many([add.task(n, n) for n in range(20)])
    waiting = {handle.task_id: in_thread(handle.result) for handle in handles}
    watches(spy, 20)
    assert len(server.pubsub_channels(f"{queue._link.keys.prefix}done:*")) == 1
    for _ in handles:
        worker.finish(worker.keys.name)
    assert {thread.outcome() for thread in waiting.values()} == {worker.keys.name}


def test_a_waiter_receives_only_the_ending_of_its_own_task(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    first, second = queue.push_many([add.task(1, 1), add.task(2, 2)])
    waiting = in_thread(second.result)
    watches(spy, 1)
    assert worker.finish("first") == first.task_id
    assert waiting.is_alive()
    worker.finish("second")
    assert waiting.outcome() == "second"


def test_after_a_lost_subscription_the_waiter_reads_once_more(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    server.client_kill_filter(_type="pubsub")
    watches(spy, 2)
    worker.finish(3)
    assert waiting.outcome() == 3
    assert spy.scripts == ["push", "watch", "watch"]


def test_an_ending_during_a_lost_connection_is_not_lost(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any, server: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    held = worker.take()
    # In one transaction, so that nothing is subscribed when the task ends.
    with server.pipeline(transaction=True) as at_once:
        at_once.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        amend_record(at_once, f"{worker.keys.prefix}t:{held.task_id}", state="FINISHED", ended_at=1, result="3")
        at_once.execute()
    assert waiting.outcome() == 3


@pytest.fixture
def impatient_queue(settings: ClientSettings) -> Iterator[TaskQueue]:
    """A queue object whose calls time out after 50 ms."""
    redis = RedisSection(url=settings.redis.url, socket_timeout=0.05, retries=0)
    with TaskQueue(evolve(settings, redis=redis)) as queue:
        yield queue


def test_a_wait_survives_a_server_that_does_not_answer_for_a_while(
    impatient_queue: TaskQueue, spy_on: Any, worker: Any, in_thread: Any, server: Any
) -> None:
    link = impatient_queue._link
    spy = spy_on(impatient_queue)
    handle = impatient_queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    watches(spy, 1)
    server.client_pause(500, all=True)
    link._waiters.wake_all()
    eventually(lambda: "RedisUnavailable" in spy.errors)
    worker.finish(3)
    assert waiting.outcome() == 3


def test_a_server_that_does_not_answer_the_first_call_is_an_error(impatient_queue: TaskQueue, server: Any) -> None:
    handle = impatient_queue.push(add.task(1, 2))
    server.client_pause(500, all=True)
    with pytest.raises(RedisUnavailable):
        handle.result()
    # The pause has ended once the server answers again.
    server.ping()


def test_a_record_that_disappears_during_a_wait_has_expired(
    queue: TaskQueue, in_thread: Any, spy: Any, server: Any
) -> None:
    handle = queue.task(queue.push(add.task(1, 2)).task_id)
    waiting = in_thread(handle.result)
    watches(spy, 1)
    prefix = queue._link.keys.prefix
    server.delete(f"{prefix}t:{handle.task_id}")
    server.hdel(f"{prefix}a", handle.task_id)
    queue._link._waiters.wake_all()
    with pytest.raises(ResultExpired):
        waiting.outcome()


def test_closing_the_queue_ends_every_wait(queue: TaskQueue, in_thread: Any, spy: Any) -> None:
    waiting = [in_thread(handle.result) for handle in queue.push_many([add.task(1, 2), add.task(3, 4)])]
    watches(spy, 2)
    queue.close()
    for thread in waiting:
        with pytest.raises(FairqueError, match="is closed"):
            thread.outcome()


def test_no_waiter_is_kept_after_the_wait(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    handle.wait(timeout=0.01)
    worker.finish(3)
    handle.result(timeout=5)
    assert queue._link._waiters._by_task == {}


def test_a_message_without_a_waiter_is_ignored() -> None:
    waiters = Waiters()
    waiters.dispatch(b"t1\nFINISHED\n13")
    received: list[Any] = []
    with waiters.waiting(["t1"], received.append):
        waiters.dispatch(b"t2\nFINISHED\n14")
        waiters.dispatch(b't1\nCANCELED\n1"a\nb"')
        waiters.dispatch(b"t1\nFINISHED\n0")
        waiters.dispatch(b't1\nPROGRESS\n5\n{"done":1}')
    assert received == [("t1", Outcome(TaskState.CANCELED, b'"a\nb"')), ("t1", None)]


def test_progress_reaches_the_waits_that_asked_for_it() -> None:
    waiters = Waiters()
    received: list[Any] = []
    with waiters.waiting(["t1", "t2"], received.append, progress=True):
        waiters.dispatch(b't1\nPROGRESS\n5\n{"done":1,"total":4,"attempt":2}')
    assert received == [("t1", Progress(1, 4, attempt=2, updated_at=5))]


def test_a_wait_for_many_tasks_is_woken_once() -> None:
    waiters = Waiters()
    received: list[Any] = []
    with waiters.waiting(["t1", "t2", "t3"], received.append):
        waiters.wake_all()
    assert received == [None]
    waiters.wake_all()
    assert received == [None]
