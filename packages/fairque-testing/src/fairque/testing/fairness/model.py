"""The scheduler as one object: verbs, state and floating-point steps of the Lua scripts, but time is passed in.

It decides only which task starts next: there are no messages, results or tokens, and an ended task is
forgotten at once. To understand the algorithm, read `order` first (which user is next, and why), then `ledger`
(charges), then the verbs here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, TypedDict, Unpack

from attrs import define, evolve

from fairque.protocol.model.states import TaskState
from fairque.testing.fairness.ledger import FairLedger
from fairque.testing.fairness.order import HIGH
from fairque.testing.fairness.records import ModelTask, UserSettings

__all__ = ["DefaultChanges", "FairModel", "UserChanges"]

#: How many items of each kind a sweep handles.
_SWEEP: Final = 100
#: How many users that new defaults have stopped a pop skips.
_STOPPED: Final = 5


class DefaultChanges(TypedDict, total=False):
    """Arguments of `FairModel.set_defaults`."""

    cap: int | None
    rate: float | None
    burst: int | None


class UserChanges(DefaultChanges, total=False):
    """Arguments of `FairModel.set_user`."""

    weight: float
    paused: bool


@define(kw_only=True, eq=False)
class FairModel(FairLedger):
    """The state machine of the scheduler, with a method for each verb.

    A verb ignores a task that is unknown or not in the required state, as a script does.

    Raises:
        InvalidArgument: The cost mode is unknown.
    """

    # Verbs of operators.

    def set_user(self, now_us: int, user_id: str, **changes: Unpack[UserChanges]) -> None:
        """Change some settings of a user; None removes its own cap, rate or burst.

        Raises:
            InvalidArgument: A setting is invalid.
        """
        now_us = self.clock.read(now_us)
        before = self.settings.get(user_id, UserSettings())
        after = evolve(before, **changes)
        if after == before:
            return
        self.settings[user_id] = after
        if user_id not in self.users:
            self.clock.note()
            return
        user = self._touch(user_id)
        user.settings = after
        if after.weight != before.weight and math.isfinite(user.S):
            # Debt and lead in service are kept: a change of weight gives no credit.
            user.S = self.V + (user.S - self.V) * before.weight / after.weight
        if evolve(before, weight=after.own_weight) != after:
            self.start_over(user)
        self.fit_bucket(user, now_us)
        self._commit(now_us)

    def set_defaults(self, now_us: int, **changes: Unpack[DefaultChanges]) -> None:
        """Change cap, rate or burst of all users without their own. It takes effect at the next call about each.

        Raises:
            InvalidArgument: A setting cannot be used.
        """
        self.clock.read(now_us)
        before = self.defaults
        self.defaults = evolve(before, **changes)
        if self.defaults != before:
            self.clock.note()

    # Verbs of producers.

    def push(self, now_us: int, tasks: Iterable[ModelTask]) -> None:
        """Enter tasks, or store them until they are due. A known id is not pushed again."""
        now_us = self.clock.read(now_us)
        fresh = [task for task in tasks if task.task_id not in self.tasks]
        if not fresh:
            return
        for task in fresh:
            self.tasks[task.task_id] = task
            if task.delay_ms:
                self._delay(task, now_us // 1000 + task.delay_ms)
            elif task.due_ms is not None and task.due_ms > self.clock.server_ms:
                self._delay(task, task.due_ms + self.clock.shift_ms)
            else:
                task.due_ms = None
                user = self._touch(task.user)
                self._enter(user, task, self._arrival(now_us))
        self._commit(now_us)

    def cancel(self, now_us: int, task_id: str) -> None:
        """End a waiting task. A running one ends as canceled unless it finishes."""
        now_us = self.clock.read(now_us)
        task = self.tasks.get(task_id)
        if task is None:
            return
        if task.state is TaskState.STARTED:
            task.cancel = True
            return
        del self.tasks[task_id]
        if task.state is TaskState.SCHEDULED:
            self.delayed.discard(task_id)
        else:
            user = self._touch(task.user)
            user.n.discard(task_id)
            user.c.discard(task_id)
        self._commit(now_us)

    def redrive(self, now_us: int, tasks: Iterable[ModelTask]) -> None:
        """Enter dead letters again, as if they were pushed now."""
        now_us = self.clock.read(now_us)
        for task in tasks:
            if task.task_id not in self.tasks:
                self.tasks[task.task_id] = task
                task.lost, task.cancel = 0, False
                user = self._touch(task.user)
                self._enter(user, task, self._arrival(now_us))
        self._commit(now_us)

    # Verbs of workers.

    def pop(self, now_us: int, count: int = 1, lease_ms: int = 30_000) -> list[str]:
        """Start up to ``count`` tasks and return their ids.

        There are fewer if no other task may be started, or if another pop has to continue: a pop checks ten delayed
        tasks more than it starts, ten users whose rate allows a start again, and five users that new defaults have
        stopped.
        """
        now_us = self.clock.read(now_us)
        self._reclaim(now_us, 2)
        self._promote_tasks(now_us, count + 10)
        self._promote_users(now_us, 10)
        self._settle(now_us)
        self._collect(2 * count)
        granted: list[str] = []
        for _ in range(count + _STOPPED):
            picked = self.pick() if len(granted) < count else None
            if picked is None:
                break
            user = self._touch(picked)
            # A user that new defaults have stopped is still in its ring.
            if self.runnable(user, now_us):
                granted.append(self._grant(user, now_us, lease_ms))
            self.sync(user, now_us)
        self._commit(now_us)
        return granted

    def beat(self, now_us: int, task_ids: Iterable[str], lease_ms: int = 30_000) -> None:
        """Renew leases, and charge the run time beyond the charges."""
        now_us = self.clock.read(now_us)
        for task in self._started(task_ids):
            self._lease(task, now_us, lease_ms)
            spent = now_us - task.start_us
            if self.cost_mode == "time" and spent > task.charged:
                user = self._touch(task.user)
                # Without a beat a task runs for one lease at most. More time has passed only if the clock jumped ahead.
                more = min(spent - task.charged, lease_ms * 1000)
                user.S += more / user.settings.weight
                task.charged += more
        self._commit(now_us)

    def finish(self, now_us: int, ran_us: Mapping[str, int]) -> None:
        """End tasks successfully, each with its run time."""
        now_us = self.clock.read(now_us)
        for task in self._started(ran_us):
            self._leave_running(task, now_us, ran_us[task.task_id])
            del self.tasks[task.task_id]
        self._commit(now_us)

    def fail(self, now_us: int, ran_us: Mapping[str, int], *, pause_ms: int | None = None) -> None:
        """End attempts with an error: each task is retried after a delay, or becomes a dead letter if that is None."""
        now_us = self.clock.read(now_us)
        for task in self._started(ran_us):
            self._leave_running(task, now_us, ran_us[task.task_id])
            if pause_ms is None or task.cancel:
                del self.tasks[task.task_id]
            else:
                self._delay(task, now_us // 1000 + pause_ms)
        self._commit(now_us)

    def release(self, now_us: int, ran_us: Mapping[str, int]) -> None:
        """Return tasks as if they had not been started; their run time stays charged."""
        now_us = self.clock.read(now_us)
        for task in self._started(ran_us):
            user = self._leave_running(task, now_us, ran_us[task.task_id])
            if self.cost_mode == "count":
                user.S -= task.charged / user.settings.weight
            self._put_back(user, task)
        self._commit(now_us)

    def sweep(self, now_us: int) -> None:
        """Handle due work, at most 100 of each kind, and forgive debts if no task waits or runs."""
        now_us = self.clock.read(now_us)
        self._reclaim(now_us, _SWEEP)
        self._promote_tasks(now_us, _SWEEP)
        self._promote_users(now_us, _SWEEP)
        self._settle(now_us)
        if not (self.ready or self.fresh or self.running):
            self.forgive()
        self._collect(_SWEEP)
        if self.V >= HIGH:
            self.lower_tags([self._touch(user_id) for user_id in sorted(self.users)])
        self._commit(now_us)
        # Without users virtual time starts over, so that tags stay small.
        if not self.users:
            self.V = 0.0
            self.aseq = self.bs = self.cg = 0

    def wake_at_us(self) -> int | None:
        """The next time at which something changes without a call, on the queue's own clock; None: never.

        A task is due, a rate allows a start, or a lease ends.
        """
        milliseconds = [head[0] for ring in (self.delayed, self.running) if (head := ring.head())]
        moments = [int(at) * 1000 for at in milliseconds]
        if timer := self.timers.head():
            moments.append(math.ceil(timer[0]))
        return min(moments, default=None)
