"""What a file declares is there again after the server has lost its data, and what is missing is said."""

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from fairque.client.schedule_plans import apply_schedules
from fairque.client.steps import run_steps
from fairque.protocol.calls.edition import Edition
from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.schedules import ScheduleWrite, read_known
from fairque.protocol.calls.users import read_configured
from fairque.protocol.config import FairnessSection, QueueSection, RedisSection
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.limits import Limits
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler import TaskScheduler, keeping
from fairque.scheduler.keeping import Keeper, missing
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.settings import SchedulerSection, SchedulerSettings
from fairque.testing import PlainServer
from fairque.testing.internal import calls, eventually, stored_schedule_with

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


def redefine(bench: "Bench", one: Schedule) -> None:
    """What somebody does that stores another definition."""
    steps = apply_schedules(bench.keys, [one], message_limit=9_999)
    run_steps(bench.runner.run, bench.runner.run_all, steps)


def interval(bench: "Bench", name: str) -> int | None:
    return bench.runner.run(calls.read_schedule(bench.keys, name)).schedule.every_ms


def counted(keeper: Keeper) -> float | None:
    """What the metric says of missing schedules."""
    return keeper._metrics.registry.get_sample_value(
        "fairque_scheduler_missing_schedules", {"queue": keeper._keys.name}
    )


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
    cost_mode="count", backlog=1_000, user_defaults=Limits(cap=5), users={"ann": Limits(weight=2.0)}
)
APPLIED = ("count", 1_000, {"": {"cap": 5.0}, "ann": {"weight": 2.0}})


def test_declared_schedules_are_there_again_and_fire(bench: "Bench", make: Any, every: Every, caplog: Any) -> None:
    def applied() -> list[str]:
        return [record.change for record in caplog.records if record.msg == "applied again"]

    scheduler = make()
    scheduler.schedules.apply([every("often", 0.1), every("seldom", 3_600)])
    scheduler.start()
    eventually(lambda: scheduler.schedules.get("often").fired, what="a time")
    with caplog.at_level(logging.WARNING):
        lose(bench)
        eventually(lambda: names(bench) == ["often", "seldom"], what="the schedules")
        eventually(lambda: scheduler.schedules.get("often").fired, what="a time after it")
        eventually(lambda: len(applied()) == 2, what="a line for each")
    assert applied() == ["schedule 'often': added", "schedule 'seldom': added"]
    assert "the server has lost data of this queue" in [r.msg for r in caplog.records]


def test_one_that_stands_by_brings_back_what_it_declared(bench: "Bench", make: Any, every: Every) -> None:
    leader, other = make(), make()
    leader.start()
    eventually(lambda: leader.state == "leader", what="a leader")
    other.schedules.apply([every("s", 3_600)])
    other.start()
    lose(bench)
    eventually(lambda: names(bench) == ["s"], what="the schedule")


@pytest.mark.parametrize("new", [["new"], []], ids=["some are missing", "none is missing"])
def test_older_data_is_made_what_was_declared(bench: "Bench", make: Any, every: Every, new: list[str]) -> None:
    scheduler = make()
    scheduler.schedules.apply([every("s", 3_600), every("kept", 60)])
    older = snapshot(bench)
    scheduler.schedules.apply([every("s", 1_800), every("kept", 60), *(every(name, 60) for name in new)])
    scheduler.start()
    eventually(lambda: scheduler.state == "leader", what="a leader")
    go_back(bench, older)
    eventually(lambda: scheduler.schedules.get("s").schedule.every_ms == 1_800_000, what="the definition")
    eventually(lambda: names(bench) == ["kept", *new, "s"], what="all names")


def test_it_is_said_once_for_each_schedule_when_older_data_lets_times_fire_again(
    bench: "Bench", make: Any, every: Every, caplog: Any
) -> None:
    scheduler = make()
    scheduler.schedules.apply([every("often", 0.1)])
    older = snapshot(bench)
    scheduler.start()
    eventually(lambda: scheduler.schedules.get("often").fired >= 3, what="times")
    last = bench.times("often")[2]

    def said() -> list[Any]:
        return [record for record in caplog.records if record.msg.startswith("times are fired again")]

    with caplog.at_level(logging.WARNING):
        go_back(bench, older)
        eventually(said, what="the log line")
        eventually(lambda: bench.times("often")[-1:] > [last + 500], what="the same times and later ones")
    assert [record.schedule for record in said()] == ["often"]
    assert said()[0].first <= said()[0].last
    assert said()[0].first in bench.times("often")


