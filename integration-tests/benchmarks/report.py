"""The results as text and as JSON."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from attrs import asdict
from figures import Results, Workload
from servers import Facts

__all__ = ["as_text", "number", "write_json"]

_NOTHING = "-"


def as_text(results: Results, facts: Facts) -> str:
    """Return tables; with several sides each cell has the ratio to the first one, then the value."""
    lines = [_about(facts), *(f"{side.name:10} {side.version}" for side in results.sides)]
    for workload in results.workloads:
        if any((workload.name, side.name) in results.runs for side in results.sides):
            lines += ["", f"{workload.name}: {workload.title}", *_table(results, workload)]
    return "\n".join([*lines, *([""] if results.notes else []), *results.notes])


def write_json(path: Path, results: Results, facts: Facts, **more: Any) -> None:
    """Write every run, with the medians."""
    runs = {
        workload.name: {
            side.name: {
                "medians": {name: results.median(workload.name, side.name, name) for name in figures[0]},
                "runs": figures,
            }
            for side in results.sides
            if (figures := results.runs.get((workload.name, side.name)))
        }
        for workload in results.workloads
    }
    document = {
        **more,
        **asdict(facts),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "sides": {side.name: side.version for side in results.sides},
        "workloads": runs,
        "notes": results.notes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def number(value: float) -> str:
    """Return a number with about three digits."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _about(facts: Facts) -> str:
    return (
        f"{facts.server}, {facts.allocator}, round trip {1_000 * facts.round_trip_ms:.0f} µs, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {sys.platform}"
    )


def _table(results: Results, workload: Workload) -> list[str]:
    names = results.names(workload.name)
    if len(results.sides) == 1:
        (side,) = results.sides
        return [f"  {name:45} {_cell(results, workload, side.name, name):>12}" for name in names]
    if len(names) > 4:
        # One line for each figure: they would not fit beside one another.
        heads = ["", *(side.name for side in results.sides)]
        rows = [[name, *(_cell(results, workload, side.name, name) for side in results.sides)] for name in names]
    else:
        heads = ["", *names]
        rows = [
            [side.name, *(_cell(results, workload, side.name, name) for name in names)]
            for side in results.sides
            if workload.suits(side)
        ]
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    return [
        "  " + "  ".join(text.rjust(width) if place else text.ljust(width) for place, (text, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in [heads, *rows])
    ]


def _cell(results: Results, workload: Workload, side: str, name: str) -> str:
    value = results.median(workload.name, side, name)
    if value is None:
        return _NOTHING
    if len(results.sides) == 1:
        return number(value)
    ratio = results.ratio(workload.name, side, name)
    return f"{_NOTHING if ratio is None else f'{ratio:.2f}'} ({number(value)})"
