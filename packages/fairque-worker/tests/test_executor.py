"""The executor, without a server: whatever a task does is the ending of its attempt, and the slot goes on."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.calls import Granted
from fairque.protocol.errors import InvalidTask, LeaseLost, ProtocolError
from fairque.protocol.testing import eventually
from fairque.protocol.wire.codec import encode_task
from fairque.worker import Task, TaskContext, TaskHandler, current_context
from fairque.worker.executor import Executor
from fairque.worker.inputs import Inputs
from fairque.worker.jobs import Ending, Failure, Job, Lease, Success
from fairque.worker.watch import Alarm, Watch

SECONDS = 5


class Calls(TaskHandler):
    """Runs the function that stands under the task's name."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - as FunctionTaskHandler
        return self.functions[task.func or ""](*task.args)


class Bench:
    """An executor whose endings are collected."""

    def __init__(self, threads: int, **limits: Any) -> None:
        self.handler = Calls()
        self.endings: SimpleQueue[Ending] = SimpleQueue()
        self.exhausted: SimpleQueue[int] = SimpleQueue()
        alarm = Alarm()
        self.executor = Executor(
            self.handler,
            threads,
            1_000,
            self.endings.put,
            inputs=Inputs(lambda *_: []),
            alarm=alarm,
            on_exhausted=self.exhausted.put,
            **limits,
        )
        self._jobs: list[Job] = []
        self._watch = Watch(60, lambda: list(self._jobs), alarm, self.executor.enforce)
        self._watch.start()

    def submit(self, function: Callable[..., Any], *args: Any, **fields: Any) -> Job:
        name = f"f{len(self.handler.functions)}"
        self.handler.functions[name] = function
        return self.submit_message(encode_task(Task.create(func=name, args=args, user_id="ann", **fields)).data)

    def submit_message(self, message: bytes, held_seconds: float = 30) -> Job:
        job = Job(Granted("t", message, "7:ab", 1, 0, solo=False, pushed_at=0), Lease(time.monotonic() + held_seconds))
        self._jobs.append(job)
        self.executor.submit(job)
        return job

    def close(self) -> None:
        self._watch.stop()
        self.executor.stop()

    def ending(self) -> Any:
        return self.endings.get(timeout=SECONDS)

    def run(self, function: Callable[..., Any], *args: Any, **fields: Any) -> Any:
        job = self.submit(function, *args, **fields)
        ending = self.ending()
        assert ending.job is job
        return ending


@pytest.fixture
def bench(no_thread_is_left: None) -> Iterator[Bench]:  # noqa: ARG001 - it looks after the executor was stopped
    bench = Bench(threads=1)
    yield bench
    bench.close()


@pytest.fixture
def wide(no_thread_is_left: None) -> Iterator[Bench]:  # noqa: ARG001 - as above
    bench = Bench(threads=4)
    yield bench
    bench.close()


def raiser(error: BaseException) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


def async_raiser(error: BaseException) -> Callable[[], Any]:
    async def fails() -> None:
        raise error

    return fails


async def answer() -> int:
    return 42


