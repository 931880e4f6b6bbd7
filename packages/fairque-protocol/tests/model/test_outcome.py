"""The decision after an attempt that raised an error."""

import json
from typing import Any

import pytest

from fairque.protocol.errors import ProtocolError, UnknownFunction
from fairque.protocol.model.outcome import UNKNOWN_PAUSE_MS, UNKNOWN_TRIES, Decision, decide, describe_error
from fairque.protocol.model.retry import Backoff, Cancel, Retry, Snooze
from fairque.protocol.model.tracebacks import ErrorText, error_text

UNKNOWN = UnknownFunction("tasks:gone", [], [])


@pytest.mark.parametrize(
    ("error", "retries", "failures", "decision"),
    [
        (ValueError(), 2, 0, Decision("retry", 1_000, "")),
        (ValueError(), 2, 1, Decision("retry", 2_000, "")),
        (ValueError(), 2, 2, Decision("dead", 0, "retries")),
        (ValueError(), 0, 0, Decision("dead", 0, "retries")),
        (SystemExit(), 1, 0, Decision("retry", 1_000, "")),
        (GeneratorExit(), 1, 1, Decision("dead", 0, "retries")),
        (Retry(after=7), 2, 0, Decision("retry", 7_000, "")),
        (Retry(after=0), 2, 0, Decision("retry", 0, "")),
        (Retry(), 2, 1, Decision("retry", 2_000, "")),
        (Retry(after=7), 2, 2, Decision("dead", 0, "retries")),
        (Snooze(1.5), 0, 9, Decision("snooze", 1_500, "")),
        # Of a task that uses a queue itself, say: an error like any other.
        (ProtocolError("x"), 1, 0, Decision("retry", 1_000, "")),
        (ProtocolError("x"), 1, 1, Decision("dead", 0, "retries")),
        (UNKNOWN, 0, UNKNOWN_TRIES - 1, Decision("retry", UNKNOWN_PAUSE_MS, "")),
        (UNKNOWN, 0, UNKNOWN_TRIES, Decision("dead", 0, "unregistered")),
    ],
)
def test_the_table_of_decisions(error: BaseException, retries: int, failures: int, decision: Decision) -> None:
    assert decide(error, retries=retries, failures=failures, draw=lambda: 1) == decision


def test_a_task_that_cancels_itself_has_ended() -> None:
    decision = decide(Cancel("enough"), retries=9, failures=0)
    assert decision.verdict == "cancel"
    assert decision.final


@pytest.mark.parametrize(
    ("error", "failures", "final"), [(ValueError(), 0, False), (Snooze(1), 1, False), (ValueError(), 1, True)]
)
def test_only_a_dead_letter_and_a_cancelation_are_final(error: BaseException, failures: int, final: Any) -> None:
    assert decide(error, retries=1, failures=failures).final is final


def test_the_backoff_of_the_task_determines_the_pause() -> None:
    policy = Backoff(base=10, factor=3, longest=40)
    pauses = [decide(ValueError(), retries=9, failures=n, backoff=policy, draw=lambda: 1).pause_ms for n in range(3)]
    assert pauses == [10_000, 30_000, 40_000]


class TestDescription:
    def described(self, error: BaseException) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            describe_error(ErrorText.of(error), reason="retries", worker="w1", attempt=3)
        )
        return found

    def test_it_is_text_only(self) -> None:
        nobody: dict[str, int] = {}
        with pytest.raises(KeyError) as caught:
            _ = nobody["name"]
        found = self.described(caught.value)
        assert "test_outcome.py" in found.pop("traceback")
        assert found == {
            "type": "KeyError",
            "error": "'name'",
            "reason": "retries",
            "worker": "w1",
            "attempts": 3,
        }

    def test_it_is_cut_to_a_few_kib(self) -> None:
        assert len(json.dumps(self.described(ValueError("x" * 1_000_000)))) < 20_000

    def test_text_that_is_not_valid_unicode_is_escaped(self) -> None:
        assert self.described(ValueError("\ud800"))["error"] == "\\ud800"

    @pytest.mark.parametrize("second", [RuntimeError, SystemExit])
    def test_an_error_that_cannot_be_printed_is_described(self, second: type[BaseException]) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise second

        found = self.described(Mute())
        assert found["type"].endswith("Mute")
        assert found["error"] == error_text(Mute()) == f"(its text cannot be made: {second.__name__})"

    def test_an_error_whose_traceback_cannot_be_formatted_is_described(self) -> None:
        class Lost(Exception):
            def __getattribute__(self, name: str) -> Any:
                if name == "__cause__":
                    raise SystemExit
                return super().__getattribute__(name)

        found = self.described(Lost("why"))
        assert (found["error"], found["traceback"]) == ("why", "(its traceback cannot be made: SystemExit)")

    def test_an_error_whose_text_is_a_subclass_of_str_is_described(self) -> None:
        class Odd(str):
            __slots__ = ()

            def encode(self, *_: Any, **__: Any) -> bytes:
                raise SystemExit

        class Says(Exception):
            def __str__(self) -> str:
                return Odd("odd")

        assert self.described(Says())["error"] == "odd"

    def test_a_class_whose_name_is_not_valid_unicode_is_described(self) -> None:
        class Named(Exception):
            __qualname__ = "\ud800"

        assert self.described(Named())["type"] == "\\ud800"
