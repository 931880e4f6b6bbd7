"""What an attempt sets in its context is invisible to other attempts and to hooks."""

import asyncio
import decimal
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from fairque.worker import current_context

WORD: ContextVar[str] = ContextVar("word", default="none")


def sets_both(word: str) -> list[Any]:
    before = [WORD.get(), decimal.getcontext().prec]
    WORD.set(word)
    decimal.getcontext().prec = len(word)
    return before


async def sets_both_later(word: str) -> list[Any]:
    before = sets_both(word)
    await asyncio.sleep(0)
    assert [WORD.get(), decimal.getcontext().prec] == [word, len(word)]
    return before


@pytest.mark.parametrize("first", [sets_both, sets_both_later])
@pytest.mark.parametrize("second", [sets_both, sets_both_later])
def test_variables_and_decimals_of_one_attempt_are_not_those_of_the_next(
    bench: Any, first: Callable[..., Any], second: Callable[..., Any]
) -> None:
    plain = decimal.DefaultContext.prec
    assert [bench.run(first, "one").value, bench.run(second, "three").value] == [["none", plain]] * 2


class TestOfTheProgram:
    """Variables that were set before the worker was created."""

    @pytest.fixture
    def with_context(self, make_bench: Callable[..., Any]) -> Any:
        word = WORD.set("program")
        with decimal.localcontext() as context:
            context.prec = 3
            yield make_bench(threads=1)
            assert context.prec == 3
        WORD.reset(word)

    @pytest.mark.parametrize("work", [sets_both, sets_both_later])
    def test_each_attempt_begins_with_it_and_changes_only_its_own(
        self, with_context: Any, work: Callable[..., Any]
    ) -> None:
        assert [with_context.run(work, "x" * n).value for n in (5, 6)] == [["program", 3]] * 2


def test_a_coroutine_continues_in_the_context_in_which_its_function_was_called(bench: Any) -> None:
    def begins() -> Any:
        WORD.set("begun")

        async def goes_on() -> list[Any]:
            await asyncio.sleep(0)
            return [WORD.get(), current_context().attempt]

        return goes_on()

    assert bench.run(begins).value == ["begun", 1]


def test_concurrent_coroutines_have_separate_contexts(wide: Any) -> None:
    async def waits(word: str) -> bool:
        found = WORD.get()
        WORD.set(word)
        for _ in range(10):
            await asyncio.sleep(0)
        return found == "none" and WORD.get() == word

    for number in range(20):
        wide.submit(waits, f"w{number}")
    assert [wide.ending().value for _ in range(20)] == [True] * 20


def test_what_a_task_sets_is_not_seen_by_what_is_called_in_the_same_thread_after_it(bench: Any) -> None:
    seen: list[Any] = []
    bench.run(sets_both, "one")
    assert bench.executor.call(lambda: seen.append(WORD.get()))
    bench.run(lambda: None)
    assert seen == ["none"]
