"""The executor, without a server: whatever a task does is the ending of its attempt, and the slot continues."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fairque.protocol.errors import InvalidTask, LeaseLost, ProtocolError
from fairque.testing.internal import PATIENCE
from fairque.worker import current_context
from fairque.worker.jobs import Failure, Success
from fairque.worker.running.loops import Loops


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


def test_a_value_that_is_returned_is_a_success_with_its_json(bench: Any) -> None:
    ending = bench.run(lambda a, b: {"sum": a + b, "text": "ä"}, 1, 2)
    assert isinstance(ending, Success)
    assert ending.value == {"sum": 3, "text": "ä"}
    assert ending.result == '{"sum":3,"text":"ä"}'.encode()
    assert 0 <= ending.ran_us < PATIENCE * 1_000_000


def test_nothing_returned_is_an_empty_result(bench: Any) -> None:
    assert bench.run(lambda: None).result == b""


def test_the_time_it_ran_is_measured_in_microseconds(bench: Any) -> None:
    assert 20_000 <= bench.run(lambda: threading.Event().wait(0.02)).ran_us < 2_000_000


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_function_raises_is_a_failure_and_the_only_slot_continues(bench: Any, error: BaseException) -> None:
    ending = bench.run(raiser(error))
    assert isinstance(ending, Failure)
    assert ending.error is error
    assert bench.run(lambda: "next").value == "next"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_coroutine_raises_is_a_failure_and_the_loop_continues(bench: Any, error: BaseException) -> None:
    ending = bench.run(async_raiser(error))
    assert isinstance(ending, Failure)
    assert type(ending.error) is type(error)
    assert bench.run(answer).value == 42


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_system_exit_deep_inside_a_coroutine_does_not_end_the_loop_for_the_others(
    wide: Any, error: BaseException
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def bystander() -> str:
        begun.set()
        await asyncio.to_thread(go_on.wait, PATIENCE)
        return "survived"

    async def parent() -> None:
        # A separate asyncio task: asyncio lets such an error through to the loop.
        await asyncio.create_task(async_raiser(error)())

    wide.submit(bystander)
    assert begun.wait(PATIENCE)
    wide.submit(parent)
    failed = wide.ending()
    assert isinstance(failed, Failure)
    go_on.set()
    assert wide.ending().value == "survived"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "the result is not a JSON value but builtins.object"),
        ({"a": [1, {2}]}, r"the result\['a'\]\[1\] is not a JSON value but builtins.set"),
        (float("nan"), "the result is nan"),
        ([10**5_000], r"the result\[0\] is a number with more than 4,300 digits"),
        ({1: "a"}, "the key 1 of type int"),
        ("x" * 1_001, "the result has 1,003 bytes, allowed are 1,000"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_result_that_cannot_be_stored_is_a_failed_attempt(bench: Any, value: Any, words: str) -> None:
    for function in (lambda: value, _returning(value)):
        ending = bench.run(function)
        assert isinstance(ending, Failure)
        assert isinstance(ending.error, InvalidTask)
        with pytest.raises(InvalidTask, match=words):
            raise ending.error


def test_a_result_that_raises_while_it_is_checked_is_a_failed_attempt(bench: Any) -> None:
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


def test_a_result_just_within_the_limit_is_stored(bench: Any) -> None:
    assert len(bench.run(lambda: "x" * 998).result) == 1_000


def test_an_unreadable_message_is_a_failure_without_task_and_context(bench: Any) -> None:
    job = bench.submit_message(b"garbage")
    ending = bench.ending()
    assert isinstance(ending.error, ProtocolError)
    assert (job.task, job.context) == (None, None)


def test_a_job_whose_lease_is_over_is_not_begun(bench: Any) -> None:
    job = bench.submit_message(b"never read", held_seconds=0)
    ending = bench.ending()
    job.lease.held_until += 60
    assert isinstance(ending.error, LeaseLost)
    assert ending.interrupted
    assert job.task is None


@pytest.mark.parametrize("error", [ValueError(), TimeoutError()], ids=repr)
def test_an_attempt_that_fails_by_itself_was_not_interrupted(bench: Any, error: Exception) -> None:
    job = bench.submit(raiser(error))
    ending = bench.ending()
    job.lease.lost = True
    assert not ending.interrupted


def test_a_coroutine_canceled_while_its_lease_is_held_was_not_interrupted(bench: Any) -> None:
    assert not bench.run(async_raiser(asyncio.CancelledError())).interrupted


def test_a_context_knows_by_the_clock_alone_that_the_lease_is_over(bench: Any) -> None:
    def looks() -> list[bool]:
        context = current_context()
        before = context.lease_held, context.should_stop
        job.lease.held_until = time.monotonic()
        after = context.lease_held, context.should_stop
        # The answer to a heartbeat is too late now.
        job.lease.held_until += 60
        return [*before, *after, context.lease_held, context.should_stop]

    go_on = threading.Event()
    job = bench.submit(lambda: go_on.wait(PATIENCE) and looks())
    go_on.set()
    assert bench.ending().value == [True, False, False, True, False, True]


def test_a_coroutine_gives_its_result(bench: Any) -> None:
    assert bench.run(answer).value == 42


def test_any_awaitable_gives_its_result(bench: Any) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            return answer().__await__()

    assert bench.run(Awaitable).value == 42


def test_a_waiting_coroutine_holds_no_thread(bench: Any) -> None:
    released = threading.Event()

    async def waits() -> str:
        await asyncio.to_thread(released.wait, PATIENCE)
        return "at last"

    bench.submit(waits)
    assert bench.run(lambda: "meanwhile").value == "meanwhile"
    released.set()
    assert bench.ending().value == "at last"


def test_a_loop_that_a_coroutine_blocks_does_not_hold_up_the_end() -> None:
    gate, blocks = threading.Event(), threading.Event()

    async def hangs() -> None:
        blocks.set()
        gate.wait()

    loops = Loops(lambda *_: None, shared=True)
    loop = loops.current()
    begun: list[asyncio.Task[None]] = []
    loop.call(lambda: begun.append(loop._loop.create_task(hangs())))
    assert blocks.wait(PATIENCE)
    loops.replace(loop)
    # Longer than this test may take.
    assert not loops.stop(100_000)
    gate.set()
    assert loop.join(PATIENCE)
