"""The invariants of the scheduler, checked after every step of random histories."""

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.fairness.ledger import CostMode
from fairque.testing.fairness.model import FairModel
from fairque.testing.fairness.records import Lane, ModelTask

users = st.sampled_from(["ann", "bob", "eve", "ü"])
times_us = st.sampled_from([0, 700, 20_000, 1_500_000, 40_000_000])
changes = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.sampled_from([0.01, 1.0, 7.5]),
        "cap": st.sampled_from([None, 1, 3]),
        "paused": st.booleans(),
        "rate": st.sampled_from([None, 0.5, 100.0]),
        "burst": st.sampled_from([None, 2]),
    },
)


class Scheduler(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_us = 1_800_000_000_000_000
        self.numbers = count(1)

    @initialize(mode=st.sampled_from(["time", "count"]))
    def begin(self, mode: CostMode) -> None:
        self.model = FairModel(cost_mode=mode, max_lost_workers=2)

    @property
    def queue_us(self) -> int:
        return self.model.clock.at(self.now_us)

    def some(self, data: st.DataObject, state: TaskState) -> list[str]:
        known = [task_id for task_id, task in self.model.tasks.items() if task.state is state]
        return data.draw(st.lists(st.sampled_from(known), max_size=3, unique=True)) if known else []

    @rule(
        user=users,
        number=st.integers(1, 4),
        priority=st.sampled_from(Priority),
        due=st.none() | times_us,
        moment=st.booleans(),
    )
    def push(self, user: str, number: int, priority: Priority, due: int | None, *, moment: bool) -> None:
        due_ms = None if due is None or moment else due // 1000
        at_ms = (self.now_us + due) // 1000 if due is not None and moment else None
        tasks = [
            ModelTask(f"t{next(self.numbers)}", user, priority, delay_ms=due_ms, due_ms=at_ms) for _ in range(number)
        ]
        self.model.push(self.now_us, tasks)

    @rule(number=st.integers(1, 6), lease_ms=st.sampled_from([1, 3_000, 30_000]))
    def pop_is_work_conserving_and_keeps_every_cap(self, number: int, lease_ms: int) -> None:
        granted = self.model.pop(self.now_us, number, lease_ms)
        if len(granted) < number:
            assert not [user.id for user in self.model.users.values() if self.model.runnable(user, self.queue_us)]
        for task_id in granted:
            user = self.model.users[self.model.tasks[task_id].user]
            assert not user.settings.paused
            assert user.settings.cap is None or user.inf <= user.settings.cap

    @rule(elapsed=times_us)
    def wait(self, elapsed: int) -> None:
        self.now_us += elapsed

    @rule(hours=st.sampled_from([-100, -2, -0.001, 2, 100]))
    def the_clock_of_the_server_steps(self, hours: float) -> None:
        self.now_us += int(hours * 3_600_000_000)
        self.model.sweep(self.now_us)

    @rule(data=st.data(), ran=times_us, verb=st.sampled_from(["finish", "release", "dead", "retry"]))
    def end(self, data: st.DataObject, ran: int, verb: str) -> None:
        ran_us = dict.fromkeys(self.some(data, TaskState.STARTED), ran)
        if verb in ("finish", "release"):
            getattr(self.model, verb)(self.now_us, ran_us)
        else:
            self.model.fail(self.now_us, ran_us, pause_ms=None if verb == "dead" else 500)

    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        self.model.beat(self.now_us, self.some(data, TaskState.STARTED))

    @rule(data=st.data(), state=st.sampled_from([TaskState.SCHEDULED, TaskState.QUEUED, TaskState.STARTED]))
    def cancel(self, data: st.DataObject, state: TaskState) -> None:
        for task_id in self.some(data, state):
            self.model.cancel(self.now_us, task_id)

    @rule(user=users, change=changes)
    def set_user(self, user: str, change: dict[str, Any]) -> None:
        self.model.set_user(self.now_us, user, **change)

    @rule()
    def sweep(self) -> None:
        self.model.sweep(self.now_us)

    @invariant()
    def inf_is_the_number_of_running_ids(self) -> None:
        started = [task for task in self.model.tasks.values() if task.state is TaskState.STARTED]
        assert {task.task_id for task in started} == {task_id for task_id, _ in self.model.running.items()}
        for user in self.model.users.values():
            assert user.inf == sum(task.user == user.id for task in started)

    @invariant()
    def each_task_is_in_exactly_one_place(self) -> None:
        places = [task_id for task_id, _ in [*self.model.running.items(), *self.model.delayed.items()]]
        for user in self.model.users.values():
            places += [task_id for task_id, _ in [*user.n.items(), *user.c.items()]]
        assert sorted(places) == sorted(self.model.tasks)

    @invariant()
    def each_user_is_in_the_rings_of_its_lane(self) -> None:
        model = self.model
        for user in model.users.values():
            assert (user.id in model.fresh) == (user.lane is Lane.FRESH)
            assert (user.id in model.ready) == (user.lane is Lane.READY)
            assert (user.pending == 0) == (user.lane is Lane.IDLE)
            in_line = user.lane in (Lane.FRESH, Lane.READY)
            assert (user.id in model.critical) == (in_line and user.critical_next)
            assert not in_line or user.id not in model.owe
            assert in_line or user.S <= model.V or user.id in model.owe
            # It may have become runnable by time alone; then it has a timer.
            assert in_line or user.id in model.timers or not model.runnable(user, self.queue_us)
        for ring in (model.ready, model.fresh, model.critical, model.owe, model.timers):
            assert all(member in model.users for member, _ in ring.items())

    @invariant()
    def nothing_waits_for_longer_than_it_can_by_right(self) -> None:
        """Whatever the server's clock did: the longest lease is 30 s, delays are 40 s, the slowest bucket takes 4 s."""
        now_ms = self.queue_us // 1000
        assert all(end_ms <= now_ms + 30_000 for _, end_ms in self.model.running.items())
        for task_id, due_ms in self.model.delayed.items():
            moment = self.model.tasks[task_id].due_ms
            assert due_ms <= now_ms + 40_000 if moment is None else due_ms <= moment + self.model.clock.shift_ms
        assert all(at <= self.queue_us + 4_000_000 for _, at in self.model.timers.items())
        places = [place for user in self.model.users.values() for ring in (user.n, user.c) for _, place in ring.items()]
        assert all(place <= self.queue_us + len(self.model.tasks) + 1_000_000 for place in places)

    @invariant()
    def a_record_lives_for_work_debt_or_a_bucket(self) -> None:
        for user in self.model.users.values():
            assert user.pending or user.inf or user.id in self.model.owe or user.id in self.model.timers

    def teardown(self) -> None:
        """After all tasks have ended, nothing is left."""
        if not hasattr(self, "model"):
            return
        for user in ("ann", "bob", "eve", "ü"):
            self.model.set_user(self.now_us, user, weight=1.0, cap=None, paused=False, rate=None, burst=None)
        self.now_us += 400 * 3_600_000_000
        for _ in range(len(self.model.tasks)):
            self.now_us += 60_000_000
            self.model.finish(self.now_us, dict.fromkeys(self.model.pop(self.now_us, 10), 1_000))
            self.model.sweep(self.now_us)
        self.model.sweep(self.now_us)
        assert not self.model.users
        assert len(self.model.owe) + len(self.model.timers) + self.model.V == 0


TestScheduler = Scheduler.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
