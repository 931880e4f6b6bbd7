"""The users of a simulation: when their tasks arrive and how long they run."""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import accumulate, count, islice, takewhile
from random import Random
from typing import Final

from attrs import field, frozen

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import id_problem
from fairque.protocol.model.states import Priority
from fairque.testing.fairness.records import is_number, settings_problems

__all__ = ["SECOND", "SimulatedUser", "Workload"]

#: Microseconds.
SECOND: Final = 1_000_000


@frozen
class SimulatedUser:
    """A user of a simulation. At least one of ``backlog``, ``every`` and ``per_second`` says when its tasks arrive.

    Attributes:
        user_id: Its name in the report.
        weight: Share relative to others, 0.01 to 100.
        cap: Most tasks that run at a time.
        rate: Most starts a second.
        burst: Most starts at once after a rest.
        priority: Priority of all its tasks.
        backlog: Number of tasks that arrive at ``start``, all at once.
        every: Seconds between tasks that arrive regularly, the first at ``start``.
        per_second: Average number of tasks per second that arrive at random (a Poisson process).
        start: When tasks begin to arrive, in seconds.
        stop: When they stop arriving, in seconds; None: never.
        run_time: Seconds that a task runs, or a function that draws them from a given `random.Random`.

    Raises:
        InvalidArgument: The user cannot be simulated; all problems are listed.
    """

    user_id: str
    weight: float = field(default=1.0, kw_only=True)
    cap: int | None = field(default=None, kw_only=True)
    rate: float | None = field(default=None, kw_only=True)
    burst: int | None = field(default=None, kw_only=True)
    priority: Priority = field(default=Priority.NORMAL, kw_only=True)
    backlog: int = field(default=0, kw_only=True)
    every: float | None = field(default=None, kw_only=True)
    per_second: float | None = field(default=None, kw_only=True)
    start: float = field(default=0.0, kw_only=True)
    stop: float | None = field(default=None, kw_only=True)
    run_time: float | Callable[[Random], float] = field(default=0.1, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if problems := list(self._problems()):
            raise InvalidArgument([f"simulated user {self.user_id!r}: {problem}" for problem in problems])

    def _problems(self) -> Iterator[str]:
        if problem := id_problem(self.user_id, "user_id"):
            yield problem
        yield from settings_problems(self.weight, self.cap, self.rate, self.burst)
        if not any(self.priority is known for known in Priority):
            yield f"priority must be one of Priority, not {self.priority!r}"
        if not isinstance(self.backlog, int) or self.backlog < 0:
            yield f"backlog must be a whole number of tasks from 0, not {self.backlog!r}"
        elif not (self.backlog or self.every or self.per_second):
            yield "it has no tasks: give it a backlog, or every, or per_second"
        for name in ("every", "per_second"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                yield f"{name} must be a number above 0, or None, not {value!r}"
        if not is_number(self.start) or self.start < 0:
            yield f"start must be a number of seconds from 0, not {self.start!r}"
        elif self.stop is not None and not (is_number(self.stop) and self.stop > self.start):
            yield f"stop must be a number of seconds above start, or None, not {self.stop!r}"
        if not callable(self.run_time) and not (is_number(self.run_time) and self.run_time > 0):
            yield f"run_time must be seconds above 0, or a function of a random.Random, not {self.run_time!r}"


class Workload:
    """All tasks of a user in a simulation, drawn before it begins, so that they are the same under each policy.

    Attributes:
        user: The user that pushes them.
        arrivals: Times in microseconds, each with the number of tasks that arrive then.
        run_times: Run times in microseconds, in the order of arrival.
        demand: Worker seconds that it could use until the end, regardless of the others.
    """

    def __init__(self, user: SimulatedUser, seconds: float, seed: int) -> None:
        until = seconds if user.stop is None else min(seconds, user.stop)
        self.user = user
        self.arrivals = list(takewhile(lambda arrival: arrival[0] < until * SECOND, _arrivals(user, seed)))
        # Separate streams of random numbers: a change of the arrivals does not change the run times.
        draw = Random(f"{seed}/{user.user_id}/service")  # noqa: S311 - a simulation has to be repeatable
        self.run_times = array("q", (_run_time_us(user, draw) for _, number in self.arrivals for _ in range(number)))
        self.demand = self._demand(seconds)

    def _demand(self, seconds: float) -> float:
        user, present = self.user, max(0.0, seconds - self.user.start)
        end = round(seconds * SECOND)
        moments = (moment for moment, number in self.arrivals for _ in range(number))
        fitting: Iterable[int] = (min(run, end - moment) for run, moment in zip(self.run_times, moments, strict=True))
        if user.rate is not None:
            fitting = islice(fitting, (user.burst or 1) + math.floor(user.rate * present))
        demand = sum(fitting) / SECOND
        return demand if user.cap is None else min(demand, user.cap * present)


def _arrivals(user: SimulatedUser, seed: int) -> Iterator[tuple[int, int]]:
    """Yield times in microseconds and numbers of tasks, endlessly."""
    start = round(user.start * SECOND)
    streams: list[Iterable[tuple[int, int]]] = []
    if user.backlog:
        streams.append([(start, user.backlog)])
    if user.every is not None:
        gap = user.every * SECOND
        streams.append((start + round(number * gap), 1) for number in count())
    if user.per_second is not None:
        draw = Random(f"{seed}/{user.user_id}/arrivals")  # noqa: S311 - a simulation has to be repeatable
        rate = user.per_second / SECOND
        moments = accumulate((draw.expovariate(rate) for _ in count()), initial=float(start))
        streams.append((round(moment), 1) for moment in islice(moments, 1, None))
    return merge(*streams)


def _run_time_us(user: SimulatedUser, draw: Random) -> int:
    seconds = user.run_time(draw) if callable(user.run_time) else user.run_time
    if not is_number(seconds) or seconds <= 0:
        raise InvalidArgument([f"simulated user {user.user_id!r}: run_time gave {seconds!r}, not seconds above 0"])
    return max(1, round(seconds * SECOND))
