"""What a leader has in memory: pauses and edits change no time, and what it fired counts once, also unanswered."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol import calls
from fairque.protocol.calls import Setting, Storing
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.testing import eventually
from fairque.scheduler.agenda import Agenda
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.window import Entry, Window

if TYPE_CHECKING:
    from tests.conftest import Bench

Every = Callable[..., Schedule]
TERM = 7


class Desk:
    """An agenda that is worked through by hand.

    Attributes:
        agenda: It.
        metrics: What it counts.
    """

    def __init__(self, bench: "Bench", runner: Any = None) -> None:
        self._bench = bench
        self.metrics = Metrics("q")
        self.agenda = Agenda(runner or bench.runner, bench.keys, 60_000, self.metrics)

    def store(self, *schedules: Schedule, in_ms: int = 0, revision: int | None = 0) -> int:
        """Store schedules whose next time is so far from now, and return that time."""
        at = self._bench.now_ms() + in_ms
        storing = [Storing(schedule=one, revision=revision, next_at=at) for one in schedules]
        self._bench.run(calls.schedule(self._bench.keys, storing, message_limit=9_999))
        return at

    def fire(self) -> bool | None:
        return self.agenda.fire(TERM)

    def counted(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(f"fairque_scheduler_{name}", {"queue": "q"})
        assert found is not None
        return found


@pytest.fixture
def desk(bench: "Bench") -> Desk:
    return Desk(bench)


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
        assert desk.agenda._window.next_at() == pytest.approx(at + 1_000, abs=900)
        assert desk.agenda.seconds_to_rest() > 0.1

    def test_a_pause_ends_where_the_time_became_another_one(self) -> None:
        window = Window()
        window.put(Entry("a", 5, not_before=100))
        window.replace([("a", 5)])
        assert window.take_due(99, 10) == []
        window.replace([("a", 6)])
        assert [entry.at for entry in window.take_due(6, 10)] == [6]


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
        assert b'"new"' in (bench.client.get(f"{bench.keys.prefix}m:schedule:a:{at}") or b"")

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
