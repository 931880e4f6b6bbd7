"""Draws the chart of the comparison from its figures: ``hatch run charts:peers build/peers.json``.

A bar for each task queue and workload, relative to fairque in the same run; ``hatch run peers:compare --json`` writes
them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
#: The figure that is drawn of each workload, and its title.
DRAWN = (
    ("drain", "tasks a second", "no-op tasks, threads"),
    ("drain-async", "tasks a second", "no-op coroutines"),
    ("push", "tasks a second", "pushed one by one"),
    ("push-bulk", "tasks a second", "pushed in bulk"),
)


def main(path: Path) -> None:
    """Draw."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fairque", "font.size": 9})
    figure, axes = plt.subplots(1, len(DRAWN), figsize=(9, 2.8), layout="constrained")
    for axis, (workload, name, title) in zip(axes, DRAWN, strict=True):
        ratios = _ratios(measured, workload, name)
        bars = axis.barh(
            list(ratios), list(ratios.values()), color=["C0" if one == "fairque" else "C7" for one in ratios]
        )
        axis.bar_label(bars, fmt="%.2f", padding=2)
        axis.set(title=title, xlim=(0, 1.25 * max(ratios.values(), default=1.0)), xticks=[])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    figure.supxlabel("tasks a second, relative to fairque in the same run; longer is faster")
    figure.savefig(HERE / "peers.svg", metadata={"Date": None})


def _ratios(measured: dict[str, Any], workload: str, name: str) -> dict[str, float]:
    """Return the ratio of each queue to fairque, the largest last, which is drawn on top."""
    sides = measured["workloads"].get(workload, {})
    base = sides.get("fairque", {}).get("medians", {}).get(name)
    ratios = {side: found["medians"][name] / base for side, found in sides.items()} if base else {}
    return dict(sorted(ratios.items(), key=lambda pair: pair[1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
