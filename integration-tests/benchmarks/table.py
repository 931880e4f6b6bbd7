"""The table of the README: each row is a figure of fairque, or its ratio to another queue in the same run."""

from collections.abc import Callable

from attrs import frozen
from drains import BOTH_US, RATE
from figures import Results
from report import number

__all__ = ["PEERS", "ROWS", "WORKLOADS", "as_markdown"]

#: The queues to which fairque is compared in the table; ``hatch run peers:compare`` has all.
PEERS = ("tarsk", "huey", "dramatiq")


@frozen
class Row:
    """A row.

    Attributes:
        label: What it shows.
        workload: The workload.
        cell: Makes its text; None where a figure is missing.
    """

    label: str
    workload: str
    cell: Callable[[Results, str], str | None]


def _value(name: str, unit: str = "") -> Callable[[Results, str], str | None]:
    """Show a figure of fairque."""

    def cell(results: Results, workload: str) -> str | None:
        value = results.median(workload, results.sides[0].name, name)
        return None if value is None else f"{number(value)}{unit}"

    return cell


def _against(name: str, *peers: str) -> Callable[[Results, str], str | None]:
    """Show the ratio of fairque's figure to that of others."""

    def cell(results: Results, workload: str) -> str | None:
        ratios = [(results.ratio(workload, results.sides[0].name, name, peer), peer) for peer in peers]
        return ", ".join(f"{number(ratio)} x {peer}" for ratio, peer in ratios if ratio is not None) or None

    return cell


def _bulk(results: Results, _: str) -> str | None:
    """Show the ratio of fairque's bulk pushes to Huey's pushes: Huey has no bulk push."""
    ours = results.median("push-bulk", results.sides[0].name, RATE)
    theirs = results.median("push", "huey", RATE)
    return f"{number(ours / theirs)} x huey" if ours and theirs else None


def _sleeps(results: Results, workload: str) -> str | None:
    """Show the figure of fairque, and that of tarsk beside it."""
    ours, theirs = (results.median(workload, side, "wall / ideal") for side in (results.sides[0].name, "tarsk"))
    beside = "" if theirs is None else f" (tarsk {number(theirs)})"
    return None if ours is None else f"{number(ours)}{beside}"


def _thousands(*names: str) -> Callable[[Results, str], str | None]:
    def cell(results: Results, workload: str) -> str | None:
        values = [results.median(workload, results.sides[0].name, name) for name in names]
        return " / ".join(f"{value:,.0f} k" for value in values if value is not None) or None

    return cell


def _growth(results: Results, workload: str) -> str | None:
    side = results.sides[0].name
    ratios = [results.median(workload, side, name) for name in results.names(workload) if name.endswith("ratio")]
    known = [ratio for ratio in ratios if ratio is not None]
    return f"at most {number(max(known))} x" if known else None


ROWS = (
    Row(
        "server instructions: push(1) / pop(1)+finish(1) / pop(32)+finish(32) a task / pop(50)+finish(50), 1,000 users",
        "instructions",
        _thousands("push(1)", "pop(1)+finish(1)", "pop(32)+finish(32)", "pop(50)+finish(50), 1,000 users"),
    ),
    Row("no-op drain by one worker process, threads, 16 slots", "drain", _against(RATE, "tarsk", "dramatiq")),
    Row("the same with `async def`, 100 slots", "drain-async", _against(RATE, "tarsk")),
    Row("two worker processes at once, no-ops", "drain-two", _against(RATE, "tarsk")),
    Row("CPU a task in a drain by threads, server + worker", "drain", _value(BOTH_US, " µs")),
    Row("the same, ratio", "drain", _against(BOTH_US, "tarsk")),
    Row("no-ops, of which one in 997 sleeps 0.3 s, against threads", "rare-sleep", _value("ratio to threads", " x")),
    Row("tasks that sleep 0.25 ms, against threads", "short-sleeps", _value("ratio to threads", " x")),
    Row("tasks that compute for 100 µs, against threads", "computing", _value("ratio to threads", " x")),
    Row("`--processes 2`, tasks of 200 µs of CPU", "processes", _value("ratio to one process", " x one process")),
    Row("push one by one", "push", _against(RATE, "huey")),
    Row("push in bulk", "push-bulk", _bulk),
    Row("push → start p50, idle", "latency", _against("start p50 ms", "huey")),
    Row("push → result p50, idle", "latency", _against("result p50 ms", "huey")),
    Row("sleeps of 10 ms, 50 slots, wall / ideal", "sleeps", _sleeps),
    Row("bytes per waiting task, message of 200 bytes", "memory", _value("bytes a waiting task")),
    Row("bytes per running task beyond that", "memory", _value("more a running task")),
    Row("idle worker, PSS", "idle", _value("MiB (PSS)", " MiB")),
    Row("cost at 1 M users or tasks against 10", "scale", _growth),
)
WORKLOADS = tuple(dict.fromkeys(row.workload for row in ROWS))


def as_markdown(results: Results) -> str:
    """Return the table in Markdown."""
    lines = ["| work | fairque |", "|---|---:|"]
    lines += [f"| {row.label} | {row.cell(results, row.workload) or 'not measured'} |" for row in ROWS]
    return "\n".join(lines)
