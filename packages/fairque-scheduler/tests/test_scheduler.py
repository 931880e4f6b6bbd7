"""`TaskScheduler` as a program uses it: schedules are added, changed, stopped, removed and read."""

import logging
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import fields

from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import (
    CannotImport,
    FairqueError,
    InvalidSchedule,
    RedisUnavailable,
    ScheduleConflict,
    ScheduleNotFound,
)
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.schedule_infos import Miss, MissReason
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.scheduler import ConfigurationError, TaskScheduler
from fairque.scheduler.settings import SchedulerOptions, SchedulerSection
from fairque.testing.internal import calls, eventually, stored_schedule_with

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]
HOUR_MS = 3_600_000


def raising(error: Exception) -> None:
    raise error


def ahead(**fields: float) -> datetime:
    """A moment so far from now."""
    return datetime.now(UTC) + timedelta(**fields)


def test_a_scheduler_says_in_its_log_where_it_works(bench: "Bench", caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fairque.scheduler")
    bench.started()
    (begun,) = [vars(record) for record in caplog.records if record.msg == "scheduler started"]
    assert (begun["server"], begun["queue"]) == (bench.url, bench.keys.name)


class TestAdding:
    def test_it_says_when_it_fires_next(self, bench: "Bench", every: Every) -> None:
        now_ms = bench.now_ms()
        added = bench.scheduler().schedules.add(every("s", 3_600, args=[1]))
        assert added.next_ms == (now_ms // HOUR_MS + 1) * HOUR_MS
        assert (added.schedule.task.args, added.paused, added.fired) == ((1,), False, 0)

    def test_the_same_one_again_changes_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        first = scheduler.schedules.add(every("s", 3_600))
        assert scheduler.schedules.add(every("s", 3_600)) == first

    def test_a_taken_id_is_refused(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("s", 3_600))
        with pytest.raises(ScheduleConflict, match=r"schedule 's' of queue .* exists with different content"):
            scheduler.schedules.add(every("s", 60))

    def test_all_problems_are_said_at_once(self, bench: "Bench") -> None:
        wrong = Schedule(
            "s",
            Task(),
            cron="0 25 * * *",
            timezone="Europe/Berln",
            start=datetime(2026, 2, 1, tzinfo=UTC),
            end=datetime(2026, 1, 1, tzinfo=UTC),
            jitter=-1,
        )
        with pytest.raises(InvalidSchedule) as caught:
            bench.scheduler().schedules.add(wrong)
        problems = "\n".join(caught.value.problems)
        for expected in (
            "schedule 's': end is before start",
            "schedule 's': jitter must be",
            "schedule 's': its task has no user_id",
            "schedule 's': cron expression '0 25 * * *': field 2",
            "schedule 's': time zone 'Europe/Berln' is unknown: did you mean Europe/Berlin",
        ):
            assert expected in problems
        assert len(caught.value.problems) == 5
        assert not bench.scheduler().schedules.list()

    @pytest.mark.parametrize(
        "fields",
        [
            {"at": datetime(2020, 1, 1, tzinfo=UTC)},
            {"cron": "@daily", "end": datetime(2020, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_one_whose_times_are_past_is_refused(self, bench: "Bench", fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidSchedule, match="it would never fire: all of its runs are in the past"):
            bench.scheduler().schedules.add(Schedule("s", Task(user_id="ann"), **fields))

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            # The last Sunday in March, when the clocks of Berlin pass from 2 to 3.
            (
                {"cron": "30 2 * 3 L0", "timezone": "Europe/Berlin", "dst_gap": "skip"},
                r"the clocks of Europe/Berlin show none of its times .* gaps .*dst_gap='skip' skips them",
            ),
            (
                {"cron": "30 2 * 3 L0", "timezone": "Europe/Berlin", "dst_gap": "skip", "end": ahead(days=9_000)},
                "the clocks of Europe/Berlin show none",
            ),
            ({"cron": "@yearly", "end": ahead(hours=1)}, "none of its runs is between now and its end"),
            ({"cron": "@yearly", "start": ahead(hours=1), "end": ahead(hours=2)}, "between its start and its end"),
        ],
    )
    def test_one_that_has_no_times_is_refused_and_told_why(
        self, bench: "Bench", fields: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(InvalidSchedule, match=f"schedule 's': it would never fire: .*{why}"):
            bench.scheduler().schedules.add(Schedule("s", Task(user_id="ann"), **fields))
        assert not bench.scheduler().schedules.list()
        assert bench.scheduler().schedules.apply([Schedule("s", Task(user_id="ann"), **fields)]).over == ("s",)

    def test_a_moment_that_is_past_makes_room_for_another_one(self, bench: "Bench") -> None:
        scheduler = bench.started()
        first = Schedule("s", Task(user_id="ann", args=[1]), at=ahead(seconds=0.3))
        scheduler.schedules.add(first)
        with pytest.raises(ScheduleConflict):
            scheduler.schedules.add(Schedule("s", Task(user_id="ann"), at=ahead(seconds=60)))
        eventually(lambda: scheduler.schedules.get("s").fired, what="the first task")
        for again in (first, stored_schedule_with(first, args=(2,))):
            with pytest.raises(InvalidSchedule, match=rf"never fire again: .* the task 'schedule:s:{first.at_ms}'"):
                scheduler.schedules.add(again)
        second = Schedule("s", Task(user_id="ann", args=[2]), at=ahead(seconds=0.3))
        added = scheduler.schedules.add(second)
        assert (added.next_ms, added.fired, added.missed, added.forgotten_ms) == (second.at_ms, 1, 0, None)
        assert scheduler.schedules.add(second).revision == added.revision
        eventually(lambda: len(bench.times("s")) == 2, what="the second task")
        assert bench.times("s") == [first.at_ms, second.at_ms]
        assert scheduler.schedules.get("s").fired == 2

    def test_an_impossible_date_is_refused(self, bench: "Bench") -> None:
        with pytest.raises(InvalidSchedule, match="'0 0 30 2 \\*'"):
            bench.scheduler().schedules.add(Schedule("s", Task(user_id="ann"), cron="0 0 30 2 *"))

    def test_a_function_that_the_modules_do_not_have_is_refused(
        self, bench: "Bench", every: Every, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scheduled_shop.py").write_text("def report(): ...\ndef _hidden(): ...\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        scheduler = bench.scheduler(modules=["scheduled_shop"])
        REGISTRY.register(TestAdding.test_a_taken_id_is_refused, "scheduled.named")
        assert scheduler.schedules.add(every("a", 60, func="scheduled_shop:report"))
        assert scheduler.schedules.add(every("b", 60, func="scheduled.named"))
        for unknown in ("scheduled_shop:_hidden", "os:getcwd", "scheduled.nmed"):
            with pytest.raises(InvalidSchedule, match=f"no task function '{unknown}' is in scheduled_shop"):
                scheduler.schedules.add(every("c", 60, func=unknown))

    def test_a_module_that_cannot_be_imported_is_an_error(self, bench: "Bench", every: Every) -> None:
        with pytest.raises(CannotImport, match="module 'no_such_shop' cannot be imported"):
            bench.scheduler(modules=["no_such_shop"]).schedules.add(every("s", 60))


class TestChanging:
    def test_a_change_of_the_task_keeps_the_next_time(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        before = scheduler.schedules.add(every("s", 3_600))
        after = scheduler.schedules.update(every("s", 3_600, args=[2]))
        assert (after.next_ms, after.schedule.task.args) == (before.next_ms, (2,))
        assert after.revision > before.revision

    def test_other_times_count_from_now(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("s", 86_400 * 300))
        after = scheduler.schedules.update(every("s", 3_600))
        assert after.next_ms is not None
        assert 0 < after.next_ms - bench.now_ms() <= HOUR_MS

    def test_a_change_since_it_was_read_is_noticed(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        read = scheduler.schedules.add(every("s", 3_600))
        scheduler.schedules.update(every("s", 60), revision=read.revision)
        with pytest.raises(ScheduleConflict):
            scheduler.schedules.update(every("s", 70), revision=read.revision)

    def test_what_is_not_there_cannot_be_changed(self, bench: "Bench", every: Every) -> None:
        with pytest.raises(ScheduleNotFound):
            bench.scheduler().schedules.update(every("s", 60))
        with pytest.raises(InvalidSchedule, match="revision 0"):
            bench.scheduler().schedules.update(every("s", 60), revision=0)

    def test_one_is_stopped_and_fires_again(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("s", 3_600))
        assert scheduler.schedules.pause("s")
        assert not scheduler.schedules.pause("s")
        assert (scheduler.schedules.get("s").paused, scheduler.schedules.get("s").next_ms) == (True, None)
        assert scheduler.schedules.update(every("s", 3_600, args=[1])).paused
        assert scheduler.schedules.resume("s")
        assert scheduler.schedules.get("s").next_ms is not None

    @pytest.mark.parametrize("change", ["pause", "update", "apply"])
    def test_after_an_outage_all_times_that_were_due_are_missed_when_it_is_stopped_or_gets_other_times(
        self, bench: "Bench", every: Every, change: str
    ) -> None:
        scheduler, began = bench.scheduler(), bench.now_ms() // HOUR_MS * HOUR_MS - 5 * HOUR_MS
        writes = ScheduleWrite(schedule=every("s", 3_600, declared=True), revision=0, next_at=began)
        bench.run(calls.schedule(bench.keys, [writes], message_limit=9_999))
        if change == "pause":
            scheduler.schedules.pause("s")
            scheduler.schedules.resume("s")
        elif change == "update":
            scheduler.schedules.update(every("s", 86_400 * 300))
        else:
            scheduler.schedules.apply([every("s", 86_400 * 300)])
        found, last = scheduler.schedules.get("s"), bench.now_ms() // HOUR_MS * HOUR_MS
        reason: MissReason = "paused" if change == "pause" else "edited"
        assert found.missed == (last - began) // HOUR_MS + 1
        assert found.misses == (
            Miss(first_at=from_epoch_ms(began), last_at=from_epoch_ms(last), count=found.missed, reason=reason),
        )

    def test_an_edit_of_the_task_after_an_outage_misses_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler, began = bench.scheduler(), bench.now_ms() - 5 * HOUR_MS
        writes = ScheduleWrite(schedule=every("s", 3_600), revision=0, next_at=began)
        bench.run(calls.schedule(bench.keys, [writes], message_limit=9_999))
        found = scheduler.schedules.update(every("s", 3_600, args=[1]))
        assert (found.next_ms, found.missed) == (began, 0)

    def test_one_that_cannot_be_computed_here_is_stopped_all_the_same(self, bench: "Bench", every: Every) -> None:
        scheduler, at = bench.scheduler(), bench.now_ms()
        mars = stored_schedule_with(every("s", 1), every_ms=None, cron="@daily", timezone="Mars/Olympus")
        bench.run(
            calls.schedule(bench.keys, [ScheduleWrite(schedule=mars, revision=0, next_at=at)], message_limit=9_999)
        )
        assert scheduler.schedules.pause("s")
        assert scheduler.schedules.update(every("s", 3_600)).missed == 1

    def test_one_is_removed(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("s", 3_600))
        assert scheduler.schedules.delete("s")
        assert not scheduler.schedules.delete("s")
        with pytest.raises(ScheduleNotFound):
            scheduler.schedules.get("s")


class TestReading:
    def test_pages(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        for name in "cab":
            scheduler.schedules.add(every(name, 60))
        page = scheduler.schedules.list(limit=2)
        assert [one.schedule_id for one in page] == ["a", "b"]
        assert [one.schedule_id for one in scheduler.schedules.list(after=page.next)] == ["c"]

    def test_one_that_cannot_be_computed_here_hides_no_other(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("a", 3_600))
        mars = stored_schedule_with(every("b", 1), every_ms=None, cron="@daily", timezone="Mars/Olympus")
        bench.run(calls.schedule(bench.keys, [ScheduleWrite(schedule=mars, revision=0)], message_limit=9_999))
        assert [(one.schedule_id, one.next_at is None) for one in scheduler.schedules.list()] == [
            ("a", False),
            ("b", True),
        ]
        assert [one.schedule_id for one in scheduler.schedules.upcoming()] == ["a"]

    def test_which_are_due_next(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        for name, seconds in (("a", 86_400 * 1_000), ("b", 60), ("c", 86_400 * 100)):
            scheduler.schedules.add(every(name, seconds))
        scheduler.schedules.add(every("d", 60, paused=True))
        assert [one.schedule_id for one in scheduler.schedules.upcoming()] == ["b", "c", "a"]
        assert [one.schedule_id for one in scheduler.schedules.upcoming(1)] == ["b"]

    def test_one_that_is_over_is_not_due_next_until_it_is_forgotten(self, bench: "Bench", every: Every) -> None:
        scheduler, at = bench.scheduler(), bench.now_ms()
        over = every("a", 3_600)
        bench.run(
            calls.schedule(bench.keys, [ScheduleWrite(schedule=over, revision=0, next_at=at)], message_limit=9_999)
        )
        move = calls.move(over, 1, time=at, following=None, fire_at=at)
        bench.run(calls.fire(bench.keys, [move], term=1, result_ttl_ms=10_000))
        scheduler.schedules.add(every("b", 86_400 * 100))
        assert [one.schedule_id for one in scheduler.schedules.upcoming(1)] == ["b"]


class TestApplying:
    def test_applying_takes_more_than_one_call_holds(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        declared = [every(f"s-{number}", 60, args=["x" * 200_000]) for number in range(101)]

        scheduler.schedules.apply(declared)

        assert scheduler.schedules.apply(declared).unchanged == 101

    def test_declared_ones_are_added_changed_and_left(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("program", 60))
        first = scheduler.schedules.apply([every("a", 60), every("b", 60)])
        assert first.changes == ("schedule 'a': added", "schedule 'b': added")
        again = scheduler.schedules.apply([every("a", 60), every("b", 60)])
        assert (again.changes, again.unchanged, again.undeclared) == ((), 2, ())
        changed = scheduler.schedules.apply([every("a", 60, args=[1]), every("b", 70)])
        assert changed.changes == ("schedule 'a': args () -> (1,)", "schedule 'b': every_ms 60000 -> 70000")

    def test_removed_ones_are_named_and_stay_until_they_are_pruned(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.add(every("program", 60))
        scheduler.schedules.apply([every("a", 60), every("b", 60)])
        planned = scheduler.schedules.apply([every("a", 60)])
        assert [info.schedule_id for info in planned.undeclared] == ["b"]
        assert scheduler.schedules.get("b")
        scheduler.schedules.apply([every("a", 60)], prune=True)
        assert [info.schedule_id for info in scheduler.schedules.list()] == ["a", "program"]

    def test_one_that_an_operator_stopped_stays_so_unless_it_is_declared(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.schedules.apply([every("a", 60)])
        scheduler.schedules.pause("a")
        assert not scheduler.schedules.apply([every("a", 60)]).changes
        assert scheduler.schedules.get("a").paused
        assert scheduler.schedules.apply([every("a", 60, paused=False)]).changes == (
            "schedule 'a': paused True -> False",
        )
        assert not scheduler.schedules.get("a").paused

    def test_a_dry_run_changes_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        assert scheduler.schedules.apply([every("a", 60)], dry_run=True).changes
        assert not scheduler.schedules.list()

    def test_one_whose_times_are_past_is_left_out(self, bench: "Bench") -> None:
        past = Schedule("s", Task(user_id="ann"), at=datetime.now(UTC) - timedelta(days=1))
        planned = bench.scheduler().schedules.apply([past])
        assert (planned.over, planned.changes) == (("s",), ())

    def test_all_problems_of_all_are_said_and_nothing_is_stored(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        with pytest.raises(InvalidSchedule) as caught:
            scheduler.schedules.apply([every("a", 60), every("a", 70), every("b", -1)])
        assert len(caught.value.problems) == 2
        assert not scheduler.schedules.list()

    def test_more_than_one_call_takes(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        schedules = [every(f"s{n:03}", 60) for n in range(250)]
        assert len(scheduler.schedules.apply(schedules).changes) == 250
        assert scheduler.schedules.apply(schedules).unchanged == 250


class TestObject:
    def test_a_start_that_failed_leaves_nothing_behind_and_may_be_repeated(
        self, bench: "Bench", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        scheduler = bench.scheduler(http_port=port)
        with monkeypatch.context() as broken:
            broken.setattr(Runner, "listen", lambda *_: raising(RedisUnavailable("no answer")))
            with pytest.raises(RedisUnavailable):
                scheduler.start()
        assert scheduler.http_port is None
        scheduler.start()
        eventually(lambda: scheduler.state == "leader", what="a leader")
        assert scheduler.http_port == port

    def test_it_cannot_be_started_again(self, bench: "Bench") -> None:
        scheduler = bench.started()
        scheduler.start()
        scheduler.stop()
        scheduler.stop()
        assert scheduler.state == "stopped"
        with pytest.raises(FairqueError, match="was stopped: make a new TaskScheduler"):
            scheduler.start()

    def test_it_is_a_context(self, bench: "Bench") -> None:
        with TaskScheduler.from_url(bench.url, queue=bench.keys.name) as scheduler:
            scheduler.start()
        assert scheduler.state == "stopped"

    def test_a_server_that_is_not_there_is_an_error_at_the_start(self) -> None:
        with pytest.raises(FairqueError, match="does not answer"):
            TaskScheduler.from_url("redis://localhost:1").start()

    def test_wrong_options_are_said_all_at_once(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            TaskScheduler.from_url("http://x", queue="a b", lease=0)
        assert len(caught.value.problems) == 3

    def test_a_misspelt_option_is_a_type_error_that_says_what_may_be_meant(self) -> None:
        options: Any = {"leese": 1}
        with pytest.raises(TypeError, match=r"'leese' \(did you mean 'lease'\?\)"):
            TaskScheduler.from_url("embedded://", **options)

    def test_every_setting_of_a_scheduler_is_an_option_with_a_type(self) -> None:
        assert SchedulerOptions.__annotations__.keys() == {one.name for one in fields(SchedulerSection)}


def test_a_signal_still_ends_a_program_that_hangs_in_an_import(
    bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks_of_signals.py").write_text("import signal\nHANDLER = signal.getsignal(signal.SIGTERM)\n")
    monkeypatch.syspath_prepend(tmp_path)
    scheduler = bench.scheduler(modules=["tasks_of_signals"])
    scheduler._control.tell()
    scheduler.run()
    assert sys.modules.pop("tasks_of_signals").HANDLER is signal.SIG_DFL
