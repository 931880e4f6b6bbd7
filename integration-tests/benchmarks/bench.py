"""fairque alone: what it does in a second, and what that costs.

    hatch run bench                    all workloads
    hatch run bench drain instructions some of them; --list names all
    hatch run bench table              the table of the README: fairque beside the queues to which it is compared

Figures are medians of several rounds. Those in seconds depend on the machine and on what else it does; instructions,
counted by callgrind, repeat within a few percent.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import drains
import pushes
import server_cost
import table
from environments import Missing, current_side, peer_side
from figures import Results, Workload, measure
from report import as_text, write_json
from servers import facts, has_valgrind
from sides import Side

__all__ = ["WORKLOADS", "arguments", "chosen", "run"]

WORKLOADS = {one.name: one for one in (*server_cost.WORKLOADS, *drains.WORKLOADS, *pushes.WORKLOADS)}


def arguments(description: str | None, names: Sequence[str], *, revision: bool = False) -> argparse.ArgumentParser:
    """Return the arguments that all commands of the benchmarks share; with ``revision`` one comes before the names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if revision:
        parser.add_argument("revision", help="a commit, branch or tag of this repository")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, all if left out: {', '.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often (3)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="the share of the full size, 0.05 for a quick look (1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run to this file")
    return parser


def chosen(names: Sequence[str]) -> list[Workload]:
    """Return the workloads with these names, or all if there are none.

    Raises:
        SystemExit: One is unknown.
    """
    if unknown := [name for name in names if name not in WORKLOADS]:
        raise SystemExit(f"there is no workload {', '.join(unknown)}; there are: {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in names or WORKLOADS]


def run(
    sides: Sequence[Side], workloads: Sequence[Workload], options: argparse.Namespace, notes: Sequence[str] = ()
) -> Results:
    """Measure, print and write the results."""
    about = facts()
    if not has_valgrind() and any(one.name == "instructions" for one in workloads):
        notes = [*notes, server_cost.WITHOUT_VALGRIND]
    results = measure(sides, workloads, rounds=options.rounds, scale=options.scale, notes=notes)
    print(as_text(results, about))
    if options.json:
        write_json(options.json, results, about, rounds=options.rounds, scale=options.scale)
    return results


def main() -> None:
    """Do what the command line says."""
    parser = arguments(__doc__, [*WORKLOADS, "table"])
    parser.add_argument("--list", action="store_true", help="print all workloads")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{one.name:14} {one.title}" for one in WORKLOADS.values()))
    elif options.names == ["table"]:
        _table(options)
    else:
        run([current_side()], chosen(options.names), options)


def _table(options: argparse.Namespace) -> None:
    sides, notes = [current_side()], []
    for name in table.PEERS:
        try:
            sides.append(peer_side(name))
        except Missing as error:
            notes.append(f"{name}: left out, {error}")
    results = run(sides, [WORKLOADS[name] for name in table.WORKLOADS], options, notes)
    print(f"\n{table.as_markdown(results)}")


if __name__ == "__main__":
    main()
