"""Everything at once: producers and workers at work during one fault after the other, and a verdict at the end."""

from pathlib import Path

from chaos.command import CI
from chaos.plan import Plan
from chaos.report import report
from chaos.run import run
from fairque.testing.internal import is_thorough

FEW = {"kill": 3, "restart": 1, "pause": 1, "cut": 1, "drop-pop": 1}


def test_nothing_is_lost_or_doubled_whatever_is_done_to_the_actors(tmp_path: Path) -> None:
    plan = Plan(tasks=5_000, faults=CI, persistence="everysec")
    if not is_thorough():
        plan = Plan(tasks=1_000, faults=FEW, persistence="everysec")
    outcome = run(tmp_path, plan)
    print(report(plan, outcome))
    assert outcome.verdict.breaches == []
    assert outcome.odd_ends == []
    # Otherwise the run is invalid: it proves nothing about them.
    assert outcome.unfelt == []
    assert outcome.verdict.ended == plan.tasks
