"""What a leader has in memory: pauses and edits change no time, and what it fired counts once, also unanswered."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.scheduler.agenda import Agenda
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.window import Entry, Window
from fairque.testing.internal import calls, eventually, read_message

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]
TERM = 7


class Repeating(Runner):
    """Loses the next answer to what fires, and asks again itself, as after a lost connection; or gives up.

    Attributes:
        lose: What it does next: "once", "all", or "" for neither.
        between: Called between the calls of one round trip.
    """

    lose = ""
    between: Callable[[], object] | None = None

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        lose, self.lose = self.lose, ""
        if self.between is not None:
            first = super().run_all(calls[:1])
            self.between()
            return first + super().run_all(calls[1:])
        answers = super().run_all(calls)
        if lose == "all":
            raise RedisUnavailable("the answer was lost")
        return super().run_all(calls) if lose else answers


class Desk:
    """An agenda that is worked through by hand.

    Attributes:
        agenda: The agenda under test.
        runner: How it asks the server.
        metrics: What it counts.
    """

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self.runner = Repeating(bench.runner.settings)
        self.metrics = Metrics("q")
        self.agenda = Agenda(self.runner, bench.keys, 60_000, self.metrics)

    def store(self, *schedules: Schedule, in_ms: int = 0, revision: int | None = 0) -> int:
        """Store schedules whose next time is so far from now, and return that time."""
        at = self._bench.now_ms() + in_ms
        writes = [ScheduleWrite(schedule=one, revision=revision, next_at=at) for one in schedules]
        self._bench.run(calls.schedule(self._bench.keys, writes, message_limit=9_999))
        return at

    def fire(self, term: int = TERM) -> bool | None:
        return self.agenda.fire(term)

    def fire_and_lose(self, lose: str) -> None:
        """Fire, and lose the answer; after giving up all is read anew, as the engine does it."""
        self.runner.lose = lose
        if lose == "once":
            self.fire()
        else:
            with pytest.raises(RedisUnavailable):
                self.fire()
            self.agenda.clear()

    def close(self) -> None:
        self.runner.close()

    def counted(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(f"fairque_scheduler_{name}", {"queue": "q"})
        assert found is not None
        return found


@pytest.fixture
def desk(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    # One call does all that there is to do, however slow the machine is.
    monkeypatch.setattr("fairque.scheduler.agenda._SLICE", 3_600.0)
    made = Desk(bench)
    yield made
    made.close()


class TestPauses:
    def test_one_that_waits_for_room_is_not_tried_earlier_when_schedules_are_read_again(
        self, bench: "Bench", desk: Desk, every: Every
    ) -> None:
        bench.run(calls.limit(bench.keys, [Setting("ann", "backlog", 1)]))
        at = desk.store(every("a", 3_600), every("b", 3_600))
        desk.agenda.read()
        desk.fire()
        assert desk.counted("fired_total") == 1
        desk.agenda.read()
        assert not desk.fire()
        assert (desk.agenda._window.next_at() or 0) >= at + 100

    def test_many_that_wait_for_room_do_not_hide_what_is_due_behind_them(
        self, bench: "Bench", desk: Desk, every: Every, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fairque.scheduler.agenda.MAX_DUE", 3)
        monkeypatch.setattr("fairque.scheduler.agenda._ENOUGH", 2)
        bench.run(calls.limit(bench.keys, [Setting("ann", "backlog", 1)]))
        desk.store(*(every(f"full{number}", 3_600) for number in range(8)), in_ms=-1_000)
        at = desk.store(every("other", 3_600, user_id="bob"))
        for _ in range(4):
            desk.agenda.read()
            desk.fire()
        assert bench.times("other") == [at]
        assert desk.counted("due") == 7  # there was room for one

    def test_a_pause_ends_where_the_time_became_another_one(self) -> None:
        window = Window()
        window.put(Entry("a", 5, not_before=100))
        window.replace([("a", 5)])
        assert window.take_due(99, 10) == []
        window.replace([("a", 6)])
        assert [entry.at for entry in window.take_due(6, 10)] == [6]

    def test_one_that_was_held_twice_at_the_same_time_is_taken_once(self) -> None:
        """Such as one that was edited to another time and back."""
        window = Window()
        for at in (5, 9, 5):
            window.put(Entry("a", at))
        assert [entry.at for entry in window.take_due(9, 10)] == [5]
        assert window.take_due(9, 10) == []


DAYS_MS = 3 * 86_400_000


class TestCatchingUp:
    @pytest.fixture
    def desk(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
        """One call makes one move."""
        monkeypatch.setattr("fairque.scheduler.agenda._SLICE", 0.0)
        return desk

    @staticmethod
    def store(desk: Desk, every: Every, number: int) -> int:
        """Store schedules that need many steps to count what they missed in days, and another one, which is due now."""
        desk.store(*(every(f"late{place}", 60, misfire="skip") for place in range(number)), in_ms=-DAYS_MS)
        return desk.store(every("other", 3_600))

    def test_a_schedule_on_time_is_fired_before_those_that_catch_up(
        self, bench: "Bench", desk: Desk, every: Every
    ) -> None:
        at = self.store(desk, every, 5)
        desk.agenda.read()
        desk.fire()
        assert bench.times("other") == [at]

    def test_it_is_even_if_more_catch_up_than_are_fired_in_one_round_trip(
        self, bench: "Bench", desk: Desk, every: Every, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fairque.scheduler.agenda._FIRE_BATCH", 2)
        at = self.store(desk, every, 6)
        desk.agenda.read()
        for _ in range(5):
            desk.fire()
        assert bench.times("other") == [at]

    def test_they_do_not_hide_what_is_due_behind_them(
        self, bench: "Bench", desk: Desk, every: Every, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fairque.scheduler.agenda.MAX_DUE", 3)
        monkeypatch.setattr("fairque.scheduler.agenda._ENOUGH", 2)
        at = self.store(desk, every, 6)
        for _ in range(8):
            desk.agenda.read()
            desk.fire()
        assert bench.times("other") == [at]

    def test_they_take_turns_however_long_ago_their_next_runs_are(self, desk: Desk, every: Every) -> None:
        schedules = [every("seconds", 1, misfire="skip"), every("minutes", 60, misfire="skip")]
        at = desk.store(*schedules, in_ms=-DAYS_MS)
        desk.agenda.read()
        # Each step counts 200 runs: the first needs 60 steps to be where the second is after one of its 22.
        for _ in range(20):
            desk.fire()
        entry = desk.agenda._window.find("minutes")
        assert entry is not None
        assert entry.at > at + 2 * 199 * 60_000


class TestEdits:
    def test_a_task_that_was_edited_after_it_was_prepared_is_brought_in_time_as_edited(
        self, bench: "Bench", desk: Desk, every: Every
    ) -> None:
        at = desk.store(every("a", 3_600, args=["old"]), in_ms=150)
        desk.agenda.read()
        desk.agenda.prepare()
        desk.store(every("a", 3_600, args=["new"]), revision=1)
        desk.agenda.read()
        desk.agenda.prepare()
        eventually(desk.fire, what="a move that is refused")
        assert not bench.times("a")
        assert desk.agenda.seconds_to_rest() == 0
        assert desk.fire()
        assert bench.times("a") == [at]
        assert b'"new"' in read_message(bench.client, bench.keys.prefix, f"schedule:a:{at}")

    @pytest.mark.parametrize("change", ["pause", "remove"])
    def test_one_that_was_stopped_or_removed_is_put_aside(
        self, bench: "Bench", desk: Desk, every: Every, change: str
    ) -> None:
        desk.store(every("a", 3_600))
        desk.agenda.read()
        desk.agenda.prepare()
        ended: Any = calls.enable(bench.keys, "a", on=False) if change == "pause" else calls.unschedule(bench.keys, "a")
        bench.run(ended)
        assert desk.fire()
        desk.fire()
        assert (len(desk.agenda._window), bench.times("a")) == (0, [])


@pytest.mark.parametrize("lose", ["once", "all"])
class TestLostAnswers:
    def test_what_was_fired_is_counted_once(self, bench: "Bench", desk: Desk, every: Every, lose: str) -> None:
        for first in (0, 100):
            desk.store(*(every(f"s{n}", 3_600) for n in range(first, first + 100)))
        at = desk.store(every("a", 0.1))
        desk.agenda.read()
        desk.fire_and_lose(lose)
        desk.agenda.read()
        eventually(lambda: desk.fire() is not None and len(bench.times("a")) > 3, what="more tasks")
        assert bench.times("a")[0] == at
        fired = len(bench.times("a")) + 200
        assert desk.counted("fired_total") == desk.counted("lateness_seconds_count") == fired
        assert bench.run(calls.read_scheduler(bench.keys)).fired == fired
        assert desk.counted("lateness_seconds_sum") < fired

    def test_what_was_missed_or_skipped_is_counted_once(
        self, bench: "Bench", desk: Desk, every: Every, lose: str
    ) -> None:
        lapsed = every("m", 1, misfire_grace=0, misfire="skip")
        desk.store(lapsed, every("o", 1, overlap="skip"), in_ms=-3_500)
        desk.agenda.read()
        desk.fire()
        assert desk.counted("missed_total") == bench.run(calls.read_scheduler(bench.keys)).missed > 3
        eventually(lambda: bench.run(calls.read_scheduler(bench.keys)).overdue == 2, what="both overdue")
        desk.fire_and_lose(lose)
        desk.agenda.read()
        desk.fire()
        found = bench.run(calls.read_scheduler(bench.keys))
        assert found.skipped
        assert (desk.counted("missed_total"), desk.counted("skipped_total")) == (found.missed, found.skipped)

    def test_what_another_one_fired_is_not_counted(self, bench: "Bench", desk: Desk, every: Every, lose: str) -> None:
        one = every("a", 3_600)
        at = desk.store(one)
        desk.agenda.read()
        desk.agenda.prepare()
        move = calls.move(one, 1, time=at, following=at + 3_600_000, fire_at=at)
        bench.run(calls.fire(bench.keys, [move], term=TERM - 1, result_ttl_ms=60_000))
        desk.fire_and_lose(lose)
        desk.agenda.read()
        desk.fire()
        assert (bench.times("a"), desk.counted("fired_total")) == ([at], 0)

    def test_what_was_fired_before_another_one_led_is_counted(
        self, bench: "Bench", desk: Desk, every: Every, lose: str
    ) -> None:
        desk.store(every("a", 3_600))
        desk.agenda.read()
        desk.fire_and_lose(lose)
        bench.client.hset(f"{bench.keys.prefix}lock", "term", TERM + 1)
        desk.agenda.read()
        desk.fire(TERM + 2)
        assert desk.counted("fired_total") == 1


def test_what_was_fired_just_before_another_one_took_the_lead_is_counted(
    bench: "Bench", desk: Desk, every: Every
) -> None:
    for first in (0, 100):
        desk.store(*(every(f"s{n}", 3_600) for n in range(first, first + 100)))
    desk.agenda.read()
    desk.runner.between = lambda: bench.client.hset(f"{bench.keys.prefix}lock", "term", TERM + 1)
    assert desk.fire() is None
    assert desk.counted("fired_total") == bench.run(calls.read_scheduler(bench.keys)).fired == 100
