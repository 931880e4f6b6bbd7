"""The events of a simulation: arrivals, starts, heartbeats and ends, in order of time, with one policy."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

from attrs import define, field

from fairque.testing.fairness.records import ModelTask
from fairque.testing.fairness.simulation.policies import Policy
from fairque.testing.fairness.simulation.workload import SECOND, Workload

__all__ = ["Account", "Engine"]

#: Number of moments at which the service of contenders is compared.
_MOMENTS: Final = 2_000


@define(eq=False)
class Account:
    """The service of one user so far. Times are in microseconds.

    Attributes:
        workload: Its tasks.
        pushed: Number of tasks that arrived.
        served: Number of tasks that ended.
        served_us: The sum of their run times.
        running: Number of running tasks.
        starts_us: The sum of their start times.
        waits: From arrival to start, or to the end of the simulation.
    """

    workload: Workload
    pushed: int = 0
    served: int = 0
    served_us: int = 0
    running: int = 0
    starts_us: int = 0
    waits: list[int] = field(factory=list)

    def served_seconds(self, now_us: int) -> float:
        """Worker seconds until now, including those of running tasks."""
        return (self.served_us + self.running * now_us - self.starts_us) / SECOND


@define(eq=False)
class _Job:
    account: Account
    arrived_us: int
    run_time_us: int
    started_us: int | None = None


@define(kw_only=True, eq=False)
class Engine:
    """One run of a simulation.

    Attributes:
        policy: Decides which user is served next.
        accounts: All users.
        contenders: Users whose service is compared.
        idle: Workers without a task.
        end_us: When the run ends.
        lease_ms: How long a worker holds a task without a heartbeat.
        lag: The largest difference of weighted service between contenders so far, in seconds.
    """

    policy: Policy
    accounts: list[Account]
    contenders: list[Account]
    idle: int
    end_us: int
    lease_ms: int
    lag: float = field(init=False, default=0.0)
    _jobs: dict[str, _Job] = field(init=False, factory=dict)
    # Moment, sequence (keeps equal moments in order), and the method to call with its argument.
    _events: list[tuple[int, int, Callable[[int, Any], None], Any]] = field(init=False, factory=list)
    _sequence: int = field(init=False, default=0)
    _wake_us: int = field(init=False, default=-1)
    _moment: int = field(init=False, default=1)

    def play(self) -> None:
        """Run until the end."""
        for account in self.accounts:
            self._await_arrival(account, 0)
        while self._events and self._events[0][0] <= self.end_us:
            now_us = self._events[0][0]
            self._compare(now_us)
            # All events of one moment happen before any user is served.
            while self._events and self._events[0][0] == now_us:
                _, _, happen, argument = heappop(self._events)
                happen(now_us, argument)
            self._serve(now_us)
        self._compare(self.end_us)
        for job in self._jobs.values():
            if job.started_us is None:
                job.account.waits.append(self.end_us - job.arrived_us)

    @property
    def _heartbeat_us(self) -> int:
        return self.lease_ms * 1000 // 3

    def _at(self, moment_us: int, happen: Callable[[int, Any], None], argument: Any) -> None:
        self._sequence += 1
        heappush(self._events, (moment_us, self._sequence, happen, argument))

    def _compare(self, until_us: int) -> None:
        """Compare the contenders at all moments until then; nothing happened since the last event."""
        while (moment_us := self.end_us * self._moment // _MOMENTS) <= until_us and self._moment <= _MOMENTS:
            self._moment += 1
            if self.contenders:
                served = [a.served_seconds(moment_us) / a.workload.user.weight for a in self.contenders]
                self.lag = max(self.lag, max(served) - min(served))

    # Events.

    def _await_arrival(self, account: Account, index: int) -> None:
        if index < len(account.workload.arrivals):
            self._at(account.workload.arrivals[index][0], self._arrive, (account, index))

    def _arrive(self, now_us: int, arrival: tuple[Account, int]) -> None:
        account, index = arrival
        workload = account.workload
        tasks = []
        for number in range(account.pushed, account.pushed + workload.arrivals[index][1]):
            task = ModelTask(f"{workload.user.user_id}:{number}", workload.user.user_id, workload.user.priority)
            self._jobs[task.task_id] = _Job(account, now_us, workload.run_times[number])
            tasks.append(task)
        account.pushed += len(tasks)
        self.policy.push(now_us, tasks)
        self._await_arrival(account, index + 1)

    def _start(self, now_us: int, task_id: str) -> None:
        job = self._jobs[task_id]
        job.started_us = now_us
        job.account.waits.append(now_us - job.arrived_us)
        job.account.running += 1
        job.account.starts_us += now_us
        self.idle -= 1
        self._at(now_us + job.run_time_us, self._end, task_id)
        if job.run_time_us > self._heartbeat_us:
            self._at(now_us + self._heartbeat_us, self._beat, task_id)

    def _beat(self, now_us: int, task_id: str) -> None:
        if task_id in self._jobs:
            self.policy.beat(now_us, [task_id], self.lease_ms)
            self._at(now_us + self._heartbeat_us, self._beat, task_id)

    def _end(self, now_us: int, task_id: str) -> None:
        job = self._jobs.pop(task_id)
        job.account.served += 1
        job.account.served_us += job.run_time_us
        job.account.running -= 1
        job.account.starts_us -= now_us - job.run_time_us
        self.idle += 1
        self.policy.finish(now_us, {task_id: job.run_time_us})

    def _serve(self, now_us: int) -> None:
        """Give tasks to idle workers, and schedule another look for when a task becomes runnable by time alone."""
        while self.idle:
            started = self.policy.pop(now_us, self.idle, self.lease_ms)
            for task_id in started:
                self._start(now_us, task_id)
            wake_us = self.policy.wake_at_us()
            if started or (wake_us is not None and wake_us <= now_us):
                continue
            if wake_us is not None and not now_us < self._wake_us <= wake_us:
                self._wake_us = wake_us
                self._at(wake_us, _look_again, None)
            return


def _look_again(_now_us: int, _argument: None) -> None:
    """Do nothing: workers look for tasks after each event."""
