"""The hooks of a handler: when and with what they are called, and that their errors do no harm."""

import logging
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, amend_record, eventually, write_message
from fairque.worker import Backoff, Cancel, Snooze, Task, TaskContext, TaskHandler, current_context

SOON = Backoff(base=0.01)


class Telling(TaskHandler):
    """Notes the calls of its hooks; the payload says what a task does, attempt by attempt."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.told: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        deed = task.payload[min(ctx.attempt, len(task.payload)) - 1]
        if deed == "fail":
            raise ValueError("failed")
        if deed == "cancel":
            raise Cancel("enough")
        if deed == "snooze":
            raise Snooze(0.001)
        return deed

    def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:
        self.told.put(("success", task.task_id, result, ctx.attempt, self.bench.state(task.task_id)))

    def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:
        self.told.put(("failure", task.task_id, type(error), ctx.attempt, final, self.bench.state(task.task_id)))

    def next(self) -> tuple[Any, ...]:
        return self.told.get(timeout=PATIENCE)

    def by_attempt(self, number: int) -> list[tuple[Any, ...]]:
        """The hook calls of so many attempts: a hook may run during the next attempt, and after the hook of that."""
        return sorted((self.next() for _ in range(number)), key=lambda told: told[3])


def test_on_success_is_called_after_the_queue_has_the_result(bench: Any) -> None:
    handler = Telling(bench)
    bench.start(handler)
    task_id = bench.push(None, payload=["done"])
    assert handler.next() == ("success", task_id, "done", 1, TaskState.FINISHED)


def test_on_failure_is_called_for_each_failed_attempt_and_the_last_is_final(bench: Any) -> None:
    handler = Telling(bench)
    bench.start(handler)
    task_id = bench.push(None, payload=["fail"], retries=2, backoff=SOON)
    told = handler.by_attempt(3)
    assert [one[:5] for one in told] == [
        ("failure", task_id, ValueError, 1, False),
        ("failure", task_id, ValueError, 2, False),
        ("failure", task_id, ValueError, 3, True),
    ]
    assert told[2][5] is TaskState.FAILED
    assert handler.told.empty()


def test_hooks_are_called_for_a_failure_and_for_the_success_after_it(bench: Any) -> None:
    handler = Telling(bench)
    bench.start(handler)
    bench.push(None, payload=["fail", "done"], backoff=SOON)
    assert [told[0] for told in handler.by_attempt(2)] == ["failure", "success"]


def test_a_task_that_cancels_itself_is_a_final_failure(bench: Any) -> None:
    handler = Telling(bench)
    bench.start(handler)
    task_id = bench.push(None, payload=["cancel"], retries=5)
    assert handler.next() == ("failure", task_id, Cancel, 1, True, TaskState.CANCELED)


def test_a_snooze_is_a_failure_that_is_not_final(bench: Any) -> None:
    handler = Telling(bench)
    bench.start(handler)
    bench.push(None, payload=["snooze", "done"], retries=0)
    told = handler.by_attempt(2)
    assert (told[0][2], told[0][4], told[1][0]) == (Snooze, False, "success")


def test_the_current_context_inside_a_hook_is_that_of_its_task(bench: Any) -> None:
    seen: SimpleQueue[tuple[str, str]] = SimpleQueue()

    class Looking(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
            if task.payload == "fail":
                raise ValueError("failed")

        def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as above
            seen.put((task.task_id, current_context().task_id))

        def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:  # noqa: ARG002 - as above
            seen.put((task.task_id, current_context().task_id))

    bench.push_all([bench.task(None, payload=("fail", "end")[n % 2], retries=0) for n in range(20)])
    bench.start(Looking(), concurrency=3)
    pairs = [seen.get(timeout=PATIENCE) for _ in range(20)]
    assert all(of_task == current for of_task, current in pairs)


def test_a_failure_after_a_requested_cancelation_is_final(bench: Any, gate: threading.Event) -> None:
    begun = threading.Event()

    class Waits(Telling):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
            begun.set()
            assert gate.wait(PATIENCE)
            raise ValueError("failed")

    handler = Waits(bench)
    bench.start(handler)
    task_id = bench.push(None, retries=5)
    assert begun.wait(PATIENCE)
    bench.cancel(task_id)
    gate.set()
    assert handler.next() == ("failure", task_id, ValueError, 1, True, TaskState.CANCELED)


def test_no_hook_is_called_for_an_ending_that_the_queue_refused(bench: Any, gate: threading.Event) -> None:
    begun = threading.Event()

    class Waits(Telling):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            if task.payload == "wait":
                begun.set()
                assert gate.wait(PATIENCE)
            return super().handle(task.evolve(payload=["done"]), ctx)

    handler = Waits(bench)
    bench.start(handler)
    stolen = bench.push(None, payload="wait")
    assert begun.wait(PATIENCE)
    amend_record(bench.client, f"{bench.keys.prefix}t:{stolen}", token="1:")  # noqa: S106 - of a lease
    gate.set()
    eventually(lambda: bench.stats().stale == 1, what="a refused ending")
    after = bench.push(None, payload=["done"])
    assert handler.next()[1] == after
    assert bench.state(stolen) is TaskState.STARTED


def test_an_unreadable_message_has_no_hook(bench: Any) -> None:
    handler = Telling(bench)
    broken = bench.push(None, payload=["done"])
    write_message(bench.client, bench.keys.prefix, broken, b"garbage")
    bench.start(handler)
    bench.error(broken)
    after = bench.push(None, payload=["done"])
    assert handler.next()[1] == after


@pytest.mark.parametrize("error", [ValueError("hook"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_hook_that_raises_is_logged_and_harmless(
    bench: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Raises(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
            if task.payload == "fail":
                raise ValueError("task")
            return "done"

        def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as above
            raise error

        def on_failure(self, task: Task[Any], failure: BaseException, ctx: TaskContext, *, final: bool) -> None:  # noqa: ARG002 - as above
            raise error

    caplog.set_level(logging.ERROR, "fairque.worker")
    bench.start(Raises(), concurrency=1)
    for _ in range(2):
        bench.error(bench.push(None, payload="fail", retries=0))
        assert bench.result(bench.push(None)) == "done"
    eventually(lambda: {"on_success raised", "on_failure raised"} <= {r.msg for r in caplog.records})


def test_a_hook_whose_error_cannot_even_be_logged_costs_no_thread(bench: Any) -> None:
    class Untraceable(Exception):
        def __getattribute__(self, name: str) -> Any:
            if name == "__cause__":
                raise SystemExit
            return super().__getattribute__(name)

    class Raises(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """Nothing."""

        def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - the signature of the base
            raise Untraceable

    bench.start(Raises(), concurrency=1)
    for task_id in bench.push_all([bench.task(None) for _ in range(3)]):
        bench.result(task_id)


def test_the_hook_of_the_last_task_ends_before_the_worker_does(bench: Any) -> None:
    released, told = threading.Event(), threading.Event()

    class Slow(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """Nothing."""

        def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - the signature of the base
            released.wait(0.3)
            told.set()

    bench.push(None)
    worker = bench.worker(Slow(), burst=True)
    worker.start()
    assert worker.wait_idle(5)
    worker.stop()
    assert told.is_set()
