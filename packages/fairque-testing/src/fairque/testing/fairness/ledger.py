"""The records and charges of the scheduler: users, tasks, and the steps that several verbs share.

* At the start, an estimate (*prepay*): the given cost or the user's average, between 1 ms and a third of the lease.
* At each heartbeat, the run time beyond it, so that a long task is charged while it runs.
* At the end, the difference to the measured time. If a lease expires, nothing is measured and the charge is kept.

With ``cost_mode="count"`` each task costs 1 at its start and nothing is corrected.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from attrs import define, field

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.model.score import calculate_score
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.safe_repr import safe_repr
from fairque.testing.fairness.clock import QueueClock
from fairque.testing.fairness.order import FairOrder, Units
from fairque.testing.fairness.records import ModelTask, User, UserSettings
from fairque.testing.fairness.ring import Ring

__all__ = ["MIN_CHARGE", "CostMode", "FairLedger"]

CostMode = Literal["time", "count"]

#: Microseconds charged for the shortest task.
MIN_CHARGE: Final = 1_000

_UNITS: Final[Mapping[CostMode, Units]] = {
    "time": Units(burst=1_000_000, credit=2_000_000, leeway=10_000_000),
    "count": Units(burst=8, credit=8, leeway=8),
}


@define(kw_only=True, eq=False)
class FairLedger(FairOrder):
    """Users, tasks and charges. Times are whole microseconds or milliseconds, see the suffixes of the names.

    Attributes:
        cost_mode: ``time`` charges microseconds, ``count`` charges 1 per task.
        max_lost_workers: Lost leases after which a task ends.
        est0: Average run time of all tasks in microseconds, the estimate for users without their own.
        users: The records of users.
        tasks: All tasks that have not ended.
        running: Tasks by end of lease, in milliseconds.
        delayed: Tasks by due time, in milliseconds.
        settings: The settings of users, with a record or without.
        clock: The queue's own clock; verbs take the server's time.
        clk: The last time of entry that a task got, in microseconds.
    """

    cost_mode: CostMode = "time"
    units: Units = field(init=False)
    max_lost_workers: int = 5
    est0: float = field(init=False, default=1_000.0)
    users: dict[str, User] = field(init=False, factory=dict)
    tasks: dict[str, ModelTask] = field(init=False, factory=dict)
    running: Ring = field(init=False, factory=Ring)
    delayed: Ring = field(init=False, factory=Ring)
    settings: dict[str, UserSettings] = field(init=False, factory=dict)
    clock: QueueClock = field(init=False, factory=QueueClock)
    clk: int = field(init=False, default=0)
    # The users of the current call, in the order in which they are synced.
    _touched: dict[str, User] = field(init=False, factory=dict)

    @units.default
    def _units_of_mode(self) -> Units:
        if self.cost_mode not in _UNITS:
            raise InvalidArgument([f"cost_mode must be 'time' or 'count', not {safe_repr(self.cost_mode)}"])
        return _UNITS[self.cost_mode]

    # Charging.

    def _grant(self, user: User, now_us: int, lease_ms: int) -> str:
        """Start the next task of a user, and charge its estimate."""
        critical = user.critical_next
        queue = user.c if critical else user.n
        ((_, task_id),) = queue.take(math.inf, 1)
        user.cs = user.cs + 1 if critical else 0
        task = self.tasks[task_id]
        task.charged = self._estimate(user, task, lease_ms)
        self.leave_fresh(user)
        self.take_turn(user)
        user.S += task.charged / user.settings.weight
        user.inf += 1
        self.spend_start(user, now_us)
        # The start is also the fence of the attempt, so it is above the previous one.
        task.state, task.start_us = TaskState.STARTED, max(task.start_us + 1, now_us)
        self._lease(task, now_us, lease_ms)
        return task_id

    def _estimate(self, user: User, task: ModelTask, lease_ms: int) -> int:
        if self.cost_mode == "count":
            return 1
        known = (cost for cost in (task.cost_us, user.ewma) if cost is not None)
        # At most one heartbeat: a longer task is charged while it runs.
        return math.floor(max(MIN_CHARGE, min(lease_ms * 1000 / 3, next(known, self.est0))))

    def _leave_running(self, task: ModelTask, now_us: int, ran_us: int | None) -> User:
        """Take a task out of STARTED, the only way to do so. ``ran_us`` is None if the lease expired."""
        self.running.discard(task.task_id)
        user = self._touch(task.user)
        if ran_us is not None and self.cost_mode == "time":
            spent = max(MIN_CHARGE, min(ran_us, now_us - task.start_us))
            user.S += (spent - task.charged) / user.settings.weight
            average = spent if user.ewma is None else user.ewma
            user.ewma = math.floor(average + (spent - average) / 8)
            self.est0 += (spent - self.est0) / 8
        user.inf -= 1
        return user

    # Transitions of a task.

    def _arrival(self, now_us: int) -> int:
        """Return a time of entry that is later than all before, so that a batch stays in order."""
        self.clk = max(now_us, self.clk + 1)
        return self.clk

    def _enter(self, user: User, task: ModelTask, base_us: int) -> None:
        """Make a task QUEUED, with the time that counts as its entry."""
        critical = task.priority is Priority.CRITICAL
        self._queue(user, task, base_us if critical else calculate_score(base_us, task.priority))

    def _queue(self, user: User, task: ModelTask, place: int) -> None:
        task.state, task.place = TaskState.QUEUED, place
        (user.c if task.priority is Priority.CRITICAL else user.n).put(task.task_id, place)

    def _put_back(self, user: User, task: ModelTask) -> None:
        """Return a task to its previous place, or end it if its cancelation was requested."""
        if task.cancel:
            del self.tasks[task.task_id]
        else:
            self._queue(user, task, task.place)

    def _delay(self, task: ModelTask, due_ms: int) -> None:
        task.state = TaskState.SCHEDULED
        self.delayed.put(task.task_id, due_ms)

    def _lease(self, task: ModelTask, now_us: int, lease_ms: int) -> None:
        task.lease_end_ms = now_us // 1000 + lease_ms
        self.running.put(task.task_id, task.lease_end_ms)

    def _started(self, task_ids: Iterable[str]) -> Iterable[ModelTask]:
        for task_id in task_ids:
            task = self.tasks.get(task_id)
            if task is not None and task.state is TaskState.STARTED:
                yield task

    # Due work.

    def _reclaim(self, now_us: int, limit: int) -> None:
        """Take back tasks whose lease expired."""
        for _, task_id in self.running.take(now_us // 1000, limit):
            task = self.tasks[task_id]
            user = self._leave_running(task, now_us, None)
            task.lost += 1
            if task.lost >= self.max_lost_workers and not task.cancel:
                del self.tasks[task_id]
            else:
                self._put_back(user, task)

    def _promote_tasks(self, now_us: int, limit: int) -> None:
        """Enter delayed tasks with their due time."""
        for due_ms, task_id in self.delayed.take(now_us // 1000, limit):
            task = self.tasks[task_id]
            if task.due_ms is not None and task.due_ms > self.clock.server_ms:
                # The server's clock was set back in the meantime, and a moment is on that clock.
                self._delay(task, task.due_ms + self.clock.shift_ms)
                continue
            task.due_ms = None
            self._enter(self._touch(task.user), task, int(due_ms) * 1000)

    def _promote_users(self, now_us: int, limit: int) -> None:
        """Sync users whose rate allows a start again."""
        for _, user_id in self.timers.take(now_us, limit):
            self._touch(user_id)

    def _collect(self, limit: int) -> None:
        """Sync users whose debt virtual time has passed."""
        for _, user_id in self.owe.take(self.V, limit):
            self._touch(user_id)

    # The records of users: looked up once per call, synced in that order, and dropped when no longer needed.

    def _touch(self, user_id: str) -> User:
        user = self._touched.get(user_id)
        if user is None:
            user = self.users.get(user_id)
            if user is None:
                user = self.users[user_id] = User(user_id, self.settings.get(user_id, UserSettings()))
            self.fit_bucket(user, self.clock.now_us)
            self._touched[user_id] = user
        return user

    def _settle(self, now_us: int) -> None:
        for user in self._touched.values():
            self.sync(user, now_us)
        for user in self._touched.values():
            # Virtual time may have advanced since it was synced.
            self.place_debt(user)

    def _commit(self, now_us: int) -> None:
        self._settle(now_us)
        for user in self._touched.values():
            if user.pending == 0 and user.inf == 0 and user.S <= self.V and user.tat <= now_us:
                del self.users[user.id]
        self._touched.clear()
        self.clock.note()
