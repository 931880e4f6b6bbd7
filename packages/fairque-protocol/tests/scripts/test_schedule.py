"""Schedules are stored, changed, paused, deleted and read; refused calls change nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.schedules import Overdue, ScheduleWrite
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import BatchTooLarge, InvalidSchedule, ProtocolError, ScheduleConflict, ScheduleNotFound
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedule_infos import Miss, MissReason, ScheduleInfo
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.states import Priority
from fairque.protocol.wire.schedules import encode_schedule
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, stored_schedule, stored_schedule_with

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

HOUR_MS = 3_600_000
Store = Callable[..., list[tuple[Status, int]]]


def hourly(name: str = "s", **fields: Any) -> Schedule:
    return stored_schedule(**{"schedule_id": name, "every_ms": 3_600_000, "user_id": "ann", "func": "f", **fields})


@pytest.fixture
def store(queue: "Bench") -> Store:
    def store(
        *schedules: Schedule,
        revision: int | None = 0,
        next_at: int | None = None,
        overdue: Overdue | None = None,
        message_limit: int = 262_144,
    ) -> list[tuple[Status, int]]:
        writes = [ScheduleWrite(schedule=one, revision=revision, next_at=next_at, overdue=overdue) for one in schedules]
        stored = queue.run(calls.schedule(queue.keys, writes, message_limit=message_limit))
        return [(one.code, one.revision) for one in stored]

    return store


def read(queue: "Bench", name: str = "s") -> ScheduleInfo:
    return queue.run(calls.read_schedule(queue.keys, name))


def due(queue: "Bench") -> dict[str, float]:
    return dict(queue.snapshot("due").get("due", []))


class TestStoring:
    def test_a_new_schedule_is_due_at_once_so_that_the_leader_computes_its_next_run(
        self, queue: "Bench", store: Store
    ) -> None:
        assert store(hourly()) == [(Status.OK, 1)]
        found = read(queue)
        assert (found.next_ms, found.from_ms, found.paused) == (None, queue.now_ms, False)
        assert due(queue) == {"s": 0}

    def test_a_next_run_that_the_caller_computed_is_used(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 5)
        assert (read(queue).next_ms, read(queue).from_ms) == (queue.now_ms + 5, None)
        assert due(queue) == {"s": queue.now_ms + 5}

    def test_a_paused_schedule_is_not_due(self, queue: "Bench", store: Store) -> None:
        store(hourly(paused=True), next_at=queue.now_ms)
        assert due(queue) == {}
        assert read(queue).paused

    def test_all_fields_are_read_back(self, queue: "Bench", store: Store) -> None:
        wanted = stored_schedule(
            schedule_id="ünï k:{x}",
            cron="0 3 * * *",
            timezone="Europe/Berlin",
            dst_gap="skip",
            func="m:f",
            args=(1, "ü", [None, True]),
            kwargs={"a": {"b": 1.5}},
            payload={"p": []},
            user_id="ann",
            priority=Priority.HIGH,
            retries=0,
            backoff=Backoff(base=2),
            timeout_ms=5,
            cost=0.5,
            start=1,
            end=2,
            jitter_ms=3,
            misfire_grace_ms=4,
            misfire="all",
            misfire_limit=6,
            overlap="skip",
            paused=False,
            declared=True,
        )
        store(wanted)
        found = read(queue, wanted.schedule_id).schedule
        assert found == wanted
        assert found.task.args == (1, "ü", [None, True])

    def test_repeating_the_call_changes_nothing(self, queue: "Bench", store: Store) -> None:
        store(hourly(paused=False), next_at=5)
        before = queue.snapshot()
        queue.advance(1_000)
        assert store(hourly(paused=False), next_at=6) == [(Status.ALREADY, 1)]
        store(hourly(args=(1,)), revision=1)
        after = queue.snapshot()
        assert store(hourly(args=(1,)), revision=1) == [(Status.ALREADY, 2)]
        assert queue.snapshot() == after != before

    def test_a_definition_with_keys_in_another_order_is_the_same_and_keeps_the_first_order(
        self, queue: "Bench", store: Store
    ) -> None:
        store(hourly(kwargs={"b": 1, "a": {"d": 2, "c": 3}}, payload={"y": 1, "x": 2}))
        before = queue.snapshot()
        same = hourly(kwargs={"a": {"c": 3.0, "d": 2}, "b": 1}, payload={"x": 2, "y": 1})
        assert store(same) == store(same, revision=1) == [(Status.ALREADY, 1)]
        assert queue.snapshot() == before
        assert list(read(queue).schedule.task.kwargs) == ["b", "a"]
        assert store(hourly(kwargs={"b": True, "a": {"d": 2, "c": 3}}), revision=1) == [(Status.OK, 2)]

    def test_a_new_schedule_whose_id_is_taken_refuses_the_whole_call(self, queue: "Bench", store: Store) -> None:
        store(hourly())
        before = queue.snapshot()
        with pytest.raises(ScheduleConflict, match=r"schedule 's' of .* exists with different content \(revision 1\)"):
            store(hourly("a"), hourly(args=(1,)))
        assert queue.snapshot() == before

    def test_a_schedule_without_further_runs_can_be_replaced_by_a_new_one(self, queue: "Bench", store: Store) -> None:
        once = hourly(every_ms=None, at=queue.now_ms)
        store(once, next_at=once.at_ms)
        move = calls.move(once, 1, time=once.at_ms, following=None, fire_at=once.at_ms)
        queue.run(calls.fire(queue.keys, [move], term=1, result_ttl_ms=9_000))
        before = queue.snapshot()
        assert store(once, next_at=None) == [(Status.ALREADY, 1)]
        assert queue.snapshot() == before
        with pytest.raises(ScheduleConflict):
            store(stored_schedule_with(once, args=(1,)), next_at=once.at_ms)
        later = stored_schedule_with(once, at=queue.now_ms + 70, args=(1,))
        assert store(later, next_at=later.at_ms) == [(Status.OK, 2)]
        assert store(later, next_at=later.at_ms) == [(Status.ALREADY, 2)]
        found = read(queue)
        assert (found.next_ms, found.forgotten_ms, found.last_ms, found.fired) == (later.at_ms, None, once.at_ms, 1)
        assert due(queue) == {"s": later.at_ms}
        with pytest.raises(ScheduleConflict):
            store(once)

    def test_a_change_of_an_old_revision_is_refused(self, store: Store) -> None:
        store(hourly())
        store(hourly(args=(1,)), revision=1)
        with pytest.raises(ScheduleConflict) as caught:
            store(hourly(args=(2,)), revision=1)
        assert caught.value.revision == 2
        assert store(hourly(args=(2,)), revision=None) == [(Status.OK, 3)]

    @pytest.mark.parametrize("revision", [1, None])
    def test_a_missing_schedule_cannot_be_changed(self, store: Store, revision: int | None) -> None:
        with pytest.raises(ScheduleNotFound, match="has no schedule 's'"):
            store(hourly(), revision=revision)

    def test_the_leader_is_notified_only_of_changes(self, queue: "Bench", store: Store) -> None:
        with queue.client.pubsub() as heard:
            heard.subscribe(queue.keys.changed)
            heard.get_message(timeout=5)
            for change in (
                lambda: store(hourly(), hourly("b")),
                lambda: queue.run(calls.enable(queue.keys, "s", on=False)),
                lambda: queue.run(calls.unschedule(queue.keys, "s")),
            ):
                change()
                message = heard.get_message(timeout=5)
                assert message is not None
                assert message["data"] == b"schedules"
                change()
                assert heard.get_message(timeout=0.05) is None


class TestChangesOfTimes:
    def test_a_change_of_only_the_task_keeps_a_due_run(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 10)
        queue.advance(50)
        store(hourly(args=(1,)), revision=1, next_at=queue.now_ms + 100)
        found = read(queue)
        assert (found.next_ms, found.missed) == (queue.now_ms - 40, 0)

    def test_changed_times_start_over_and_a_due_run_is_missed(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 10)
        queue.advance(50)
        store(hourly(every_ms=5_000), revision=1)
        found = read(queue)
        assert (found.next_ms, found.from_ms, found.missed) == (None, queue.now_ms, 1)
        due_at = queue.now_ms - 40
        assert found.misses == (
            Miss(first_at=from_epoch_ms(due_at), last_at=from_epoch_ms(due_at), count=1, reason="edited"),
        )
        assert queue.run(calls.read_scheduler(queue.keys)).missed == 1

    @pytest.mark.parametrize("change", ["edit", "disable", "pause"])
    def test_all_runs_that_the_caller_counted_are_missed(self, queue: "Bench", store: Store, change: str) -> None:
        at = queue.now_ms + 10
        store(hourly(), next_at=at)
        queue.advance(3 * HOUR_MS)
        overdue = Overdue(3, at, at + 2 * HOUR_MS)
        if change == "pause":
            queue.run(calls.enable(queue.keys, "s", on=False, overdue=overdue))
        else:
            fields: dict[str, Any] = {"every_ms": 5_000} if change == "edit" else {"paused": True}
            store(hourly(**fields), revision=1, overdue=overdue)
        found = read(queue)
        why: MissReason = "edited" if change == "edit" else "paused"
        assert found.missed == 3
        assert found.misses == (
            Miss(first_at=from_epoch_ms(at), last_at=from_epoch_ms(at + 2 * HOUR_MS), count=3, reason=why),
        )
        assert queue.run(calls.read_scheduler(queue.keys)).missed == 3

    def test_a_count_from_another_run_is_ignored(self, queue: "Bench", store: Store) -> None:
        """The leader moved the schedule meanwhile."""
        at = queue.now_ms + 10
        store(hourly(), next_at=at + HOUR_MS)
        overdue = Overdue(2, at, at + HOUR_MS)
        store(hourly(every_ms=5_000), revision=1, overdue=overdue, next_at=at + HOUR_MS)
        assert read(queue).missed == 0
        queue.advance(3 * HOUR_MS)
        queue.run(calls.enable(queue.keys, "s", on=False, overdue=overdue))
        assert read(queue).missed == 1

    def test_runs_since_a_pause_count_even_if_no_leader_has_computed_the_first(
        self, queue: "Bench", store: Store
    ) -> None:
        store(hourly())
        at = queue.now_ms + 10
        queue.advance(2 * HOUR_MS)
        queue.run(calls.enable(queue.keys, "s", on=False, overdue=Overdue(2, at, at + HOUR_MS)))
        assert read(queue).missed == 2

    def test_changing_times_before_the_next_run_misses_nothing(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 10)
        store(hourly(every_ms=5_000), revision=1, next_at=queue.now_ms + 20)
        assert (read(queue).missed, read(queue).next_ms) == (0, queue.now_ms + 20)


class TestEnabling:
    def test_a_paused_schedule_is_not_due_and_starts_over_when_resumed(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 10)
        assert queue.run(calls.enable(queue.keys, "s", on=False))
        assert (due(queue), read(queue).paused, read(queue).missed) == ({}, True, 0)
        queue.advance(60_000)
        assert queue.run(calls.enable(queue.keys, "s", on=True))
        assert (due(queue), read(queue).from_ms) == ({"s": 0}, queue.now_ms)
        assert read(queue).revision == 3

    def test_pausing_again_changes_nothing(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=queue.now_ms + 10)
        before = queue.snapshot()
        assert not queue.run(calls.enable(queue.keys, "s", on=True))
        assert queue.snapshot() == before

    def test_a_change_keeps_a_schedule_paused_unless_it_says_otherwise(self, queue: "Bench", store: Store) -> None:
        store(hourly(paused=True))
        store(hourly(args=(1,)), revision=1)
        assert read(queue).paused
        store(hourly(args=(1,), paused=False), revision=2)
        assert not read(queue).paused

    def test_a_missing_schedule_is_an_error(self, queue: "Bench") -> None:
        with pytest.raises(ScheduleNotFound):
            queue.run(calls.enable(queue.keys, "s", on=True))


class TestRemoving:
    def test_a_deleted_schedule_leaves_nothing_behind(self, queue: "Bench", store: Store) -> None:
        store(hourly(), next_at=5)
        assert queue.run(calls.unschedule(queue.keys, "s", revision=1))
        assert queue.snapshot().keys() == {"meta", "counts"}
        assert not queue.run(calls.unschedule(queue.keys, "s"))

    def test_a_schedule_with_another_revision_is_kept(self, queue: "Bench", store: Store) -> None:
        store(hourly())
        with pytest.raises(ScheduleConflict):
            queue.run(calls.unschedule(queue.keys, "s", revision=2))
        assert read(queue)

    @pytest.mark.parametrize("revision", [None, 1])
    def test_an_unreadable_schedule_is_set_aside(self, queue: "Bench", store: Store, revision: int | None) -> None:
        store(hourly())
        queue.client.set(f"{queue.keys.prefix}schedule:s", b"\xc1")
        assert queue.run(calls.unschedule(queue.keys, "s", revision=revision))
        assert queue.client.get(f"{queue.keys.prefix}broken:schedule:s") == b"\xc1"
        assert not queue.snapshot("schedules", "due")
        assert not queue.run(calls.unschedule(queue.keys, "s"))

    def test_a_stray_index_entry_is_removed_too(self, queue: "Bench", store: Store) -> None:
        store(hourly())
        queue.client.delete(f"{queue.keys.prefix}schedule:s")
        assert queue.run(calls.unschedule(queue.keys, "s"))
        assert not queue.snapshot("schedules", "due")


class TestUnreadable:
    def test_a_new_schedule_replaces_it_and_the_old_record_is_set_aside(self, queue: "Bench", store: Store) -> None:
        store(hourly())
        queue.client.set(f"{queue.keys.prefix}schedule:s", b"\xc1")
        assert store(hourly()) == [(Status.OK, 2)]
        assert read(queue).revision == 2
        assert queue.client.get(f"{queue.keys.prefix}broken:schedule:s") == b"\xc1"

    def test_a_change_of_it_is_refused_and_changes_nothing(self, queue: "Bench", store: Store) -> None:
        store(hourly())
        queue.client.set(f"{queue.keys.prefix}schedule:s", b"\xc1")
        before = queue.snapshot_raw()
        with pytest.raises(ScheduleNotFound):
            store(hourly(), revision=None)
        with pytest.raises(ScheduleNotFound):
            queue.run(calls.enable(queue.keys, "s", on=False))
        assert queue.snapshot_raw() == before


class TestReading:
    def test_pages_are_in_the_order_of_the_ids(self, queue: "Bench", store: Store) -> None:
        store(*(hourly(name) for name in "dbca"))
        first = queue.run(calls.read_schedules(queue.keys, most=3))
        assert [one.schedule_id for one in first] == ["a", "b", "c"]
        rest = queue.run(calls.read_schedules(queue.keys, after=first.next, most=3))
        assert ([one.schedule_id for one in rest], rest.next) == (["d"], None)

    def test_due_schedules_are_in_the_order_of_time(self, queue: "Bench", store: Store) -> None:
        for name, ahead in (("a", 300), ("b", 100), ("c", 200), ("d", 5_000)):
            store(hourly(name), next_at=queue.now_ms + ahead)

        def due_in(ahead_ms: int, most: int = 100, skip: int = 0) -> list[str]:
            found = queue.run(calls.due(queue.keys, ahead_ms=ahead_ms, most=most, skip=skip))
            assert found.at_ms == queue.now_ms
            return [f"{name}{at - queue.now_ms}" for name, at in found.times]

        assert due_in(99) == []
        assert due_in(1_000) == ["b100", "c200", "a300"]
        assert due_in(1_000, most=2) == ["b100", "c200"]
        assert due_in(1_000, most=2, skip=1) == ["c200", "a300"]

    def test_schedules_are_read_by_their_ids_and_missing_ones_are_omitted(self, queue: "Bench", store: Store) -> None:
        store(hourly("a"), hourly("b"), hourly("c"))
        found, told = queue.run(calls.read_some(queue.keys, ["c", "x", "a"]))
        assert ([one.schedule_id for one in found], told) == (["c", "a"], 3)

    def test_a_page_ends_before_it_is_too_large_and_the_next_one_continues_after_it(
        self, queue: "Bench", store: Store
    ) -> None:
        for name in "abcdefg":
            store(hourly(name, payload=name * (1_500_000 if name == "c" else 700_000)), message_limit=2**22)
        pages: list[str] = []
        after: str | None = None
        while not pages or after is not None:
            page = queue.run(calls.read_schedules(queue.keys, after=after, most=5))
            pages.append("".join(one.schedule_id for one in page))
            after = page.next
        assert pages == ["abcd", "efg"]
        rest = 2**22 - len(encode_schedule(hourly("aa", payload="")))
        store(hourly("aa", payload="x" * rest), message_limit=2**23, next_at=queue.now_ms)
        queue.run(calls.enable(queue.keys, "aa", on=False))
        assert read(queue, "aa").misses
        assert [one.schedule_id for one in queue.run(calls.read_schedules(queue.keys))] == ["a"]
        page = queue.run(calls.read_schedules(queue.keys, after="a"))
        assert ([one.schedule_id for one in page], page.next) == (["aa"], "aa")

    def test_a_page_with_an_unreadable_schedule_is_not_the_last_one(self, queue: "Bench", store: Store) -> None:
        store(*(hourly(name) for name in "abc"))
        queue.client.delete(f"{queue.keys.prefix}schedule:b")
        page = queue.run(calls.read_schedules(queue.keys, most=2))
        assert ([one.schedule_id for one in page], page.next) == (["a"], "b")

    def test_if_schedules_are_too_large_together_the_first_ones_are_returned(
        self, queue: "Bench", store: Store
    ) -> None:
        for name in "abc":
            store(hourly(name, payload=name * 1_500_000), message_limit=2**22)
        found, told = queue.run(calls.read_some(queue.keys, ["x", "a", "b", "c"]))
        assert ([one.schedule_id for one in found], told) == (["a", "b"], 3)

    def test_a_missing_schedule_is_an_error(self, queue: "Bench") -> None:
        with pytest.raises(ScheduleNotFound):
            read(queue)

    def test_the_numbers_say_how_many_are_overdue(self, queue: "Bench", store: Store) -> None:
        store(hourly("a"), next_at=queue.now_ms + 100)
        store(hourly("b"), next_at=queue.now_ms + 200)
        queue.advance(150)
        found = queue.run(calls.read_scheduler(queue.keys))
        assert (found.schedules, found.overdue, found.next_ms) == (2, 1, queue.now_ms - 50)
        assert (found.leader, found.term) == (None, 0)


class TestBadInput:
    def test_all_problems_of_all_schedules_are_reported_at_once(self, store: Store) -> None:
        wrong: list[Any] = [
            hourly("a", user_id=None, cron="* * * * *"),
            hourly("a", start=10, end=5, jitter_ms=-1, misfire="never"),
            stored_schedule(schedule_id="x" * 101, user_id="ann", args=({1},)),
        ]
        with pytest.raises(InvalidSchedule) as caught:
            store(*wrong)
        assert caught.value.problems == (
            "schedule 'a': give one of cron, every and at, to say when; found cron and every",
            "schedule 'a': its task has no user_id: whose share of the workers does it use?",
            "schedule 'a': end is before start, by 0.005 s: it could never fire",
            "schedule 'a': jitter must be a number of seconds from 0 to 86,400, not -0.001",
            "schedule 'a': misfire must be one of latest, all, skip, not 'never'",
            f"the id of a schedule '{'x' * 101}' has more than 100 bytes of UTF-8",
            f"schedule '{'x' * 101}': give one of cron, every and at, to say when; found none of them",
            (
                f"schedule '{'x' * 101}': args[0] is not a JSON value but builtins.set: "
                "pass numbers, strings, booleans, None, lists and dictionaries of them"
            ),
            "schedule 'a': it is there twice",
        )

    def test_a_message_above_the_limit_is_refused_before_it_can_ever_fire(self, queue: "Bench") -> None:
        large = ScheduleWrite(schedule=hourly(payload="x" * 500), revision=0)
        with pytest.raises(InvalidSchedule, match=r"the message of its tasks has 6\d\d bytes, allowed are 500"):
            calls.schedule(queue.keys, [large], message_limit=500)

    @pytest.mark.parametrize("number", [0, 101])
    def test_a_call_stores_1_to_100_schedules(self, queue: "Bench", number: int) -> None:
        with pytest.raises(BatchTooLarge, match="an atomic call takes 1 to 100"):
            calls.schedule(queue.keys, [ScheduleWrite(schedule=hourly(), revision=0)] * number, message_limit=500)

    @pytest.mark.parametrize("name", ["", "a\nb", "x" * 101, 5])
    def test_an_invalid_id_is_neither_read_nor_deleted(self, queue: "Bench", name: Any) -> None:
        for call in (calls.read_schedule, calls.unschedule):
            with pytest.raises(InvalidSchedule, match="the id of a schedule"):
                call(queue.keys, name)

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            *((0, ""), (0, "x" * 101), (1, "-1"), (1, "x"), (2, ""), (3, "x"), (4, "2")),
            *((5, ""), (5, "-1"), (6, "2"), (7, "x"), (8, ""), (9, "")),
        ],
    )
    def test_the_script_refuses_arguments_that_no_builder_sends(self, queue: "Bench", place: int, value: str) -> None:
        arguments = ["s", "0", "t", "", "1", "0", "0", "0", "{}", "c"]
        arguments[place] = value
        assert queue.raw("schedule", *arguments)[0] == Status.BAD_ARGS
        assert queue.raw("schedule", *arguments[1:])[0] == Status.BAD_ARGS
        assert queue.snapshot().keys() == {"meta"}

    def test_a_definition_of_a_later_version_is_unreadable(self, queue: "Bench") -> None:
        queue.raw("schedule", "s", "0", "t", "", "1", "0", "0", "0", '{"v":2,"id":"s"}', "c")
        with pytest.raises(ProtocolError, match="has version 2"):
            read(queue)
