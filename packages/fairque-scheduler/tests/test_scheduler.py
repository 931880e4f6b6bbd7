"""`TaskScheduler` as a program uses it: schedules are added, changed, stopped, removed and read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import FairqueError, InvalidSchedule, ScheduleConflict, ScheduleNotFound
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.service.loading import CannotImport
from fairque.scheduler import ConfigurationError, TaskScheduler

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]
HOUR_MS = 3_600_000


class TestAdding:
    def test_it_says_when_it_fires_next(self, bench: "Bench", every: Every) -> None:
        now_ms = bench.now_ms()
        added = bench.scheduler().add_schedule(every("s", 3_600, args=[1]))
        assert added.next_at == (now_ms // HOUR_MS + 1) * HOUR_MS
        assert (added.schedule.args, added.enabled, added.fired) == ((1,), True, 0)

    def test_the_same_one_again_changes_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        first = scheduler.add_schedule(every("s", 3_600))
        assert scheduler.add_schedule(every("s", 3_600)) == first

    def test_a_taken_id_is_refused(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("s", 3_600))
        with pytest.raises(ScheduleConflict, match=r"schedule 's' of queue .* exists with other content"):
            scheduler.add_schedule(every("s", 60))

    def test_all_problems_are_said_at_once(self, bench: "Bench") -> None:
        wrong = Schedule.create(
            "s",
            cron="0 25 * * *",
            timezone="Europe/Berln",
            start=datetime(2026, 2, 1, tzinfo=UTC),
            end=datetime(2026, 1, 1, tzinfo=UTC),
            jitter=-1,
        )
        with pytest.raises(InvalidSchedule) as caught:
            bench.scheduler().add_schedule(wrong)
        problems = "\n".join(caught.value.problems)
        for expected in (
            "schedule 's': end is before start",
            "schedule 's': jitter must be",
            "schedule 's': user_id is missing",
            "schedule 's': cron expression '0 25 * * *': field 2",
            "schedule 's': time zone 'Europe/Berln' is unknown: did you mean Europe/Berlin",
        ):
            assert expected in problems
        assert len(caught.value.problems) == 5
        assert not bench.scheduler().list_schedules().rows

    @pytest.mark.parametrize(
        "fields",
        [
            {"at": datetime(2020, 1, 1, tzinfo=UTC)},
            {"cron": "@daily", "end": datetime(2020, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_one_whose_times_are_past_is_refused(self, bench: "Bench", fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidSchedule, match="it would never fire: all of its times are past"):
            bench.scheduler().add_schedule(Schedule.create("s", user_id="ann", **fields))

    def test_an_impossible_date_is_refused(self, bench: "Bench") -> None:
        with pytest.raises(InvalidSchedule, match="'0 0 30 2 \\*'"):
            bench.scheduler().add_schedule(Schedule.create("s", cron="0 0 30 2 *", user_id="ann"))

    def test_a_function_that_the_modules_do_not_have_is_refused(
        self, bench: "Bench", every: Every, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scheduled_shop.py").write_text("def report(): ...\ndef _hidden(): ...\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        scheduler = bench.scheduler(modules=["scheduled_shop"])
        REGISTRY.register(TestAdding.test_a_taken_id_is_refused, "scheduled.named")
        assert scheduler.add_schedule(every("a", 60, func="scheduled_shop:report"))
        assert scheduler.add_schedule(every("b", 60, func="scheduled.named"))
        for unknown in ("scheduled_shop:_hidden", "os:getcwd", "scheduled.nmed"):
            with pytest.raises(InvalidSchedule, match=f"no task function '{unknown}' is in scheduled_shop"):
                scheduler.add_schedule(every("c", 60, func=unknown))

    def test_a_module_that_cannot_be_imported_is_an_error(self, bench: "Bench", every: Every) -> None:
        with pytest.raises(CannotImport, match="module 'no_such_shop' cannot be imported"):
            bench.scheduler(modules=["no_such_shop"]).add_schedule(every("s", 60))


class TestChanging:
    def test_a_change_of_the_task_keeps_the_next_time(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        before = scheduler.add_schedule(every("s", 3_600))
        after = scheduler.update_schedule(every("s", 3_600, args=[2]))
        assert (after.next_at, after.schedule.args) == (before.next_at, (2,))
        assert after.revision > before.revision

    def test_other_times_count_from_now(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("s", 86_400 * 300))
        after = scheduler.update_schedule(every("s", 3_600))
        assert after.next_at is not None
        assert 0 < after.next_at - bench.now_ms() <= HOUR_MS

    def test_a_change_since_it_was_read_is_noticed(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        read = scheduler.add_schedule(every("s", 3_600))
        scheduler.update_schedule(every("s", 60), revision=read.revision)
        with pytest.raises(ScheduleConflict):
            scheduler.update_schedule(every("s", 70), revision=read.revision)

    def test_what_is_not_there_cannot_be_changed(self, bench: "Bench", every: Every) -> None:
        with pytest.raises(ScheduleNotFound):
            bench.scheduler().update_schedule(every("s", 60))
        with pytest.raises(InvalidSchedule, match="revision 0"):
            bench.scheduler().update_schedule(every("s", 60), revision=0)

    def test_one_is_stopped_and_fires_again(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("s", 3_600))
        assert scheduler.pause_schedule("s")
        assert not scheduler.pause_schedule("s")
        assert (scheduler.get_schedule("s").enabled, scheduler.get_schedule("s").next_at) == (False, None)
        assert not scheduler.update_schedule(every("s", 3_600, args=[1])).enabled
        assert scheduler.resume_schedule("s")
        assert scheduler.get_schedule("s").next_at is not None

    def test_one_is_removed(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("s", 3_600))
        assert scheduler.remove_schedule("s")
        assert not scheduler.remove_schedule("s")
        with pytest.raises(ScheduleNotFound):
            scheduler.get_schedule("s")


class TestReading:
    def test_pages(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        for name in "cab":
            scheduler.add_schedule(every(name, 60))
        page = scheduler.list_schedules(most=2)
        assert [one.schedule_id for one in page] == ["a", "b"]
        assert [one.schedule_id for one in scheduler.list_schedules(after=page.next)] == ["c"]

    def test_which_are_due_next(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        for name, seconds in (("a", 86_400 * 1_000), ("b", 60), ("c", 86_400 * 100)):
            scheduler.add_schedule(every(name, seconds))
        scheduler.add_schedule(every("d", 60, enabled=False))
        assert [one.schedule_id for one in scheduler.next_schedules()] == ["b", "c", "a"]
        assert [one.schedule_id for one in scheduler.next_schedules(1)] == ["b"]


class TestApplying:
    def test_declared_ones_are_added_changed_and_left(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("program", 60))
        first = scheduler.apply_schedules([every("a", 60), every("b", 60)])
        assert first.changes == ("schedule 'a': added", "schedule 'b': added")
        again = scheduler.apply_schedules([every("a", 60), every("b", 60)])
        assert (again.changes, again.unchanged, again.undeclared) == ((), 2, ())
        changed = scheduler.apply_schedules([every("a", 60, args=[1]), every("b", 70)])
        assert changed.changes == ("schedule 'a': args () -> (1,)", "schedule 'b': every_ms 60000 -> 70000")

    def test_removed_ones_are_named_and_stay_until_they_are_pruned(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.add_schedule(every("program", 60))
        scheduler.apply_schedules([every("a", 60), every("b", 60)])
        planned = scheduler.apply_schedules([every("a", 60)])
        assert [info.schedule_id for info in planned.undeclared] == ["b"]
        assert scheduler.get_schedule("b")
        scheduler.apply_schedules([every("a", 60)], prune=True)
        assert [info.schedule_id for info in scheduler.list_schedules()] == ["a", "program"]

    def test_one_that_an_operator_stopped_stays_so_unless_it_is_declared(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        scheduler.apply_schedules([every("a", 60)])
        scheduler.pause_schedule("a")
        assert not scheduler.apply_schedules([every("a", 60)]).changes
        assert not scheduler.get_schedule("a").enabled
        assert scheduler.apply_schedules([every("a", 60, enabled=True)]).changes == (
            "schedule 'a': enabled False -> True",
        )
        assert scheduler.get_schedule("a").enabled

    def test_a_dry_run_changes_nothing(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        assert scheduler.apply_schedules([every("a", 60)], dry_run=True).changes
        assert not scheduler.list_schedules().rows

    def test_one_whose_times_are_past_is_left_out(self, bench: "Bench") -> None:
        past = Schedule.create("s", at=datetime.now(UTC) - timedelta(days=1), user_id="ann")
        planned = bench.scheduler().apply_schedules([past])
        assert (planned.over, planned.changes) == (("s",), ())

    def test_all_problems_of_all_are_said_and_nothing_is_stored(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        with pytest.raises(InvalidSchedule) as caught:
            scheduler.apply_schedules([every("a", 60), every("a", 70), every("b", -1)])
        assert len(caught.value.problems) == 2
        assert not scheduler.list_schedules().rows

    def test_more_than_one_call_takes(self, bench: "Bench", every: Every) -> None:
        scheduler = bench.scheduler()
        schedules = [every(f"s{n:03}", 60) for n in range(250)]
        assert len(scheduler.apply_schedules(schedules).changes) == 250
        assert scheduler.apply_schedules(schedules).unchanged == 250


class TestObject:
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
            TaskScheduler.from_url("http://x", queue="a b", lease_seconds=0, leese=1)
        assert len(caught.value.problems) == 4
