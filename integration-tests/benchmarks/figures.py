"""Workloads, the figures that they measure, and rounds in which several sides are measured alternately."""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import field, frozen
from sides import Failed, Side

__all__ = ["Figures", "Results", "Workload", "measure"]

#: The figures of one run, by name. A name says the unit.
Figures = Mapping[str, float]


@frozen
class Workload:
    """Something that is measured.

    Attributes:
        name: Its name on the command line.
        title: What it is, in one line.
        run: Measures it once; the number is the share of the full size.
        suits: Whether a side can do it.
        repeats: Whether one round is enough: its figures repeat, or are medians and ratios of many calls already.
    """

    name: str
    title: str
    run: Callable[[Side, float], Figures]
    suits: Callable[[Side], bool] = lambda _: True
    repeats: bool = False


@frozen
class Results:
    """What was measured.

    Attributes:
        sides: All sides, the base of the ratios first.
        workloads: All workloads.
        runs: The figures of each run, by workload and side. There are none where a side does not suit, or failed.
        notes: What could not be measured, and why, one line each.
    """

    sides: Sequence[Side]
    workloads: Sequence[Workload]
    runs: Mapping[tuple[str, str], Sequence[Figures]]
    notes: list[str] = field(factory=list)

    def names(self, workload: str) -> list[str]:
        """Return the names of a workload's figures."""
        found: dict[str, None] = {}
        for side in self.sides:
            for figures in self.runs.get((workload, side.name), ()):
                found.update(dict.fromkeys(figures))
        return list(found)

    def median(self, workload: str, side: str, name: str) -> float | None:
        """Return the median of a figure, or None if it was not measured."""
        values = [figures[name] for figures in self.runs.get((workload, side), ()) if name in figures]
        return statistics.median(values) if values else None

    def ratio(self, workload: str, side: str, name: str, base: str | None = None) -> float | None:
        """Return the median of a side relative to that of the base, which is the first side if none is given."""
        value = self.median(workload, side, name)
        other = self.median(workload, base or self.sides[0].name, name)
        return value / other if value is not None and other else None


def measure(
    sides: Sequence[Side], workloads: Iterable[Workload], *, rounds: int, scale: float, notes: Iterable[str] = ()
) -> Results:
    """Measure all workloads on all sides, one side after the other in each round, each round in the opposite order.

    Args:
        sides: The sides; the first one is the base of the ratios.
        workloads: What to measure.
        rounds: How often.
        scale: The share of the full size.
        notes: What is known not to be measured.
    """
    chosen = list(workloads)
    runs: dict[tuple[str, str], list[Figures]] = {}
    results = Results(sides, chosen, runs, list(notes))
    failed: set[tuple[str, str]] = set()
    for number in range(rounds):
        for workload in chosen:
            if number and workload.repeats:
                continue
            for side in sides if number % 2 == 0 else reversed(sides):
                key = workload.name, side.name
                if key in failed or not workload.suits(side):
                    continue
                print(f"round {number + 1} of {rounds}: {workload.name}, {side.name}", file=sys.stderr, flush=True)
                try:
                    figures = workload.run(side, scale)
                except Failed as error:
                    failed.add(key)
                    results.notes.append(f"{workload.name}: {error}")
                else:
                    runs.setdefault(key, []).append(figures)
    return results
