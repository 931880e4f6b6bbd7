"""The command line of the chaos test: ``python -m chaos.command FOLDER``, with the size of the run and its faults."""

import argparse
import signal
import sys
from pathlib import Path

from chaos.nemeses import NEMESES
from chaos.plan import Plan
from chaos.report import report
from chaos.run import run
from chaos.tasks import MODES
from fairque.protocol.limits import CostMode

__all__ = ["CI", "RELEASE", "main"]

_ONE_OF_EACH = dict.fromkeys(NEMESES, 1)

#: The faults for each commit.
CI = {**_ONE_OF_EACH, "kill": 10, "flush": 3}
#: The faults for a release, with 200,000 tasks.
RELEASE = {
    **_ONE_OF_EACH,
    "kill": 100,
    "restart": 20,
    "pause": 20,
    "cut": 50,
    "blackhole": 10,
    "half-open": 10,
    "delay": 10,
    "flush": 30,
    "client-kill": 20,
    "out-of-memory": 10,
    "drop-push": 20,
    "drop-pop": 20,
    "drop-finish": 20,
    "roll": 5,
    "promote": 5,
}


def _faults(text: str) -> dict[str, int]:
    named = {"ci": CI, "release": RELEASE}.get(text)
    if named is not None:
        return named
    pairs = (part.partition("=") for part in text.split(","))
    faults = {name: int(times or 1) for name, _, times in pairs}
    unknown = faults.keys() - NEMESES.keys()
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(unknown)}; there are {', '.join(NEMESES)}")
    return faults


def main() -> None:
    """Run, print the report, and exit with 0 if all rules held and all faults had an effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the run; an interrupted run continues")
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--faults", type=_faults, default=CI, help="ci, release, or NAME=TIMES,…")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies tasks, faults and poison")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--poison", type=int, default=3)
    parser.add_argument("--persistence", choices=["always", "everysec"], default="always")
    parser.add_argument("--cost-mode", choices=["time", "count"], default="time")
    parser.add_argument("--modes", default=",".join(MODES))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given.folder.mkdir(parents=True, exist_ok=True)
    if (given.folder / "plan.json").exists():
        plan = Plan.load(given.folder)
    else:
        plan = Plan(
            seed=given.seed,
            tasks=int(given.tasks * given.scale),
            faults={name: max(1, round(times * given.scale)) for name, times in given.faults.items()},
            poison=max(1, round(given.poison * given.scale)),
            persistence=given.persistence,
            cost_mode=CostMode(given.cost_mode),
            modes=tuple(given.modes.split(",")),
        )
    outcome = run(given.folder, plan)
    text = report(plan, outcome)
    (given.folder / "report.txt").write_text(text + "\n")
    print(text)
    sys.exit(bool(outcome.verdict.breaches or outcome.unfelt or outcome.odd_ends))


if __name__ == "__main__":
    main()
