"""A schedule whose definition cannot be read keeps no other one from being read, applied and fired."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.schedules import Schedule
from fairque.testing.internal import eventually

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]

#: What somebody, or a newer release, has written in the place of a definition; of the same length.
SPOILED = {
    "of a newer release": (b'"v":1', b'"v":9'),
    "no JSON": (b'{"v"', b'{{v"'),
    "no text": (b'"m:f"', b'"\xff:f"'),
    "of another schedule": (b'"id":"bad"', b'"id":"bed"'),
}


@pytest.fixture(params=SPOILED)
def spoil(bench: "Bench", request: pytest.FixtureRequest) -> Callable[[], None]:
    def spoil() -> None:
        key = f"{bench.keys.prefix}schedule:bad"
        before, after = SPOILED[request.param]
        record: Any = bench.client.get(key)
        assert before in record
        bench.client.set(key, record.replace(before, after))

    return spoil


def test_the_others_are_listed_and_it_is_named(bench: "Bench", every: Every, spoil: Any) -> None:
    scheduler = bench.scheduler()
    scheduler.schedules.apply([every("a", 60), every("bad", 3_600), every("c", 60)])
    spoil()
    page = scheduler.schedules.list()
    assert [info.schedule_id for info in page] == ["a", "c"]
    assert len(page.problems) == 1
    assert "'bad'" in page.problems[0]
    assert [info.schedule_id for info in scheduler.schedules.upcoming()] == ["a", "c"]
    with pytest.raises(ProtocolError, match="schedule 'bad': "):
        scheduler.schedules.get("bad")


def test_one_that_is_declared_is_stored_again(bench: "Bench", every: Every, spoil: Any) -> None:
    scheduler = bench.scheduler()
    declared = [every("a", 60), every("bad", 3_600)]
    scheduler.schedules.apply(declared)
    spoil()
    (change,) = scheduler.schedules.apply(declared).changes
    assert "'bad'" in change
    assert scheduler.schedules.get("bad").schedule.every_ms == 3_600_000
    assert scheduler.schedules.apply(declared).changes == ()


def test_one_that_is_not_declared_stays_and_is_named(bench: "Bench", every: Every, spoil: Any) -> None:
    scheduler = bench.scheduler()
    scheduler.schedules.add(every("bad", 3_600))
    spoil()
    planned = scheduler.schedules.apply([every("a", 60)], prune=True)
    assert [one.schedule_id for one in planned.unreadable] == ["bad"]
    assert scheduler.schedules.status().schedules == 2


def test_a_leader_fires_the_others(bench: "Bench", every: Every, spoil: Any) -> None:
    scheduler = bench.scheduler()
    scheduler.schedules.apply([every("a", 0.1), every("bad", 3_600)])
    spoil()
    scheduler.start()
    eventually(lambda: scheduler.schedules.get("a").fired, what="a time")
