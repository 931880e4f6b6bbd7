"""Firing: a run enqueues one task, whichever scheduler fires it and how often; and the lead, which only saves work."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.fire import Fired, Firing, Move
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.schedule_infos import Miss, Moved, ScheduleInfo
from fairque.protocol.model.schedules import Schedule, task_id_of
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.codec import decode_task
from fairque.protocol.wire.holder import holder_of
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, packed, stored_schedule

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

KEEP_MS = 60_000


def every_second(name: str = "s", **fields: Any) -> Schedule:
    return stored_schedule(**{"schedule_id": name, "every_ms": 1_000, "user_id": "ann", "func": "f", **fields})


class Clockwork:
    """Schedules of a queue that are fired by hand.

    Attributes:
        queue: Its keys.
        start: The next time of each schedule when it is stored.
    """

    def __init__(self, queue: "Bench") -> None:
        self.queue = queue
        self.start = queue.now_ms

    def store(self, *schedules: Schedule, revision: int | None = 0) -> None:
        writes = [ScheduleWrite(schedule=one, revision=revision, next_at=self.start) for one in schedules]
        self.queue.run(calls.schedule(self.queue.keys, writes, message_limit=262_144))

    def read(self, name: str = "s") -> ScheduleInfo:
        return self.queue.run(calls.read_schedule(self.queue.keys, name))

    def moves(self, *moves: Move, term: int = 1) -> Firing:
        return self.queue.run(calls.fire(self.queue.keys, moves, term=term, result_ttl_ms=KEEP_MS))

    def move(self, time: int | None, following: int | None, **changes: Any) -> Fired:
        schedule, revision = changes.pop("schedule", every_second()), changes.pop("revision", 1)
        move = calls.move(schedule, revision, **{"time": time, "following": following, "fire_at": time, **changes})
        return self.moves(move).fired[0]

    def tasks(self) -> list[str]:
        return sorted(key[2:] for key in self.queue.snapshot("t:"))


@pytest.fixture
def clockwork(queue: "Bench") -> Clockwork:
    return Clockwork(queue)


class TestATime:
    def test_a_run_enqueues_its_task_and_sets_the_next_run(self, queue: "Bench", clockwork: Clockwork) -> None:
        schedule = every_second(args=(1,), payload={"p": 2}, priority=Priority.HIGH, timeout_ms=5_000, cost=0.5)
        clockwork.store(schedule)
        queue.advance(20)
        at = clockwork.start
        fired = clockwork.moves(calls.move(schedule, 1, time=at, following=at + 1_000, fire_at=at))
        assert fired == Firing(queue.now_ms, None, (Fired(Status.OK, at + 1_000, 0),))
        found = clockwork.read()
        assert (found.next_ms, found.last_ms, found.fired, found.missed) == (at + 1_000, at, 1, 0)
        assert found.last_task_id == task_id_of("s", at)
        assert found.moved == Moved(term=1, revision=1, time=at, code=Status.OK, at_ms=queue.now_ms)
        assert queue.snapshot("due") == {"due": [("s", at + 1_000)]}
        assert queue.woken()
        (granted,) = queue.pop()
        task = decode_task(granted.message)
        assert (task.task_id, task.func, task.args, task.payload) == (f"schedule:s:{at}", "f", (1,), {"p": 2})
        assert (task.user_id, task.priority, task.timeout_ms, task.cost) == ("ann", Priority.HIGH, 5_000, 0.5)
        assert queue.finish(granted) == [(Status.OK, TaskState.FINISHED)]

    def test_repeating_the_call_enqueues_nothing_more(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        at = clockwork.start
        clockwork.move(at, at + 1_000)
        before = queue.snapshot()
        assert clockwork.move(at, at + 1_000) == Fired(Status.ALREADY, at + 1_000, 0)
        assert queue.snapshot() == before

    def test_two_leaders_with_different_knowledge_enqueue_one_task(self, clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        at = clockwork.start
        clockwork.move(at, at + 1_000)
        assert clockwork.move(at, at + 500) == Fired(Status.ALREADY, at + 1_000, 0)
        assert clockwork.tasks() == [f"schedule:s:{at}"]

    def test_a_run_whose_task_already_exists_enqueues_no_other_task(self, queue: "Bench", clockwork: Clockwork) -> None:
        """As after a restart of the server that lost the schedule's last step, or a task of that id by hand."""
        at = clockwork.start
        queue.push(queue.task("bob", f"schedule:s:{at}"))
        clockwork.store(every_second())
        assert clockwork.move(at, at + 1_000) == Fired(Status.ALREADY, at + 1_000, 0)
        assert (clockwork.read().next_ms, clockwork.read().fired) == (at + 1_000, 0)
        assert queue.info(f"schedule:s:{at}").user_id == "bob"

    def test_a_run_that_is_not_due_does_nothing(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.start += 1
        clockwork.store(every_second())
        before = queue.snapshot()
        assert clockwork.move(clockwork.start, clockwork.start + 1_000) == Fired(Status.EARLY, clockwork.start, 0)
        assert queue.snapshot() == {**before, "g": queue.snapshot()["g"]}

    def test_a_schedule_that_was_changed_paused_or_deleted_is_not_fired(
        self, queue: "Bench", clockwork: Clockwork
    ) -> None:
        clockwork.store(every_second("a"), every_second("b"), every_second("c"))
        clockwork.store(every_second("a", args=(1,)), revision=1)
        queue.run(calls.enable(queue.keys, "b", on=False))
        queue.run(calls.unschedule(queue.keys, "c"))
        at = clockwork.start
        moves = [calls.move(every_second(c), n, time=at, following=None, fire_at=at) for n, c in enumerate("abc", 1)]
        codes = [fired.code for fired in clockwork.moves(*moves).fired]
        assert codes == [Status.CHANGED, Status.CHANGED, Status.NOT_FOUND]
        assert clockwork.tasks() == []

    def test_an_unreadable_schedule_is_set_aside_and_no_longer_due(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second(), every_second("other"))
        queue.client.set(f"{queue.keys.prefix}schedule:s", b"\xc1")
        assert clockwork.move(clockwork.start, clockwork.start + 1_000) == Fired(Status.NOT_FOUND, None, 0)
        assert queue.snapshot("schedules", "due") == {
            "schedules": [("other", 0)],
            "due": [("other", clockwork.start)],
        }
        assert queue.client.get(f"{queue.keys.prefix}broken:schedule:s") == b"\xc1"
        assert queue.stats().broken == 1
        assert clockwork.tasks() == []

    def test_a_schedule_that_was_deleted_and_added_again_is_a_different_one(
        self, queue: "Bench", clockwork: Clockwork
    ) -> None:
        clockwork.store(every_second())
        queue.run(calls.unschedule(queue.keys, "s"))
        clockwork.store(every_second(args=("new",)))
        at = clockwork.start
        assert clockwork.move(at, at + 1_000).code == Status.CHANGED
        assert clockwork.tasks() == []

    def test_a_paused_schedule_does_not_fire_even_with_its_current_revision(
        self, queue: "Bench", clockwork: Clockwork
    ) -> None:
        clockwork.store(every_second())
        queue.run(calls.enable(queue.keys, "s", on=False))
        assert clockwork.move(None, clockwork.start, revision=2, fire_at=None).code == Status.CHANGED
        assert clockwork.read().next_ms is None


class TestManyTimes:
    def test_several_runs_of_a_schedule_are_fired_in_one_call(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        queue.advance(2_500)
        at = clockwork.start
        times = [at, at + 1_000, at + 2_000]
        moves = [calls.move(every_second(), 1, time=t, following=t + 1_000, fire_at=t) for t in times]
        assert [fired.code for fired in clockwork.moves(*moves).fired] == [Status.OK] * 3
        assert clockwork.tasks() == [task_id_of("s", t) for t in times]
        assert queue.pop_ids(3) == [task_id_of("s", t) for t in times]

    def test_the_result_of_a_move_does_not_affect_the_others(self, clockwork: Clockwork) -> None:
        clockwork.store(*(every_second(f"s{n}") for n in range(50)))
        at = clockwork.start
        moves = [
            calls.move(every_second(f"s{n}"), n + 1 + n % 2, time=at, following=at + 9, fire_at=at) for n in range(50)
        ]
        codes = [fired.code for fired in clockwork.moves(*moves).fired]
        assert codes == [Status.OK, Status.CHANGED] * 25
        assert len(clockwork.tasks()) == 25

    def test_a_user_with_a_full_backlog_does_not_block_others(self, queue: "Bench", clockwork: Clockwork) -> None:
        queue.limit("ann", backlog=2)
        names = [("a", "ann"), ("b", "bob"), ("c", "ann"), ("d", "ann"), ("e", "bob")]
        schedules = [every_second(name, user_id=user) for name, user in names]
        clockwork.store(*schedules)
        at = clockwork.start
        moves = [calls.move(one, n, time=at, following=at + 9, fire_at=at) for n, one in enumerate(schedules, 1)]
        fired = clockwork.moves(*moves).fired
        assert [one.code for one in fired] == [Status.OK, Status.OK, Status.OK, Status.FULL, Status.OK]
        assert (fired[3].next_at, fired[3].pause_ms) == (at, 1_000)
        assert clockwork.read("d").next_ms == at
        queue.limit("ann", backlog=None)
        assert clockwork.moves(*moves).fired[3].code == Status.OK

    def test_the_backlog_of_the_queue_counts_too(self, queue: "Bench", clockwork: Clockwork) -> None:
        queue.run(calls.configure(queue.keys, backlog=3))
        queue.push(queue.task())
        schedules = [every_second(name) for name in "abc"]
        clockwork.store(*schedules)
        at = clockwork.start
        moves = [calls.move(one, n, time=at, following=at + 9, fire_at=at) for n, one in enumerate(schedules, 1)]
        assert [one.code for one in clockwork.moves(*moves).fired] == [Status.OK, Status.OK, Status.FULL]


class TestWithoutATask:
    def test_the_first_run_is_set_only_once(self, queue: "Bench", clockwork: Clockwork) -> None:
        queue.run(
            calls.schedule(queue.keys, [ScheduleWrite(schedule=every_second(), revision=0)], message_limit=262_144)
        )
        assert clockwork.move(None, 5_000).next_at == 5_000
        assert clockwork.move(None, 9_000) == Fired(Status.ALREADY, 5_000, 0)

    def test_misfires_are_counted_and_listed(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        queue.advance(5_500)
        at = clockwork.start
        clockwork.move(at, at + 6_000, fire_at=at + 5_000, missed=5, missed_last=at + 4_000)
        found = clockwork.read()
        assert (found.fired, found.missed, found.last_ms) == (1, 5, at + 5_000)
        assert found.misses == (
            Miss(first_at=from_epoch_ms(at), last_at=from_epoch_ms(at + 4_000), count=5, reason="late"),
        )
        status = queue.run(calls.read_scheduler(queue.keys))
        assert (status.fired, status.missed, status.skipped) == (1, 5, 0)

    def test_misfires_without_a_fired_run_in_between_share_an_entry(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        queue.advance(60_000)
        at = clockwork.start
        clockwork.move(at, at + 3_000, fire_at=None, missed=3, missed_last=at + 2_000)
        clockwork.move(at + 3_000, at + 6_000, fire_at=at + 5_000, missed=2, missed_last=at + 4_000)
        clockwork.move(at + 6_000, at + 7_000, fire_at=None, missed=1, missed_last=at + 6_000)
        assert clockwork.read().misses == (
            Miss(first_at=from_epoch_ms(at + 6_000), last_at=from_epoch_ms(at + 6_000), count=1, reason="late"),
            Miss(first_at=from_epoch_ms(at), last_at=from_epoch_ms(at + 4_000), count=5, reason="late"),
        )

    def test_the_list_of_misfires_is_bounded(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        queue.advance(60_000)
        for n in range(0, 60, 2):
            at = clockwork.start + 1_000 * n
            clockwork.move(at, at + 2_000, fire_at=at + 1_000, missed=1, missed_last=at)
        found = clockwork.read()
        assert (found.missed, len(found.misses)) == (30, 20)
        assert found.misses[0].first_at == from_epoch_ms(clockwork.start + 58_000)

    def test_a_schedule_ends_with_its_last_run_and_expires_later(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        assert clockwork.move(clockwork.start, None).next_at is None
        found = clockwork.read()
        assert (found.next_ms, found.from_ms, found.forgotten_ms) == (None, None, queue.now_ms + KEEP_MS)
        queue.advance(KEEP_MS - 1)
        clockwork.move(None, None)
        assert clockwork.read()
        queue.advance(1)
        clockwork.move(None, None)
        assert not queue.snapshot("schedule", "due")


class TestOverlap:
    def test_a_run_is_skipped_while_the_previous_task_has_not_ended(self, queue: "Bench", clockwork: Clockwork) -> None:
        schedule = every_second(overlap="skip")
        clockwork.store(schedule)
        queue.advance(3_500)
        at = clockwork.start
        assert clockwork.move(at, at + 1_000, schedule=schedule).code == Status.OK
        assert clockwork.move(at + 1_000, at + 2_000, schedule=schedule).code == Status.SKIPPED
        moved = clockwork.read().moved
        assert moved is not None
        assert (moved.time, moved.code) == (at + 1_000, Status.SKIPPED)
        found = clockwork.read()
        assert (found.fired, found.skipped, found.missed, found.last_ms) == (1, 1, 0, at)
        assert found.misses == (
            Miss(first_at=from_epoch_ms(at + 1_000), last_at=from_epoch_ms(at + 1_000), count=1, reason="overlap"),
        )
        (granted,) = queue.pop()
        assert clockwork.move(at + 2_000, at + 3_000, schedule=schedule).code == Status.SKIPPED
        queue.finish(granted)
        assert clockwork.move(at + 3_000, at + 4_000, schedule=schedule).code == Status.OK

    def test_runs_are_also_skipped_within_one_call(self, queue: "Bench", clockwork: Clockwork) -> None:
        schedule = every_second(overlap="skip")
        clockwork.store(schedule)
        queue.advance(1_500)
        at = clockwork.start
        moves = [calls.move(schedule, 1, time=t, following=t + 1_000, fire_at=t) for t in (at, at + 1_000)]
        assert [one.code for one in clockwork.moves(*moves).fired] == [Status.OK, Status.SKIPPED]

    def test_an_expired_previous_task_counts_as_ended(self, queue: "Bench", clockwork: Clockwork) -> None:
        schedule = every_second(overlap="skip")
        clockwork.store(schedule)
        at = clockwork.start
        clockwork.move(at, at + 1_000, schedule=schedule)
        queue.client.delete(f"{queue.keys.prefix}t:schedule:s:{at}")
        queue.advance(1_000)
        assert clockwork.move(at + 1_000, None, schedule=schedule).code == Status.OK


class TestLeading:
    def lead(self, queue: "Bench", holder: str, lease_ms: int = 1_000) -> Any:
        return queue.run(calls.lead(queue.keys, holder, lease_ms=lease_ms))

    def test_one_scheduler_leads_and_the_others_learn_its_lease(self, queue: "Bench") -> None:
        first = self.lead(queue, "a")
        assert (first.leads, first.term) == (True, 1)
        queue.advance(400)
        other = self.lead(queue, "b")
        assert (other.leads, other.term, other.lease_ms, other.holder) == (False, 1, 600, "a")

    def test_the_leader_renews_its_lease_in_the_same_term(self, queue: "Bench") -> None:
        self.lead(queue, "a")
        queue.advance(999)
        assert self.lead(queue, "a").term == 1
        queue.advance(999)
        assert not self.lead(queue, "b").leads

    def test_after_the_lease_another_scheduler_leads_in_a_later_term(self, queue: "Bench") -> None:
        self.lead(queue, "a")
        queue.advance(1_000)
        assert (self.lead(queue, "b").term, self.lead(queue, "a").leads) == (2, False)

    def test_a_leader_that_resigns_frees_the_lead_at_once_and_notifies(self, queue: "Bench") -> None:
        self.lead(queue, "a")
        with queue.client.pubsub() as heard:
            heard.subscribe(queue.keys.changed)
            heard.get_message(timeout=5)
            assert not self.lead(queue, "b", 0).leads
            assert heard.get_message(timeout=0.05) is None
            self.lead(queue, "a", 0)
            message = heard.get_message(timeout=5)
            assert message is not None
            assert message["data"] == b"leader"
        assert self.lead(queue, "b").term == 2
        assert self.lead(queue, "a", 0).term == 2

    def test_repeating_the_call_answers_the_same(self, queue: "Bench") -> None:
        assert self.lead(queue, "a") == self.lead(queue, "a")
        self.lead(queue, "a", 0)
        assert not self.lead(queue, "a", 0).leads

    def test_a_former_leader_fires_nothing(self, queue: "Bench", clockwork: Clockwork) -> None:
        clockwork.store(every_second())
        self.lead(queue, "a")
        queue.advance(1_000)
        self.lead(queue, "b")
        before = queue.snapshot()
        at = clockwork.start
        move = calls.move(every_second(), 1, time=at, following=at + 1_000, fire_at=at)
        assert clockwork.moves(move, term=1).later_term == 2
        assert queue.snapshot() == before
        assert clockwork.moves(move, term=2).fired[0].code == Status.OK

    def test_the_status_shows_a_holder_by_its_name(self, queue: "Bench") -> None:
        for name in ("a", "a#b", "ü" * 100):
            holder = holder_of(name, "0123456789abcdef")
            self.lead(queue, holder)
            assert self.lead(queue, holder_of(name, "f")).holder == holder
            assert queue.run(calls.read_scheduler(queue.keys)).leader == name
            self.lead(queue, holder, 0)

    def test_the_status_says_who_leads(self, queue: "Bench") -> None:
        self.lead(queue, "a")
        found = queue.run(calls.read_scheduler(queue.keys))
        assert (found.leader, found.term, found.lease_ms) == ("a", 1, 1_000)
        queue.advance(1_000)
        assert queue.run(calls.read_scheduler(queue.keys)).leader is None


class TestBadArguments:
    @pytest.mark.parametrize(
        ("place", "value"),
        [
            *((0, v) for v in ("", "x")),
            *((1, v) for v in ("", "-1")),
            (2, ""),
            *((3, v) for v in ("", "x")),
            *((4, v) for v in ("x", "1.5")),
            *((5, v) for v in ("x", "3")),
            *((6, v) for v in ("", "-1")),
            *((7, v) for v in ("", "x")),
            *((9, v) for v in ("x", "6")),
            (10, "schedule:s:6"),
            (10, "schedule:s:5\n+5"),
            *((11, v) for v in (b"", packed(""), packed(priority=0), packed(timeout_ms=0.5))),
        ],
    )
    def test_the_script_refuses_arguments_that_no_builder_sends(
        self, queue: "Bench", clockwork: Clockwork, place: int, value: str | bytes
    ) -> None:
        clockwork.store(every_second())
        before = queue.snapshot()
        good: list[Any] = [1, KEEP_MS, *calls.move(every_second(), 1, time=5, following=9, fire_at=5).args]
        assert queue.raw("fire", *good)[0] == Status.OK
        good[place] = value
        assert queue.raw("fire", *good)[0] == Status.BAD_ARGS
        assert queue.raw("fire", *good[:-1])[0] == Status.BAD_ARGS
        assert {**queue.snapshot(), "g": None} == {**before, "g": None}

    @pytest.mark.parametrize("arguments", [(), ("a",), ("", "5"), ("a", "x"), ("a", "5", "6")])
    def test_lead_takes_a_holder_and_a_lease(self, queue: "Bench", arguments: tuple[str, ...]) -> None:
        assert queue.raw("lead", *arguments)[0] == Status.BAD_ARGS
        assert queue.raw("enable", *arguments)[0] == Status.BAD_ARGS


@pytest.mark.parametrize(
    "name",
    ["schedule", "enable", "unschedule", "fire", "lead", "due", "read_schedule", "read_schedules", "read_scheduler"],
)
def test_every_script_refuses_a_queue_of_another_schema(queue: "Bench", name: str) -> None:
    queue.client.hset(queue.keys.meta, "schema", "2")
    assert queue.raw(name) == [Status.SCHEMA, b"2"]