def test_a_scheduler_is_not_ready_before_it_has_checked_for_missing_schedules(
    make: Any, every: Every, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def wait_and_read(*args: Any) -> tuple[str, ...]:
        begun.set()
        assert gate.wait(300)
        return missing(*args)

    monkeypatch.setattr(keeping, "missing", wait_and_read)
    scheduler = make()
    scheduler.schedules.apply([every("s", 3_600)])
    scheduler.start()
    assert begun.wait(300)
    eventually(lambda: scheduler.state == "leader", what="a leader")
    assert scheduler._ready() == (False, "leader, has not checked yet whether declared schedules are missing")
    gate.set()
    eventually(lambda: scheduler._ready() == (True, "leader"), what="that it is ready")


def test_one_that_was_removed_by_somebody_stays_so_and_is_said_to_be_missing(
    bench: "Bench", make: Any, every: Every, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long it is: see the checks without a scheduler.
    monkeypatch.setattr(keeping, "_PAUSE_SECONDS", 0.05)
    scheduler = make()
    scheduler.schedules.apply([every("s", 3_600), every("other", 60)])
    scheduler.start()
    eventually(lambda: scheduler._ready() == (True, "leader"), what="a leader")
    assert scheduler.schedules.delete("s")
    eventually(
        lambda: scheduler._ready() == (False, "leader, 1 declared schedules are missing: s"), what="that it is missing"
    )
    assert scheduler.missing_schedules([every("s", 60), every("other", 60)]) == ["s"]
    assert names(bench) == ["other"]
    scheduler.schedules.add(every("s", 60))
    eventually(lambda: scheduler._ready() == (True, "leader"), what="that it is there")


def test_one_without_further_times_is_not_missing(make: Any, every: Every, bench: "Bench") -> None:
    past = stored_schedule_with(every("past", 60), every_ms=None, at=1)
    scheduler = make()
    scheduler.schedules.apply([past])
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
    scheduler.schedules.apply([every("s", 60)])
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


class Tapped(Runner):
    """A runner of the server of the session, before whose next call something happens."""

    def __init__(self, url: str) -> None:
        super().__init__(RedisSection(url=url))
        self.before: Callable[[], None] = lambda: None

    def run(self, call: Any) -> Any:
        before, self.before = self.before, lambda: None
        before()
        return super().run(call)


class TestLooks:
    """One look after another, without a scheduler around them."""

    @pytest.fixture
    def keeper(self, bench: "Bench") -> Callable[..., Keeper]:
        def keeper(*declared: Schedule, fairness: FairnessSection = NONE, runner: Runner | None = None) -> Keeper:
            made = Keeper(runner or bench.runner, bench.keys, 9_999, fairness, Metrics(bench.keys.name))
            made.declare(declared)
            return made

        return keeper

    @pytest.fixture
    def tapped(self, bench: "Bench") -> Iterator[Tapped]:
        with closing(Tapped(bench.url)) as made:
            yield made

    def test_a_suspicion_is_kept_while_schedules_change(self, bench: "Bench", keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        one.look()
        lose(bench)
        one.outdate(suspicious=True)
        one.outdate()
        one.look()
        assert names(bench) == ["s"]

    def test_a_suspicion_that_comes_during_a_look_counts_for_the_next_one(
        self, bench: "Bench", keeper: Any, tapped: Tapped, every: Every
    ) -> None:
        one = keeper(every("s", 60), runner=tapped)
        tapped.before = lambda: one.outdate(suspicious=True)
        one.look()
        assert one.seconds_to_rest() == 0.0
        lose(bench)
        one.look()
        assert names(bench) == ["s"]

    def test_a_change_that_comes_during_a_look_is_looked_at(self, keeper: Any, tapped: Tapped, every: Every) -> None:
        one = keeper(every("s", 60), runner=tapped)
        tapped.before = one.outdate
        one.look()
        assert one.seconds_to_rest() < math.inf

    def test_each_older_state_of_the_queue_is_noticed_and_not_only_one_before_the_first(
        self, bench: "Bench", keeper: Any, every: Every
    ) -> None:
        one = keeper(every("s", 60))
        one.look()
        for changes in (5, 9):
            one.note_edition(Edition(1, changes))
        redefine(bench, every("s", 120))
        one.note_edition(Edition(1, 7))
        one.look()
        assert interval(bench, "s") == 60_000

    def test_the_first_state_that_it_hears_of_is_not_older_than_any(
        self, bench: "Bench", keeper: Any, every: Every
    ) -> None:
        one = keeper(every("s", 60))
        one.look()
        redefine(bench, every("s", 120))
        one.note_edition(Edition(1, 7))
        one.look()
        assert interval(bench, "s") == 120_000

    def test_limits_that_were_lost_are_looked_at_at_once(self, bench: "Bench", keeper: Any) -> None:
        one = keeper(fairness=LIMITS)
        one.note_edition(Edition(1, 9))
        one.look()
        lose(bench)
        one.note_edition(Edition(1, 7))
        assert one.seconds_to_rest() == 0.0
        one.look()
        assert limits(bench) == APPLIED

    def test_what_is_declared_later_is_looked_at(self, keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        one.look()
        one.declare([every("t", 60)])
        assert one.seconds_to_rest() < math.inf

    def test_what_was_lost_is_applied_once(self, bench: "Bench", keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        one.note_edition(Edition(1, 9))
        one.note_edition(Edition(1, 7))
        one.look()
        redefine(bench, every("s", 120))
        one.outdate(suspicious=True)
        one.look()
        assert interval(bench, "s") == 120_000

    def test_nothing_is_applied_when_nothing_is_missing(self, bench: "Bench", keeper: Any, every: Every) -> None:
        redefine(bench, every("s", 120))
        keeper(every("s", 60)).look()
        assert interval(bench, "s") == 120_000

    def test_a_change_alone_brings_nothing_back(self, bench: "Bench", keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        one.look()
        bench.run(calls.unschedule(bench.keys, "s"))
        one.outdate()
        one.look()
        assert (names(bench), one.missing) == ([], ("s",))

    def test_what_was_restored_is_not_missing(self, keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        one.look()
        assert one.missing == ()
        assert counted(one) == 0

    def test_missing_schedules_are_said_once(self, bench: "Bench", keeper: Any, every: Every, caplog: Any) -> None:
        declared = [every(f"s{number:02}", 60) for number in range(11)]
        one = keeper(*declared)
        one.look()
        for schedule in declared:
            bench.run(calls.unschedule(bench.keys, schedule.schedule_id))
        for _ in range(2):
            one.outdate()
            one.look()
        said = [r for r in caplog.records if r.msg == "declared schedules are missing"]
        # Not all names, however many there are.
        assert [(r.number, list(r.schedules)) for r in said] == [(11, [f"s{number:02}" for number in range(10)])]
        assert counted(one) == 11

    def test_other_missing_schedules_are_said_again(
        self, bench: "Bench", keeper: Any, every: Every, caplog: Any
    ) -> None:
        one = keeper(every("a", 60), every("b", 60))
        one.look()
        for name in ("a", "b"):
            bench.run(calls.unschedule(bench.keys, name))
            one.outdate()
            one.look()
        said = [list(r.schedules) for r in caplog.records if r.msg == "declared schedules are missing"]
        assert said == [["a"], ["a", "b"]]

    def test_nothing_is_said_when_they_are_there_again(
        self, bench: "Bench", keeper: Any, every: Every, caplog: Any
    ) -> None:
        one = keeper(every("s", 60))
        one.look()
        bench.run(calls.unschedule(bench.keys, "s"))
        one.outdate()
        one.look()
        redefine(bench, every("s", 60))
        caplog.clear()
        one.outdate()
        one.look()
        assert (one.missing, caplog.records) == ((), [])

    def test_limits_that_somebody_removed_stay_so_when_schedules_change(
        self, bench: "Bench", keeper: Any, every: Every
    ) -> None:
        one = keeper(every("s", 60), fairness=LIMITS)
        one.look()
        assert limits(bench) == APPLIED
        lose(bench)
        one.outdate()
        one.look()
        assert limits(bench) == ("time", None, {})
        one.outdate(suspicious=True)
        one.look()
        assert limits(bench) == APPLIED

    def test_a_look_without_an_answer_is_made_again_with_the_same_suspicion(self, every: Every) -> None:
        keys = QueueKeys("q")
        with PlainServer() as server, closing(Runner(RedisSection(url=server.url, retries=0))) as runner:
            one = Keeper(runner, keys, 9_999, NONE, Metrics("q"))
            one.declare([every("s", 60)])
            server.kill()
            with pytest.raises(RedisUnavailable):
                one.look()
            assert one.seconds_to_rest() < math.inf
            server.start()
            one.look()
            assert [found.schedule_id for found in runner.run(calls.read_schedules(keys))] == ["s"]

    def test_a_loss_is_not_forgotten_by_a_look_without_an_answer(self, every: Every) -> None:
        keys = QueueKeys("q")
        with PlainServer() as server, closing(Runner(RedisSection(url=server.url, retries=0))) as runner:
            one = Keeper(runner, keys, 9_999, NONE, Metrics("q"))
            one.declare([every("s", 60)])
            steps = apply_schedules(keys, [every("s", 120)], message_limit=9_999)
            run_steps(runner.run, runner.run_all, steps)
            one.note_edition(Edition(1, 9))
            one.note_edition(Edition(1, 7))
            server.kill()
            with pytest.raises(RedisUnavailable):
                one.look()
            server.start()
            one.look()
            assert runner.run(calls.read_schedule(keys, "s")).schedule.every_ms == 60_000

    def test_what_cannot_be_applied_now_is_missing_said_once_and_tried_again(self, every: Every, caplog: Any) -> None:
        keys, said = QueueKeys("q"), "what is declared cannot be applied again: it is retried"
        with (
            PlainServer() as server,
            closing(Runner(RedisSection(url=server.url))) as runner,
            redis.Redis.from_url(server.url) as client,
        ):
            one = Keeper(runner, keys, 9_999, LIMITS, Metrics("q"))
            one.declare([every("s", 60)])
            client.config_set("maxmemory", 1)
            for _ in range(2):
                one.look()
                assert one.missing == ("s",)
                # Not at once: it must hold up no schedule that there is.
                assert 0.0 < one.seconds_to_rest() < math.inf
            client.config_set("maxmemory", 0)
            one.look()
            assert (one.missing, one.seconds_to_rest()) == ((), math.inf)
            found = runner.run(read_configured(keys))
            assert (found.cost_mode, found.backlog, found.users) == APPLIED
            assert [r.msg for r in caplog.records].count(said) == 1
            # What fails after a success is another failure.
            runner.run(calls.unschedule(keys, "s"))
            client.config_set("maxmemory", 1)
            one.outdate(suspicious=True)
            one.look()
        assert [r.msg for r in caplog.records].count(said) == 2

    def test_any_other_error_ends_the_look_and_it_is_made_again(
        self, bench: "Bench", keeper: Any, tapped: Tapped, every: Every
    ) -> None:
        def fail() -> None:
            raise MemoryError

        one = keeper(every("s", 60), runner=tapped)
        tapped.before = fail
        with pytest.raises(MemoryError):
            one.look()
        assert one.seconds_to_rest() < math.inf
        one.look()
        assert names(bench) == ["s"]

    def test_a_suspicion_that_comes_during_a_look_that_fails_is_kept(
        self, bench: "Bench", keeper: Any, tapped: Tapped, every: Every
    ) -> None:
        def fail() -> None:
            one.outdate(suspicious=True)
            raise MemoryError

        one = keeper(every("s", 60), runner=tapped)
        one.look()
        lose(bench)
        one.outdate()
        tapped.before = fail
        with pytest.raises(MemoryError):
            one.look()
        one.look()
        assert names(bench) == ["s"]

    def test_changes_are_looked_at_after_a_pause_and_a_suspicion_at_once(self, keeper: Any, every: Every) -> None:
        one = keeper(every("s", 60))
        assert one.seconds_to_rest() == 0.0
        one.look()
        assert one.seconds_to_rest() == math.inf
        one.outdate()
        assert 0.0 < one.seconds_to_rest() <= 5.0
        one.outdate(suspicious=True)
        assert one.seconds_to_rest() == 0.0

    def test_there_is_nothing_to_look_at_where_nothing_is_declared(self, keeper: Any) -> None:
        assert keeper().seconds_to_rest() == math.inf
        assert keeper(fairness=LIMITS).seconds_to_rest() == 0.0


def test_none_is_taken_for_missing_or_there_because_an_answer_tells_of_a_part(bench: "Bench", every: Every) -> None:
    declared = [every(f"s{number:02}", 60, args=("x" * 500_000,)) for number in range(11)]
    for one in declared[:-1]:
        bench.run(calls.schedule(bench.keys, [ScheduleWrite(schedule=one, revision=0)], message_limit=1_000_000))
    _, _, told = bench.run(read_known(bench.keys, [one.schedule_id for one in declared]))
    assert told < len(declared)
    assert missing(bench.runner, bench.keys, declared) == ("s10",)


def test_more_schedules_may_be_declared_than_one_call_reads(bench: "Bench", every: Every) -> None:
    declared = [every(str(number), 60) for number in range(1_001)]
    assert missing(bench.runner, bench.keys, declared) == tuple(one.schedule_id for one in declared)
