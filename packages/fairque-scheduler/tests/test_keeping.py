"""What a file declares is there again after the server has lost its data, and what is missing is said."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol import calls
from fairque.protocol.calls import Setting, read_configured
from fairque.protocol.config import DefaultLimits, FairnessSection, QueueSection, RedisSection, UserLimits
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import Task
from fairque.scheduler import TaskScheduler
from fairque.scheduler.settings import SchedulerSection, SchedulerSettings
from fairque.testing.internal import eventually

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]
LEASE = 0.5
NONE = FairnessSection()


def lose(bench: "Bench") -> None:
    """What a server does that restarts without data, as far as this queue is concerned."""
    found = [*bench.client.scan_iter(f"{bench.keys.prefix}*")]
    bench.client.delete(*found)


def snapshot(bench: "Bench") -> dict[bytes, Any]:
    """All keys of the queue at one moment."""
    keys = [*bench.client.scan_iter(f"{bench.keys.prefix}*")]
    with bench.client.pipeline(transaction=True) as pipeline:
        for key in keys:
            pipeline.dump(key)
        return dict(zip(keys, pipeline.execute(), strict=True))


def go_back(bench: "Bench", older: dict[bytes, Any]) -> None:
    """What a replica does that lags behind and becomes the primary, as far as this queue is concerned."""
    with bench.client.pipeline(transaction=True) as replica:
        replica.delete(*bench.client.scan_iter(f"{bench.keys.prefix}*"))
        for key, value in older.items():
            replica.restore(key, 0, value)
        replica.execute()


def names(bench: "Bench") -> list[str]:
    return [one.schedule_id for one in bench.runner.run(calls.read_schedules(bench.keys))]


def limits(bench: "Bench") -> Any:
    found = bench.runner.run(read_configured(bench.keys))
    return found.cost_mode, found.backlog, found.users


@pytest.fixture
def make(bench: "Bench", fairque_server_url: str) -> Any:
    """Makes schedulers that keep limits."""
    made: list[TaskScheduler] = []

    def make(fairness: FairnessSection = NONE) -> TaskScheduler:
        settings = SchedulerSettings(
            redis=RedisSection(url=fairque_server_url),
            queue=QueueSection(name=bench.keys.name),
            scheduler=SchedulerSection(lease=LEASE),
            fairness=fairness,
        )
        made.append(TaskScheduler(settings))
        return made[-1]

    yield make
    for one in made:
        one.stop(5)


LIMITS = FairnessSection(
    cost_mode="count", backlog=1_000, user_defaults=DefaultLimits(cap=5), users={"ann": UserLimits(weight=2.0)}
)
APPLIED = ("count", 1_000, {"": {"cap": 5.0}, "ann": {"weight": 2.0}})


def test_declared_schedules_are_there_again_and_fire(bench: "Bench", make: Any, every: Every, caplog: Any) -> None:
    def applied() -> list[str]:
        return [record.change for record in caplog.records if record.msg == "applied again"]

    scheduler = make()
    scheduler.apply_schedules([every("often", 0.1), every("seldom", 3_600)])
    scheduler.start()
    eventually(lambda: scheduler.get_schedule("often").fired, what="a time")
    with caplog.at_level(logging.WARNING):
        lose(bench)
        eventually(lambda: names(bench) == ["often", "seldom"], what="the schedules")
        eventually(lambda: scheduler.get_schedule("often").fired, what="a time after it")
        eventually(lambda: len(applied()) == 2, what="a line for each")
    assert applied() == ["schedule 'often': added", "schedule 'seldom': added"]
    assert "the server has lost data of this queue" in [r.msg for r in caplog.records]


def test_one_that_stands_by_brings_back_what_it_declared(bench: "Bench", make: Any, every: Every) -> None:
    leader, other = make(), make()
    leader.start()
    eventually(lambda: leader.state == "leader", what="a leader")
    other.apply_schedules([every("s", 3_600)])
    other.start()
    lose(bench)
    eventually(lambda: names(bench) == ["s"], what="the schedule")


@pytest.mark.parametrize("new", [["new"], []], ids=["some are missing", "none is missing"])
def test_older_data_is_made_what_was_declared(bench: "Bench", make: Any, every: Every, new: list[str]) -> None:
    scheduler = make()
    scheduler.apply_schedules([every("s", 3_600), every("kept", 60)])
    older = snapshot(bench)
    scheduler.apply_schedules([every("s", 1_800), every("kept", 60), *(every(name, 60) for name in new)])
    scheduler.start()
    eventually(lambda: scheduler.state == "leader", what="a leader")
    go_back(bench, older)
    eventually(lambda: scheduler.get_schedule("s").schedule.every_ms == 1_800_000, what="the definition")
    eventually(lambda: names(bench) == ["kept", *new, "s"], what="all names")


def test_it_is_said_once_for_each_schedule_when_older_data_lets_times_fire_again(
    bench: "Bench", make: Any, every: Every, caplog: Any
) -> None:
    scheduler = make()
    scheduler.apply_schedules([every("often", 0.1)])
    older = snapshot(bench)
    scheduler.start()
    eventually(lambda: scheduler.get_schedule("often").fired >= 3, what="times")
    last = bench.times("often")[2]
    with caplog.at_level(logging.WARNING):
        go_back(bench, older)
        eventually(lambda: bench.times("often")[-1:] > [last + 500], what="the same times and later ones")
    said = [record for record in caplog.records if record.msg.startswith("times are fired again")]
    assert [record.schedule for record in said] == ["often"]
    assert said[0].first <= said[0].last
    assert said[0].first in bench.times("often")


def test_one_that_was_removed_by_somebody_stays_so_and_is_said_to_be_missing(
    bench: "Bench", make: Any, every: Every
) -> None:
    scheduler = make()
    scheduler.apply_schedules([every("s", 3_600), every("other", 60)])
    scheduler.start()
    eventually(lambda: scheduler._ready() == (True, "leader"), what="a leader")
    assert scheduler.remove_schedule("s")
    eventually(
        lambda: scheduler._ready() == (False, "leader, 1 declared schedules are missing: s"), what="that it is missing"
    )
    assert scheduler.missing_schedules([every("s", 60), every("other", 60)]) == ["s"]
    assert names(bench) == ["other"]
    scheduler.add_schedule(every("s", 60))
    eventually(lambda: scheduler._ready() == (True, "leader"), what="that it is there")


def test_one_without_further_times_is_not_missing(make: Any, every: Every, bench: "Bench") -> None:
    past = every("past", 60).evolve(every_ms=None, at=1)
    scheduler = make()
    scheduler.apply_schedules([past])
    scheduler.start()
    eventually(lambda: scheduler._ready() == (True, "leader"), what="a leader")
    assert scheduler.missing_schedules([past]) == []
    assert names(bench) == []


def test_limits_are_applied_to_a_queue_that_has_none_and_again_when_they_are_lost(
    bench: "Bench", make: Any, caplog: Any
) -> None:
    scheduler = make(LIMITS)
    scheduler.start()
    eventually(lambda: limits(bench) == APPLIED, what="the limits")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        lose(bench)
        eventually(lambda: limits(bench) == APPLIED, what="the limits again")
        said = "the server has lost data: the limits of the file were applied"
        eventually(lambda: said in [r.msg for r in caplog.records], what=said)


def test_limits_that_are_set_otherwise_are_left_alone(bench: "Bench", make: Any, every: Every) -> None:
    bench.runner.run(calls.limit(bench.keys, [Setting("ann", "cap", 3)]))
    scheduler = make(LIMITS)
    scheduler.apply_schedules([every("s", 60)])
    scheduler.start()
    eventually(lambda: scheduler._ready() == (True, "leader"), what="a leader")
    assert limits(bench) == ("time", None, {"ann": {"cap": 3.0}})


def test_limits_are_applied_also_while_the_cost_mode_cannot_change(bench: "Bench", make: Any, caplog: Any) -> None:
    bench.runner.run(calls.push(bench.keys, [Task(user_id="ann", func="m:f")], message_limit=1_000))
    with caplog.at_level(logging.WARNING):
        scheduler = make(LIMITS)
        scheduler.start()
        eventually(lambda: limits(bench) == ("time", *APPLIED[1:]), what="the limits")
        # Said after the limits are written.
        said = "the cost mode is changed as soon as that can be"
        eventually(lambda: any(said in r.msg for r in caplog.records), what=said)
