"""The human-readable report of a run."""

from chaos.plan import Plan
from chaos.run import Outcome

__all__ = ["report"]

_MOST_BREACHES = 30


def report(plan: Plan, outcome: Outcome) -> str:
    """Return the report as text."""
    verdict = outcome.verdict
    times, starts = verdict.recovery_ms, verdict.restart_ms
    allowed = int(1000 * (plan.lease + plan.recovery_seconds))
    lines = [
        f"seed {plan.seed}, {plan.tasks:,} tasks in {outcome.seconds:.0f} s, append-only file {plan.persistence}",
        f"{plan.workers} workers of {plan.concurrency} ({', '.join(plan.modes)}), lease {plan.lease:g} s",
        "",
        f"lost      {verdict.lost:>7,}   acknowledged, but not ended",
        f"doubled   {verdict.doubled:>7,}   with more than one terminal record",
        f"ended     {verdict.ended:>7,}   tasks, in {verdict.starts:,} starts",
        f"refused   {verdict.refused:>7,}   endings after the lease was lost",
        f"recovery  {_percentile(times, 0.5):>7,}   ms from a worker's death until its tasks can be started again: p50",
        f"          {_percentile(times, 0.99):>7,}   p99 of {len(times):,}; {allowed:,} are allowed",
        f"restart   {_percentile(starts, 0.5):>7,}   ms until they are, after waiting for a slot and their turn: p50",
        f"          {_percentile(starts, 0.99):>7,}   p99",
        "",
        "nemesis          begun  felt",
        *(f"{name:<15} {times:>6} {outcome.felt.get(name, 0):>5}" for name, times in sorted(outcome.begun.items())),
    ]
    if outcome.unfelt:
        lines += ["", f"INVALID: none of these had an effect: {', '.join(outcome.unfelt)}"]
    lines += outcome.odd_ends
    if verdict.breaches:
        lines += ["", f"BROKEN: {len(verdict.breaches):,} breaches", *verdict.breaches[:_MOST_BREACHES]]
    elif not outcome.unfelt and not outcome.odd_ends:
        lines += ["", "All rules hold."]
    return "\n".join(lines)


def _percentile(values: list[int], share: float) -> int:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0
