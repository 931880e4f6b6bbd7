"""A running scheduler: runs enqueue their tasks, also after a change of leaders, and no schedule harms another."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.clock import monotonic
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import Task
from fairque.protocol.wire.scripts import script
from fairque.scheduler import TaskScheduler
from fairque.testing.internal import amend_record, calls, eventually, read_message, stored_schedule_with

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]


@pytest.fixture
def reads_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent leaders from finding changes by polling, so that only notifications can report them."""
    monkeypatch.setattr("fairque.scheduler.agenda._READ_SECONDS", 600.0)
    monkeypatch.setattr("fairque.scheduler.agenda._AHEAD_MS", 3_600_000)


def whole(times: list[int], every_ms: int) -> bool:
    """Whether the times follow each other without a gap."""
    return times == list(range(times[0], times[-1] + 1, every_ms))


def total(scheduler: TaskScheduler, name: str) -> float:
    """What a scheduler counted."""
    found = scheduler.metrics.registry.get_sample_value(
        f"fairque_scheduler_{name}", {"queue": scheduler.settings.queue.name}
    )
    assert found is not None
    return found


class TestOneScheduler:
    def test_every_time_brings_one_task(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.started()
        scheduler.schedules.add(every("a", 0.1, args=["x"]))
        eventually(lambda: len(bench.times("a")) >= 8, what="eight tasks")
        scheduler.stop()
        times = bench.times("a")
        assert whole(times, 100)
        found = bench.run(calls.read_schedule(bench.keys, "a"))
        assert (found.fired, found.missed, found.last_ms) == (len(times), 0, times[-1])
        assert total(scheduler, "fired_total") == total(scheduler, "lateness_seconds_count") == len(times)
        message = json.loads(read_message(bench.client, bench.keys.prefix, f"schedule:a:{times[0]}"))
        assert (message["func"], message["args"], message["user"]) == ("m:f", ["x"], "ann")

    def test_a_cron_schedule_fires_at_its_second(self, bench: "Bench") -> None:
        bench.started().schedules.add(Schedule("a", Task(user_id="ann"), cron="* * * * * *"))
        eventually(lambda: len(bench.times("a")) >= 2, what="two tasks")
        assert whole(bench.times("a"), 1_000)
        assert bench.times("a")[0] % 1_000 == 0

    @pytest.mark.usefixtures("reads_only_when_told")
    def test_one_that_is_added_while_it_rests_is_fired_at_its_time(self, bench: "Bench") -> None:
        scheduler = bench.started()
        eventually(lambda: scheduler.state == "leader", what="a leader")
        at = datetime.now(UTC) + timedelta(seconds=0.4)
        bench.scheduler().schedules.add(Schedule("a", Task(user_id="ann"), at=at))
        eventually(lambda: bench.times("a"), what="the task")
        found = bench.run(calls.read_schedule(bench.keys, "a"))
        assert (found.next_ms, found.fired) == (None, 1)
        assert found.forgotten_ms is not None

    def test_one_that_is_over_is_forgotten_after_a_while(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        at = bench.now_ms()
        one = every("a", 3_600)
        bench.run(
            calls.schedule(bench.keys, [ScheduleWrite(schedule=one, revision=0, next_at=at)], message_limit=9_999)
        )
        move = calls.move(one, 1, time=at, following=None, fire_at=at)
        bench.run(calls.fire(bench.keys, [move], term=0, result_ttl_ms=300))
        scheduler.start()
        eventually(lambda: not scheduler.schedules.list(), what="an empty list")

    def test_without_a_leader_a_resumed_one_counts_from_then_on(self, bench: "Bench", every: Every) -> None:
        planner = bench.scheduler()
        planner.schedules.add(every("a", 0.1))
        planner.schedules.pause("a")
        planner.schedules.resume("a")
        resumed = bench.now_ms()
        eventually(lambda: bench.now_ms() > resumed + 350, what="some time")
        bench.started()
        eventually(lambda: len(bench.times("a")) >= 5, what="the tasks")
        assert bench.times("a")[0] <= resumed + 100
        assert whole(bench.times("a"), 100)

    def test_a_stopped_one_fires_no_more_and_a_removed_one_neither(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.started()
        for name in "abc":
            scheduler.schedules.add(every(name, 0.1))
        eventually(lambda: all(map(bench.times, "abc")), what="a task of each")
        scheduler.schedules.pause("a")
        scheduler.schedules.delete("b")
        before = bench.times("a"), bench.times("b"), len(bench.times("c"))
        eventually(lambda: len(bench.times("c")) > before[2] + 3, what="more tasks")
        assert (bench.times("a"), bench.times("b")) == before[:2]

    def test_edits_while_it_fires_lose_and_double_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler, editor = bench.started(), bench.scheduler()
        scheduler.schedules.add(every("a", 0.1))
        edits = 0

        def edited_often() -> bool:
            nonlocal edits
            edits += 1
            editor.schedules.update(every("a", 0.1, args=[edits]))
            return len(bench.times("a")) >= 12

        eventually(edited_often, what="twelve tasks")
        assert whole(bench.times("a"), 100)
        assert scheduler.schedules.get("a").missed == 0
        assert edits > 20

    @pytest.mark.usefixtures("reads_only_when_told")
    def test_one_that_is_moved_up_is_fired_at_its_new_time(self, bench: "Bench") -> None:
        scheduler, now = bench.started(), datetime.now(UTC)
        scheduler.schedules.add(Schedule("a", Task(user_id="ann"), at=now + timedelta(seconds=600)))
        eventually(lambda: scheduler._engine._agenda._window.find("a"), what="a leader that has read it")
        scheduler.schedules.update(Schedule("a", Task(user_id="ann"), at=now + timedelta(seconds=0.5)))
        eventually(lambda: bench.times("a"), what="the task")
        assert scheduler.schedules.get("a").missed == 0

    @pytest.mark.usefixtures("reads_only_when_told")
    def test_a_change_of_which_the_leader_was_not_told_holds_up_nothing(self, bench: "Bench", every: Every) -> None:
        bench.started().schedules.add(every("a", 0.1))
        eventually(lambda: bench.times("a"), what="a task")
        amend_record(bench.client, f"{bench.keys.prefix}schedule:a", rev=99)
        number = len(bench.times("a"))
        eventually(lambda: len(bench.times("a")) > number + 5, what="more tasks")
        assert whole(bench.times("a"), 100)

    def test_misfires_follow_the_policy(self, bench: "Bench", every: Every) -> None:
        begin = bench.now_ms() // 100 * 100 - 2_000
        kinds = {
            "latest": every("latest", 0.1, misfire_grace=0),
            "all": every("all", 0.1, misfire_grace=0, misfire="all", misfire_limit=3),
            "skip": every("skip", 0.1, misfire_grace=0.5, misfire="skip"),
        }
        writes = [ScheduleWrite(schedule=one, revision=0, next_at=begin) for one in kinds.values()]
        bench.run(calls.schedule(bench.keys, writes, message_limit=9_999))
        scheduler = bench.started()
        eventually(lambda: all(bench.times(name) for name in kinds), what="a task of each")
        scheduler.stop()
        for name, least in (("latest", 19), ("all", 17), ("skip", 14)):
            found = bench.run(calls.read_schedule(bench.keys, name))
            assert found.missed >= least, name
            assert found.fired == len(bench.times(name))
            assert found.fired + found.missed == (found.next_ms - begin) // 100, name
            assert found.misses[-1].first_at == from_epoch_ms(begin)
        assert bench.times("skip")[0] >= begin + 1_400

    @pytest.mark.usefixtures("reads_only_when_told")
    def test_a_full_backlog_holds_up_its_user_alone_and_ends_with_it(self, bench: "Bench", every: Every) -> None:
        bench.run(calls.limit(bench.keys, [Setting("ann", "backlog", 1)]))
        scheduler = bench.started()
        scheduler.schedules.add(every("a", 0.1))
        scheduler.schedules.add(every("b", 0.1, user_id="bob"))
        eventually(lambda: len(bench.times("b")) > 5, what="the tasks of bob")
        assert len(bench.times("a")) == 1
        bench.run(calls.limit(bench.keys, [Setting("ann", "backlog", None)]))
        eventually(lambda: len(bench.times("a")) > 10, what="the tasks of ann")
        assert whole(bench.times("a"), 100)

    def test_one_that_cannot_be_carried_out_harms_no_other(self, bench: "Bench", every: Every) -> None:
        """Such as one that a later version wrote, or whose time zone is not known here."""
        later = ["later", "0", "t", str(bench.now_ms() + 100), "1", "0", "0", "0", '{"v":9,"id":"later"}', "c"]
        bench.client.eval(script("schedule").text, 1, bench.keys.meta, *later)
        mars = stored_schedule_with(every("mars", 1), every_ms=None, cron="@daily", timezone="Mars/Olympus")
        bench.run(
            calls.schedule(
                bench.keys,
                [ScheduleWrite(schedule=mars, revision=0, next_at=bench.now_ms() + 100)],
                message_limit=9_999,
            )
        )
        scheduler = bench.started()
        scheduler.schedules.add(every("a", 0.1))
        eventually(lambda: len(bench.times("a")) > 5, what="the tasks of the other")
        assert scheduler.state == "leader"
        assert scheduler.schedules.status().overdue >= 2
        eventually(lambda: total(scheduler, "due") == 2, what="two that are overdue in the metrics")

    def test_one_that_cannot_be_read_is_taken_out_and_reported_once(
        self, bench: "Bench", every: Every, caplog: pytest.LogCaptureFixture
    ) -> None:
        writes = [
            ScheduleWrite(schedule=every(name, 1), revision=0, next_at=bench.now_ms()) for name in ("cut", "gone", "no")
        ]
        bench.run(calls.schedule(bench.keys, writes, message_limit=9_999))
        bench.client.set(f"{bench.keys.prefix}schedule:cut", b"\xc1")
        bench.client.delete(f"{bench.keys.prefix}schedule:gone")
        bench.run(calls.enable(bench.keys, "no", on=False))
        scheduler = bench.started()
        scheduler.schedules.add(every("a", 0.1))
        eventually(lambda: len(bench.times("a")) > 5, what="the tasks of the other")
        said = [vars(record) for record in caplog.records if "damaged" in record.msg]
        assert sorted((one["schedule"], one["levelname"]) for one in said) == [("cut", "WARNING"), ("gone", "WARNING")]
        assert "broken:schedule:cut" in said[0]["hint"] + said[1]["hint"]
        assert bench.client.get(f"{bench.keys.prefix}broken:schedule:cut") == b"\xc1"
        assert scheduler.schedules.status().schedules == 2
        assert {name for name, _ in bench.client.zscan_iter(f"{bench.keys.prefix}due")} == {b"a"}


class TestSeveralSchedulers:
    def test_one_leads_and_the_others_stand_by(self, bench: "Bench") -> None:
        crew = [bench.started() for _ in range(3)]
        eventually(lambda: sorted(one.state for one in crew) == ["leader", "standby", "standby"], what="one leader")
        (leader,) = [one for one in crew if one.state == "leader"]
        assert crew[0].schedules.status().leader == leader.settings.scheduler.name
        assert [total(one, "is_leader") for one in crew].count(1) == 1

    def test_of_several_with_one_name_one_leads_too(self, bench: "Bench") -> None:
        """As when they all read it from the same file."""
        name = "ü" * 100
        crew = [bench.started(name=name, lease=600) for _ in range(2)]
        eventually(lambda: sorted(one.state for one in crew) == ["leader", "standby"], what="one leader")
        asked = [one._engine._lead.ask() for one in crew]
        assert (asked, sorted(one.state for one in crew)) == ([False, False], ["leader", "standby"])
        assert (crew[0].schedules.status().leader, crew[0].schedules.status().term) == (name, 1)
        leader, other = sorted(crew, key=lambda one: one.state)
        leader.stop()
        eventually(lambda: other.state == "leader", what="the other one leads")
        assert other.schedules.status().term == 2

    def test_one_that_stops_makes_room_at_once(self, bench: "Bench", every: Every) -> None:
        first = bench.started(lease=600)
        eventually(lambda: first.state == "leader", what="a leader")
        second = bench.started(lease=600)
        second.schedules.add(every("a", 0.1))
        eventually(lambda: bench.times("a"), what="a task")
        first.stop()
        eventually(lambda: second.state == "leader", what="the other one leads")
        fired = len(bench.times("a"))
        eventually(lambda: len(bench.times("a")) > fired + 3, what="more tasks")
        assert whole(bench.times("a"), 100)
        assert second.schedules.status().term == 2

    def test_one_that_pauses_makes_room_too_until_it_is_resumed(self, bench: "Bench") -> None:
        first = bench.started(lease=600)
        eventually(lambda: first.state == "leader", what="a leader")
        second = bench.started(lease=600)
        first.pause()
        eventually(lambda: second.state == "leader", what="the other one leads")
        second.stop()
        third = bench.started(lease=600)
        eventually(lambda: third.state == "leader", what="the third one leads")
        assert first.state == "standby"
        first.resume()
        third.stop()
        eventually(lambda: first.state == "leader", what="the first one leads again")

    def test_when_a_leader_is_silent_another_one_leads_after_its_lease(self, bench: "Bench", every: Every) -> None:
        bench.run(calls.lead(bench.keys, "gone", lease_ms=700))
        began = monotonic()
        scheduler = bench.started(lease=0.7)
        scheduler.schedules.add(every("a", 0.1))
        eventually(lambda: scheduler.state == "leader", what="a leader")
        assert monotonic() - began > 0.5
        eventually(lambda: len(bench.times("a")) >= 8, what="the tasks, also of the time in between")
        assert whole(bench.times("a"), 100)

    def test_a_standby_whose_leader_has_a_longer_lease_goes_round_all_the_same(self, bench: "Bench") -> None:
        bench.run(calls.lead(bench.keys, "other", lease_ms=3_600_000))
        standby = bench.started(lease=0.2)
        eventually(lambda: standby._engine._lead._leader, what="one that has asked")
        went_round = standby._engine._went_round
        eventually(lambda: standby._engine._went_round > went_round + 0.4, what="a loop that goes round")
        assert standby.state == "standby"

    def test_a_standby_that_could_not_ask_when_the_lead_was_free_asks_again(
        self, bench: "Bench", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.run(calls.lead(bench.keys, "other", lease_ms=600_000))
        standby = bench.started(lease=600)
        eventually(lambda: standby._engine._lead._leader, what="one that has asked")
        ask, failures = standby._engine._lead.ask, iter([RedisUnavailable("no answer")])

        def fails_once() -> bool:
            for failure in failures:
                raise failure
            return ask()

        monkeypatch.setattr(standby._engine._lead, "ask", fails_once)
        bench.run(calls.lead(bench.keys, "other", lease_ms=0))
        eventually(lambda: standby.state == "leader", what="a leader")

    def test_one_whose_lead_was_taken_stands_by(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.started(lease=600)
        eventually(lambda: scheduler.state == "leader", what="a leader")
        bench.client.delete(f"{bench.keys.prefix}lock")
        bench.client.hset(f"{bench.keys.prefix}lock", "term", "7")
        bench.run(calls.lead(bench.keys, "usurper", lease_ms=600_000))
        scheduler.schedules.add(every("a", 0.1))
        eventually(lambda: scheduler.state == "standby", what="a standby, before its lease would end")
        assert bench.times("a") == []

    def test_a_standby_hardly_asks_anything(self, bench: "Bench", every: Every) -> None:
        leader = bench.started(lease=600)
        eventually(lambda: leader.state == "leader", what="a leader")
        standby = bench.started(lease=600)
        asked = standby._engine._lead
        eventually(lambda: asked._leader and standby._engine.loop_age > 0.2, what="one that has asked, and rests")
        rests_since = standby._engine._went_round
        for n in range(20):
            leader.schedules.add(every(f"s{n}", 0.1))
        eventually(lambda: all(len(bench.times(f"s{n}")) > 3 for n in range(20)), what="tasks")
        assert standby._engine._went_round == rests_since


class TestMany:
    @pytest.mark.usefixtures("reads_only_when_told")
    def test_more_than_can_be_looked_at_together_are_all_fired(self, bench: "Bench", every: Every) -> None:
        """The leader looks at 10,000 at a time, whose last one may be due together with others."""
        number, at = 10_500, bench.now_ms()
        for first in range(0, number, 100):
            ones = [every(f"s{n}", 86_400, user_id=f"u{n % 50}") for n in range(first, first + 100)]
            writes = [ScheduleWrite(schedule=one, revision=0, next_at=at) for one in ones]
            bench.run(calls.schedule(bench.keys, writes, message_limit=9_999))
        scheduler = bench.started(lease=10)
        eventually(lambda: scheduler.schedules.status().fired >= 10_000, what="as many as it looks at")
        eventually(lambda: scheduler.schedules.status().fired >= number, what="all of them")
        status = scheduler.schedules.status()
        assert (status.fired, status.overdue, status.missed) == (number, 0, 0)
        # Counted when the answer has come, a moment after the server counts.
        eventually(lambda: total(scheduler, "fired_total") == number, what="its own count")


class TestWrongClock:
    @pytest.mark.parametrize("hours", [-1, 1])
    def test_the_wall_clock_of_a_scheduler_decides_nothing(
        self, bench: "Bench", every: Every, monkeypatch: pytest.MonkeyPatch, hours: int
    ) -> None:
        right = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: right() + hours * 3_600 * 10**9)
        scheduler = bench.started()
        first = scheduler.schedules.add(every("a", 0.1)).next_ms
        eventually(lambda: len(bench.times("a")) >= 5, what="five tasks")
        assert bench.times("a")[0] == first
        assert abs(bench.times("a")[-1] - bench.now_ms()) < 5_000
        assert whole(bench.times("a"), 100)