ERRORS: list[BaseException] = [
    ValueError("wrong"),
    SystemExit(3),
    GeneratorExit(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    TimeoutError(),
    BaseExceptionGroup("several", [KeyboardInterrupt()]),
]


def test_a_value_that_is_returned_is_a_success_with_its_json(bench: Bench) -> None:
    ending = bench.run(lambda a, b: {"sum": a + b, "text": "ä"}, 1, 2)
    assert isinstance(ending, Success)
    assert ending.value == {"sum": 3, "text": "ä"}
    assert ending.result == '{"sum":3,"text":"ä"}'.encode()
    assert 0 <= ending.ran_us < SECONDS * 1_000_000


def test_nothing_returned_is_an_empty_result(bench: Bench) -> None:
    assert bench.run(lambda: None).result == b""


def test_the_time_it_ran_is_measured_in_microseconds(bench: Bench) -> None:
    assert 20_000 <= bench.run(lambda: threading.Event().wait(0.02)).ran_us < 2_000_000


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_function_raises_is_a_failure_and_the_only_slot_goes_on(bench: Bench, error: BaseException) -> None:
    ending = bench.run(raiser(error))
    assert isinstance(ending, Failure)
    assert ending.error is error
    assert bench.run(lambda: "next").value == "next"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_coroutine_raises_is_a_failure_and_the_loop_goes_on(bench: Bench, error: BaseException) -> None:
    ending = bench.run(async_raiser(error))
    assert isinstance(ending, Failure)
    assert type(ending.error) is type(error)
    assert bench.run(answer).value == 42


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_system_exit_deep_inside_a_coroutine_does_not_end_the_loop_for_the_others(
    wide: Bench, error: BaseException
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def bystander() -> str:
        begun.set()
        await asyncio.to_thread(go_on.wait, SECONDS)
        return "survived"

    async def parent() -> None:
        # A task of its own: asyncio lets such an error through to the loop.
        await asyncio.create_task(async_raiser(error)())

    wide.submit(bystander)
    assert begun.wait(SECONDS)
    wide.submit(parent)
    failed = wide.ending()
    assert isinstance(failed, Failure)
    go_on.set()
    assert wide.ending().value == "survived"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "the result is no JSON value but builtins.object"),
        ({"a": [1, {2}]}, r"the result\['a'\]\[1\] is no JSON value but builtins.set"),
        (float("nan"), "the result is nan"),
        ({1: "a"}, "the key 1 of type int"),
        ("x" * 1_001, "the result has 1,003 bytes, allowed are 1,000"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_result_that_cannot_be_stored_is_a_failed_attempt(bench: Bench, value: Any, words: str) -> None:
    for function in (lambda: value, _returning(value)):
        ending = bench.run(function)
        assert isinstance(ending, Failure)
        assert isinstance(ending.error, InvalidTask)
        with pytest.raises(InvalidTask, match=words):
            raise ending.error


def test_a_result_that_raises_while_it_is_looked_at_is_a_failed_attempt(bench: Bench) -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise SystemExit

    ending = bench.run(lambda: Text("no"))
    assert isinstance(ending, Failure)
    assert isinstance(ending.error, SystemExit)
    assert bench.run(lambda: "next").value == "next"


def _returning(value: Any) -> Callable[[], Any]:
    async def coroutine() -> Any:
        return value

    return coroutine


def test_a_result_just_within_the_limit_is_stored(bench: Bench) -> None:
    assert len(bench.run(lambda: "x" * 998).result) == 1_000


def test_an_unreadable_message_is_a_failure_without_task_and_context(bench: Bench) -> None:
    job = bench.submit_message(b"garbage")
    ending = bench.ending()
    assert isinstance(ending.error, ProtocolError)
    assert (job.task, job.context) == (None, None)


def test_a_job_whose_lease_is_over_is_not_begun(bench: Bench) -> None:
    job = bench.submit_message(b"never read", held_seconds=0)
    ending = bench.ending()
    job.lease.held_until += 60
    assert isinstance(ending.error, LeaseLost)
    assert ending.broken_off
    assert job.task is None


@pytest.mark.parametrize("error", [ValueError(), TimeoutError()], ids=repr)
def test_an_attempt_that_fails_by_itself_was_not_broken_off(bench: Bench, error: Exception) -> None:
    job = bench.submit(raiser(error))
    ending = bench.ending()
    job.lease.lost = True
    assert not ending.broken_off


def test_a_coroutine_cancelled_while_its_lease_is_held_was_not_broken_off(bench: Bench) -> None:
    assert not bench.run(async_raiser(asyncio.CancelledError())).broken_off


def test_a_context_knows_by_the_clock_alone_that_the_lease_is_over(bench: Bench) -> None:
    def looks() -> list[bool]:
        context = current_context()
        before = context.lease_ok(), context.cancelled
        job.lease.held_until = time.monotonic()
        after = context.lease_ok(), context.cancelled
        # The answer to a heartbeat that comes now comes too late.
        job.lease.held_until += 60
        return [*before, *after, context.lease_ok(), context.cancelled]

    go_on = threading.Event()
    job = bench.submit(lambda: go_on.wait(SECONDS) and looks())
    go_on.set()
    assert bench.ending().value == [True, False, False, True, False, True]


def test_a_coroutine_gives_its_result(bench: Bench) -> None:
    assert bench.run(answer).value == 42


def test_any_awaitable_gives_its_result(bench: Bench) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            return answer().__await__()

    assert bench.run(Awaitable).value == 42


def test_a_waiting_coroutine_holds_no_thread(bench: Bench) -> None:
    let_go = threading.Event()

    async def waits() -> str:
        await asyncio.to_thread(let_go.wait, SECONDS)
        return "at last"

    bench.submit(waits)
    assert bench.run(lambda: "meanwhile").value == "meanwhile"
    let_go.set()
    assert bench.ending().value == "at last"


def test_a_coroutine_that_takes_too_long_ends_with_a_timeout_error(bench: Bench) -> None:
    ending = bench.run(lambda: asyncio.sleep(SECONDS * 10), timeout=0.05)
    assert isinstance(ending.error, TimeoutError)


def test_a_coroutine_may_clean_up_when_it_takes_too_long(bench: Bench) -> None:
    cleaned: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.sleep(SECONDS * 10)
        finally:
            await asyncio.sleep(0)
            cleaned.append("done")

    assert isinstance(bench.run(careful, timeout=0.05).error, TimeoutError)
    assert cleaned == ["done"]


def test_a_coroutine_that_is_asked_to_stop_is_cancelled(bench: Bench) -> None:
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.sleep(SECONDS * 10)

    job = bench.submit(waits)
    assert begun.wait(SECONDS)
    job.request_cancel("a test")
    assert isinstance(bench.ending().error, asyncio.CancelledError)


def test_a_coroutine_asked_to_stop_before_it_began_is_cancelled_too(bench: Bench, gate: threading.Event) -> None:
    bench.submit(gate.wait)
    job = bench.submit(lambda: asyncio.sleep(SECONDS * 10))
    job.request_cancel("a test")
    gate.set()
    assert bench.ending().value is True
    assert isinstance(bench.ending().error, asyncio.CancelledError)


def test_a_coroutine_that_refuses_to_be_cancelled_may_still_give_its_result(bench: Bench) -> None:
    begun = threading.Event()

    async def stubborn() -> str:
        begun.set()
        try:
            await asyncio.sleep(SECONDS * 10)
        except asyncio.CancelledError:
            return "all the same"
        return "too late"

    job = bench.submit(stubborn)
    assert begun.wait(SECONDS)
    job.request_cancel("a test")
    assert bench.ending().value == "all the same"


def test_a_function_sees_that_it_should_stop_in_its_context(bench: Bench) -> None:
    begun = threading.Event()

    def waits() -> str:
        context = current_context()
        begun.set()
        assert context.wait_cancelled(SECONDS)
        return context.cancel_reason

    job = bench.submit(waits)
    assert begun.wait(SECONDS)
    job.request_cancel("a test")
    assert bench.ending().value == "a test"


def test_the_current_context_is_that_of_the_task_in_functions_and_coroutines(wide: Bench) -> None:
    def facts() -> list[Any]:
        context = current_context()
        return [context.user_id, context.attempt, context.fence, context.task.func, 0 < context.seconds_left <= 60]

    async def coroutine() -> list[Any]:
        await asyncio.sleep(0)
        return facts()

    assert wide.run(facts, timeout=60).value == ["ann", 1, 7, "f0", True]
    assert wide.run(coroutine, timeout=60).value == ["ann", 1, 7, "f1", True]


def test_many_coroutines_keep_their_contexts_apart(wide: Bench) -> None:
    async def who(user: str) -> bool:
        await asyncio.sleep(0.001)
        return current_context().task.args == (user,)

    for number in range(50):
        wide.submit(who, f"u{number}")
    assert [wide.ending().value for _ in range(50)] == [True] * 50


def test_as_many_tasks_run_at_a_time_as_there_are_threads_and_no_more(wide: Bench, gate: threading.Event) -> None:
    running = threading.Semaphore(0)

    def task() -> None:
        running.release()
        assert gate.wait(SECONDS)

    for _ in range(6):
        wide.submit(task)
    for _ in range(4):
        assert running.acquire(timeout=SECONDS)
    assert not running.acquire(timeout=0.05)
    gate.set()
    assert [type(wide.ending()) for _ in range(6)] == [Success] * 6


def test_stopping_lets_what_was_handed_over_run_and_ends_the_threads(bench: Bench) -> None:
    for number in range(3):
        bench.submit(lambda number=number: number)
    bench.executor.stop()
    assert [bench.ending().value for _ in range(3)] == [0, 1, 2]


def test_stopping_cancels_the_coroutines_that_still_run(bench: Bench) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.sleep(SECONDS * 10)
        finally:
            cleaned.set()

    bench.submit(waits)
    assert begun.wait(SECONDS)
    bench.executor.stop()
    assert cleaned.wait(SECONDS)
    eventually(lambda: all(t.name != "fairque-loop" for t in threading.enumerate()), what="the end of the loop")
