"""Schedules against a model: edits, pauses, outdated leaders, repeated calls; one task per run, none lost."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import define, field
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fairque.protocol.calls.fire import Move
from fairque.protocol.calls.schedules import Overdue, ScheduleWrite
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, examples, stored_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench

NAMES = ["a", "b:1", "ünï"]
LEADERS = ["x", "y"]
LEASE_MS = 1_000

names = st.sampled_from(NAMES)
leaders = st.sampled_from(LEADERS)
intervals = st.sampled_from([100, 250, 700])
pauses_ms = st.sampled_from([1, 50, 99, 100, 101, 400, 1_500])


def following(every: int, after: int) -> int:
    return (after // every + 1) * every


@define
class Known:
    """A schedule as the model has it.

    Attributes:
        times: What became of each time, from the last change of its times on: one word.
        since: Where those begin.
    """

    every: int
    content: int
    overlap: str
    since: int
    revision: int = 0
    on: bool = True
    next_at: int | None = None
    last_at: int | None = None
    times: dict[int, str] = field(factory=dict)
    counts: Counter[str] = field(factory=Counter)

    def definition(self, name: str) -> Schedule:
        overlap: Any = self.overlap
        return stored_schedule(
            schedule_id=name, every_ms=self.every, user_id="ann", func="f", args=(self.content,), overlap=overlap
        )

    def overdue(self, now_ms: int) -> Overdue | None:
        """Its times that are due and not fired, as a scheduler counts them."""
        first = following(self.every, self.since) if self.next_at is None else self.next_at
        if not self.on or first > now_ms:
            return None
        number = (now_ms - first) // self.every + 1
        return Overdue(number, first, first + (number - 1) * self.every)

    def retime(self, now_ms: int, overdue: Overdue | None) -> None:
        if overdue is not None:
            self.counts["missed"] += overdue.number
        elif self.on and self.next_at is not None and self.next_at <= now_ms:
            self.counts["missed"] += 1
        self.since, self.next_at = now_ms, None
        self.times.clear()


class Schedules(RuleBasedStateMachine):
    """A queue on a server, and what its schedules should be."""

    new_queue: "Callable[[], Bench]"

    @initialize()
    def begin(self) -> None:
        self.queue = type(self).new_queue()
        self.known: dict[str, Known] = {}
        self.tasks: dict[str, bool] = {}
        self.views: dict[str, tuple[ScheduleInfo, ...]] = dict.fromkeys(LEADERS, ())
        self.terms = dict.fromkeys(LEADERS, 0)
        self.lock: tuple[str, int, int] = ("", 0, 0)
        self.sent: list[Any] = []
        self.changes = 0

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.queue.drop()

    @property
    def now(self) -> int:
        return self.queue.now_ms

    def next_revision(self) -> int:
        self.changes += 1
        return self.changes

    def store(self, name: str, wanted: Known, revision: int | None, overdue: Overdue | None = None) -> Any:
        writes = [ScheduleWrite(schedule=wanted.definition(name), revision=revision, overdue=overdue)]
        call = calls.schedule(self.queue.keys, writes, message_limit=10_000)
        self.sent = [call]
        return self.queue.run(call)

    @rule(name=names, every=intervals, overlap=st.sampled_from(["allow", "skip"]))
    def add(self, name: str, every: int, overlap: str) -> None:
        if name not in self.known:
            self.known[name] = Known(every, 0, overlap, self.now)
            self.known[name].revision = self.next_revision()
            (stored,) = self.store(name, self.known[name], 0)
            assert (stored.code, stored.revision) == (Status.OK, self.known[name].revision)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), every=st.none() | intervals, counted=st.booleans())
    def edit(self, data: Any, every: int | None, counted: bool) -> None:  # noqa: FBT001 - drawn by name
        name = data.draw(st.sampled_from(sorted(self.known)))
        one = self.known[name]
        before, overdue = one.revision, one.overdue(self.now) if counted else None
        one.content, one.revision = one.content + 1, self.next_revision()
        # What does not fire has no times yet, and gets the first one again when it does.
        if not one.on or (every is not None and every != one.every):
            one.retime(self.now, overdue)
            one.every = every or one.every
        assert self.store(name, one, before, overdue)[0].revision == one.revision

    @precondition(lambda self: self.known)
    @rule(data=st.data(), on=st.booleans(), counted=st.booleans())
    def switch(self, data: Any, on: bool, counted: bool) -> None:  # noqa: FBT001 - drawn by name
        name = data.draw(st.sampled_from(sorted(self.known)))
        one = self.known[name]
        overdue = one.overdue(self.now) if counted else None
        assert self.queue.run(calls.enable(self.queue.keys, name, on=on, overdue=overdue)) is (one.on is not on)
        if one.on is not on:
            one.retime(self.now, overdue)
            one.on, one.revision = on, self.next_revision()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        del self.known[name]
        assert self.queue.run(calls.unschedule(self.queue.keys, name))
        self.sent = []

    @rule(pause_ms=pauses_ms)
    def advance(self, pause_ms: int) -> None:
        self.queue.advance(pause_ms)

    @rule(leader=leaders)
    def lead(self, leader: str) -> None:
        found = self.queue.run(calls.lead(self.queue.keys, leader, lease_ms=LEASE_MS))
        holder, term, until = self.lock
        if holder in ("", leader) or until <= self.now:
            self.lock = (leader, term + (holder != leader), self.now + LEASE_MS)
            self.terms[leader] = self.lock[1]
        assert (found.leads, found.term) == (self.lock[0] == leader, self.lock[1])

    @rule(leader=leaders)
    def resign(self, leader: str) -> None:
        self.queue.run(calls.lead(self.queue.keys, leader, lease_ms=0))
        if self.lock[0] == leader:
            self.lock = ("", self.lock[1], 0)

    @rule(leader=leaders)
    def look(self, leader: str) -> None:
        due = self.queue.run(calls.due(self.queue.keys, ahead_ms=300)).times
        call = calls.read_some(self.queue.keys, [name for name, _ in due])
        self.views[leader] = self.queue.run(call)[0] if due else ()

    @rule(leader=leaders, newest=st.booleans(), term=st.sampled_from(["own", "highest"]))
    def fire(self, leader: str, newest: bool, term: str) -> None:  # noqa: FBT001 - drawn by name
        """Acts on what it has read, however old, and even with a valid term: safety does not depend on the lock."""
        moves = [self._move(row, newest=newest) for row in self.views[leader]]
        number = self.terms[leader] if term == "own" else 10**6
        if moves:
            call = calls.fire(self.queue.keys, moves, term=number, result_ttl_ms=10**9)
            self.sent = [call]
            answer = self.queue.run(call)
            if number < self.lock[1]:
                assert answer.later_term == self.lock[1]
                return
            assert [one.code for one in answer.fired] == [
                self._expected(row, one) for row, one in zip(self.views[leader], moves, strict=True)
            ]

    def _move(self, row: ScheduleInfo, *, newest: bool) -> Move:
        every, time = row.schedule.every_ms or 0, row.next_ms
        if time is None:
            return calls.move(row.schedule, row.revision, time=None, following=following(every, row.from_ms or 0))
        fire_at = max(time, self.now // every * every) if newest else time
        return calls.move(
            row.schedule,
            row.revision,
            time=time,
            following=fire_at + every,
            fire_at=fire_at,
            missed=(fire_at - time) // every,
            missed_last=max(0, fire_at - every),
        )

    def _expected(self, row: ScheduleInfo, move: Move) -> Status:
        one = self.known.get(row.schedule_id)
        if one is None:
            return Status.NOT_FOUND
        if one.revision != row.revision or not one.on:
            return Status.CHANGED
        if one.next_at != row.next_ms:
            return Status.ALREADY
        return self._carry_out(row.schedule_id, one, move)

    def _carry_out(self, name: str, one: Known, move: Move) -> Status:
        if move.fire_at is None:
            one.next_at = following(one.every, one.since)
            return Status.OK
        if move.fire_at > self.now:
            return Status.EARLY
        task_id, code = f"schedule:{name}:{move.fire_at}", Status.OK
        for time in range(one.next_at or 0, move.fire_at, one.every):
            self._note(one, time, "missed")
        if one.overlap == "skip" and self.tasks.get(f"schedule:{name}:{one.last_at}", False):
            code = Status.SKIPPED
            self._note(one, move.fire_at, "skipped")
        elif task_id in self.tasks:
            code, one.last_at = Status.ALREADY, move.fire_at
            one.times[move.fire_at] = "fired"
        else:
            self.tasks[task_id], one.last_at = True, move.fire_at
            self._note(one, move.fire_at, "fired")
        one.next_at = move.fire_at + one.every
        return code

    def _note(self, one: Known, time: int, word: str) -> None:
        assert one.times.setdefault(time, word) == word
        one.counts[word] += 1

    @rule()
    def work(self) -> None:
        granted = self.queue.pop(2)
        self.queue.finish(*granted) if granted else None
        self.tasks |= dict.fromkeys((task.task_id for task in granted), False)

    @precondition(lambda self: self.sent)
    @rule()
    def send_again(self) -> None:
        """A client that lost the answer: nothing changes, unless something else did since, and then it is refused."""
        before = self.queue.snapshot("schedule", "due", "t:", "counts")
        try:
            self.queue.run(self.sent[0])
        except Exception as error:  # noqa: BLE001 - any refusal will do
            assert type(error).__name__ in {"ScheduleConflict", "ScheduleNotFound"}  # noqa: PT017 - not always
        assert self.queue.snapshot("schedule", "due", "t:", "counts") == before

    @invariant()
    def the_server_has_what_the_model_has(self) -> None:
        if not hasattr(self, "queue"):
            return
        found = self.queue.snapshot()
        assert {name for name, _ in found.get("schedules", [])} == self.known.keys()
        assert {key[9:] for key in found if key.startswith("schedule:")} == self.known.keys()
        assert {key[2:] for key in found if key.startswith("t:")} == self.tasks.keys()
        assert int(found.get("g", {}).get("pushed", 0)) == len(self.tasks)
        due = {name: one.next_at or 0 for name, one in self.known.items() if one.on}
        assert dict(found.get("due", [])) == due
        for name, one in self.known.items():
            record = found[f"schedule:{name}"]
            assert int(record["rev"]) == one.revision
            for word in ("fired", "missed", "skipped"):
                assert int(record.get(word, 0)) == one.counts[word], (name, word)

    @invariant()
    def every_time_has_one_fate_and_none_is_lost(self) -> None:
        if hasattr(self, "queue"):
            for one in self.known.values():
                if one.next_at is not None:
                    first = following(one.every, one.since)
                    assert sorted(one.times) == list(range(first, one.next_at, one.every))


def test_schedules_and_model_agree_after_every_step(new_queue: "Callable[[], Bench]") -> None:
    class OnServer(Schedules):
        pass

    OnServer.new_queue = staticmethod(new_queue)
    run_state_machine_as_test(
        OnServer,
        settings=settings(
            max_examples=examples(25, 60),
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
