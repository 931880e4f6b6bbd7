"""`simulate`: check the arguments, run the engine, and report."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fairque.protocol.errors import InvalidArgument
from fairque.testing.fairness.model import FairModel
from fairque.testing.fairness.records import is_number
from fairque.testing.fairness.simulation.engine import Account, Engine
from fairque.testing.fairness.simulation.policies import Fifo, Policy, PolicyName, RoundRobin
from fairque.testing.fairness.simulation.report import (
    SimulationReport,
    UserReport,
    fair_allocation,
    jain_index,
    percentile,
)
from fairque.testing.fairness.simulation.workload import SECOND, SimulatedUser, Workload

__all__ = ["simulate"]

#: Seconds; with less, most events would be heartbeats.
_LEAST_LEASE: Final = 0.1


def _fair(users: Sequence[SimulatedUser]) -> Policy:
    model = FairModel()
    for user in users:
        model.set_user(0, user.user_id, weight=user.weight, cap=user.cap, rate=user.rate, burst=user.burst)
    return model


_POLICIES: Final[Mapping[PolicyName, Callable[[Sequence[SimulatedUser]], Policy]]] = {
    "fair": _fair,
    "fifo": lambda _: Fifo(),
    "round_robin": lambda _: RoundRobin(),
}


def simulate(
    users: Sequence[SimulatedUser],
    *,
    workers: int,
    seconds: float,
    seed: int = 0,
    lease: float = 30.0,
    policy: PolicyName = "fair",
) -> SimulationReport:
    """Let users share workers for some virtual time, and report on each.

    The same arguments give the same report. A user's tasks depend only on the seed and its name, so that policies and
    sets of users can be compared.

    Args:
        users: The users and their tasks.
        workers: Number of tasks that can run at a time.
        seconds: Virtual time to simulate, beginning with an empty queue.
        seed: Seed of all random numbers.
        lease: Seconds of a task's lease. A third of it is the heartbeat, and the most that is charged in advance.
        policy: ``fair``; or, for comparison, ``fifo`` (one list for all) or ``round_robin`` (a task of each user in
            turn). Those two ignore weights, caps, rates and priorities.

    Raises:
        InvalidArgument: An argument is invalid; all problems are listed.
    """
    if problems := _problems(users, workers, seconds, lease, policy):
        raise InvalidArgument(problems)
    capacity = workers * seconds
    accounts = [Account(Workload(user, seconds, seed)) for user in users]
    fair = fair_allocation(capacity, [(a.workload.user.weight, a.workload.demand) for a in accounts])
    contenders = {
        account.workload.user.user_id: (account, allocated)
        for account, allocated in zip(accounts, fair, strict=True)
        # A met demand exceeds its allocation only by rounding.
        if account.workload.user.start == 0 and account.workload.demand > allocated * (1 + 1e-9)
    }
    engine = Engine(
        policy=_POLICIES[policy](users),
        accounts=accounts,
        contenders=[account for account, _ in contenders.values()],
        idle=workers,
        end_us=round(seconds * SECOND),
        lease_ms=round(lease * 1000),
    )
    engine.play()
    used = {a.workload.user.user_id: a.served_seconds(engine.end_us) for a in accounts}
    total_used, total_fair = sum(used.values()), sum(fair)
    return SimulationReport(
        users={
            account.workload.user.user_id: _report(
                account,
                used[account.workload.user.user_id],
                used[account.workload.user.user_id] / total_used if total_used else 0.0,
                allocated / total_fair if total_fair else 0.0,
            )
            for account, allocated in zip(accounts, fair, strict=True)
        },
        jain=jain_index(used[name] / allocated for name, (_, allocated) in contenders.items()),
        lag=engine.lag,
        utilisation=total_used / capacity,
    )


def _report(account: Account, used: float, share: float, fair_share: float) -> UserReport:
    waits = sorted(account.waits)
    return UserReport(
        served=account.served,
        served_seconds=used,
        share=share,
        fair_share=fair_share,
        wait_p50=percentile(waits, 50) / SECOND,
        wait_p99=percentile(waits, 99) / SECOND,
        wait_max=percentile(waits, 100) / SECOND,
    )


def _problems(
    users: Sequence[SimulatedUser], workers: object, seconds: object, lease: object, policy: object
) -> list[str]:
    problems = []
    if not users:
        problems.append("there are no users: give simulate at least one SimulatedUser")
    problems += [
        f"two users are named {name!r}: each needs its own name"
        for name, times in Counter(user.user_id for user in users).items()
        if times > 1
    ]
    if not isinstance(workers, int) or workers < 1:
        problems.append(f"workers must be a whole number from 1, not {workers!r}")
    if not is_number(seconds) or seconds <= 0:
        problems.append(f"seconds must be a number above 0, not {seconds!r}")
    if not is_number(lease) or lease < _LEAST_LEASE:
        problems.append(f"lease must be a number of seconds from {_LEAST_LEASE}, not {lease!r}")
    if policy not in _POLICIES:
        problems.append(f"policy must be one of {', '.join(map(repr, _POLICIES))}, not {policy!r}")
    return problems
