"""The lead of one scheduler: when it begins, what it counts from, and when it is over."""

import logging
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.calls.fire import lead
from fairque.protocol.runners import Runner
from fairque.protocol.wire.holder import holder_of
from fairque.scheduler.leadership import Lead

LEASE = 3_600.0


@pytest.fixture
def mine(bench: Any) -> Lead:
    return Lead(bench.runner, bench.keys, "mine", LEASE)


def passes_to_another(bench: Any, mine: Lead, name: str = "other") -> None:
    """Let the server have another leader, of which mine has not heard."""
    bench.run(lead(bench.keys, mine._holder, lease_ms=0))
    assert bench.run(lead(bench.keys, holder_of(name, "n"), lease_ms=60_000)).leads


def test_it_begins_once_and_is_renewed(mine: Lead) -> None:
    assert [mine.held, mine.ask(), mine.ask(), mine.held] == [False, True, False, True]
    assert mine.ask_at < clock.monotonic() + LEASE


def test_it_counts_from_before_the_question(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    late = 0.0
    monotonic = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + late)

    class Slow(Runner):
        def run(self, call: Any) -> Any:
            nonlocal late
            answer = super().run(call)
            late += 2 * LEASE
            return answer

    runner = Slow(bench.runner.settings)
    slow = Lead(runner, bench.keys, "slow", LEASE)
    assert slow.ask()
    # The server's lease may be over by now, and another one may lead.
    assert not slow.held
    runner.close()


def test_of_two_that_have_one_name_one_leads(bench: Any, mine: Lead) -> None:
    namesake = Lead(bench.runner, bench.keys, "mine", LEASE)
    assert [mine.ask(), namesake.ask()] == [True, False]
    assert [mine.held, namesake.held] == [True, False]


def test_it_is_a_new_one_when_somebody_else_may_have_led_meanwhile(bench: Any, mine: Lead) -> None:
    mine.ask()
    passes_to_another(bench, mine)
    bench.run(lead(bench.keys, holder_of("other", "n"), lease_ms=0))
    assert mine.ask()


def test_who_hears_of_another_leader_holds_nothing(bench: Any, mine: Lead) -> None:
    mine.ask()
    passes_to_another(bench, mine)
    assert not mine.ask()
    assert not mine.held


def test_who_loses_it_holds_nothing_and_asks_at_once(mine: Lead) -> None:
    mine.ask()
    mine.lose()
    assert not mine.held
    assert mine.ask_at <= clock.monotonic()


def test_each_leader_that_it_stands_by_for_is_told_once(
    bench: Any, mine: Lead, caplog: pytest.LogCaptureFixture
) -> None:
    bench.run(lead(bench.keys, holder_of("other", "n"), lease_ms=60_000))
    with caplog.at_level(logging.INFO, "fairque"):
        mine.ask()
        mine.ask()
        bench.run(lead(bench.keys, holder_of("other", "n"), lease_ms=0))
        bench.run(lead(bench.keys, holder_of("third", "n"), lease_ms=60_000))
        mine.ask()
    told: list[Any] = [record for record in caplog.records if record.msg == "stands by"]
    assert [record.leader for record in told] == ["other", "third"]
