"""The report of a simulation, and its measures of fairness."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from attrs import frozen

__all__ = ["SimulationReport", "UserReport", "fair_allocation", "jain_index", "percentile"]


@frozen(kw_only=True)
class UserReport:
    """The results of one user.

    Attributes:
        served: Tasks that ended.
        served_seconds: Worker seconds that it used, including those of unfinished tasks.
        share: Its fraction of all used worker seconds.
        fair_share: Its fair fraction, by `fair_allocation` of the capacity of the workers.
        wait_p50: Median of the seconds from arrival to start. A task that was not started counts with its wait until
            the end of the simulation.
        wait_p99: The 99th percentile.
        wait_max: The longest wait.
    """

    served: int
    served_seconds: float
    share: float
    fair_share: float
    wait_p50: float
    wait_p99: float
    wait_max: float


@frozen(kw_only=True)
class SimulationReport:
    """The results of a simulation; ``report["name"]`` is one user, ``print(report)`` a table of all.

    `jain` and `lag` are about the *contenders*: the users with work from the beginning (``start`` is 0) that asked for
    more than their fair allocation (see `fair_allocation`; demand beyond a cap or a rate does not
    count). The choice does not depend on the policy. Without contenders, `jain` is 1 and `lag` is 0.

    Attributes:
        users: All users, in the given order.
        jain: Jain's index of the contenders' worker seconds, each divided by its fair allocation: 1 if all got the
            same fraction of it, 1/n if one of n got everything.
        lag: The largest difference between two contenders, at any of 2,000 moments, of their service since the
            beginning: worker seconds divided by weight.
        utilisation: Fraction of the workers' time that was used.
    """

    users: Mapping[str, UserReport]
    jain: float
    lag: float
    utilisation: float

    def __getitem__(self, name: str) -> UserReport:
        if name not in self.users:
            raise KeyError(f"no user {name!r} was simulated; there are {', '.join(map(repr, self.users))}")
        return self.users[name]

    def __str__(self) -> str:
        width = max(map(len, self.users))
        lines = [f"{'':{width}}   served    seconds    share     fair      p50      p99      max"]
        lines += [
            f"{name:{width}} {u.served:8} {u.served_seconds:10.1f} {u.share:8.3f} {u.fair_share:8.3f}"
            f" {u.wait_p50:8.3f} {u.wait_p99:8.3f} {u.wait_max:8.3f}"
            for name, u in self.users.items()
        ]
        lines.append(f"jain {self.jain:.3f}   lag {self.lag:.1f} s   utilisation {self.utilisation:.3f}")
        return "\n".join(lines)


def jain_index(values: Iterable[float]) -> float:
    """Return Jain's fairness index, ``sum(x)**2 / (n * sum(x**2))``.

    It is 1 if all values are equal, and 1/n if all but one are 0. Without values, or if all are 0, it is 1.

    Raises:
        ValueError: A value is negative or not finite.
    """
    numbers = list(values)
    for number in numbers:
        if not 0 <= number < math.inf:
            raise ValueError(f"jain_index takes finite values from 0, not {number!r}")
    squares = sum(number * number for number in numbers)
    return sum(numbers) ** 2 / (len(numbers) * squares) if squares else 1.0


def fair_allocation(capacity: float, demands: Sequence[tuple[float, float]]) -> list[float]:
    """Share a capacity among users by weighted max-min fairness, also called water-filling.

    Each user gets its demand, or the same amount per weight as every other user with an unmet demand. Capacity is
    left over only if all demands are met.

    Args:
        capacity: The amount to share.
        demands: Weight and demand of each user.
    """
    # The smallest demand per weight is met first; the rest raises the level of the others.
    order = sorted(range(len(demands)), key=lambda index: demands[index][1] / demands[index][0])
    weights = list(accumulate(demands[index][0] for index in reversed(order)))
    allocated = [0.0] * len(demands)
    for index in order:
        weight, demand = demands[index]
        allocated[index] = min(demand, capacity * weight / weights.pop())
        capacity -= allocated[index]
    return allocated


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the sorted values that this percentage of them does not exceed; 0 without values."""
    if not values:
        return 0.0
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]
