"""The rules C1 to C14, which must hold in every history, whatever the faults.

Each rule yields a sentence for each breach. All of them run in linear time, except that C11 sorts the starts.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from attrs import frozen

from chaos.facts import ALREADY, ENDED, OK, Attempt, Facts, TaskFacts, fence_of
from chaos.fairness import unfair
from chaos.plan import Plan

__all__ = ["RULES", "Verdict", "check", "recoveries"]

#: Microseconds by which two readings of one clock may differ: leases are stored in whole milliseconds.
ROUNDING = 2_000


@frozen
class Verdict:
    """The result of the rules for a history.

    Attributes:
        breaches: Sentences, each beginning with the name of the rule.
        lost: Acknowledged tasks that did not end.
        doubled: Tasks with more than one terminal record.
        refused: Endings that were refused because the lease was lost.
        recovery_ms: From the death of a worker until each of its tasks could be started again.
        restart_ms: Until it was started: it may have waited for a slot, its user's turn, and tasks of higher priority.
        ended: Tasks with a terminal record.
        starts: Attempts begun.
    """

    breaches: list[str]
    lost: int
    doubled: int
    refused: int
    recovery_ms: list[int]
    restart_ms: list[int]
    ended: int
    starts: int


def _each(facts: Facts) -> Iterator[tuple[str, TaskFacts]]:
    return iter(facts.tasks.items())


def _state(task: TaskFacts) -> str:
    return str(task.final["state"]) if task.final else ""


def nothing_is_lost(facts: Facts, _: Plan) -> Iterator[str]:
    """C1: every acknowledged task ends."""
    for task_id, task in _each(facts):
        if task.outcome == "ok":
            kept = facts.tasks.get(task.stands) if task.stands != task_id else task
            if kept is None or kept.final is None:
                yield f"task {task_id} was acknowledged, but has no record"
            elif _state(kept) not in ENDED:
                yield f"task {task_id} was acknowledged, but is still {_state(kept)} at the end of the run"
            elif _state(kept) == "FINISHED" and kept.ran.get(fence_of(kept.final["token"])) != "ok":
                yield f"task {task_id} is FINISHED by an attempt that never ended"


def nothing_unexpected(facts: Facts, _: Plan) -> Iterator[str]:
    """C2: no task runs or exists that was not pushed, or whose push was refused."""
    for task_id, task in _each(facts):
        known = task.final is not None or task.attempts or task.began
        if known and task.about is None:
            yield f"task {task_id} exists, but was not pushed"
        if known and task.outcome == "fail":
            yield f"task {task_id} exists, but its push was refused"
        for fence in task.began:
            if not any(attempt.fence == fence for attempt in task.attempts.values()) and not facts.unheard:
                yield f"task {task_id} ran with fence {fence}, which was not granted"


def one_terminal_record(facts: Facts, _: Plan) -> Iterator[str]:
    """C3: exactly one terminal state, which no actor ever saw differently."""
    for task_id, task in _each(facts):
        accepted = [a.accepted for a in task.attempts.values() if a.accepted and a.accepted.state in ENDED]
        twice = [a for a in task.attempts.values() if sum(e.code == OK for e in a.endings) > 1]
        if len(accepted) > 1 or twice:
            yield f"task {task_id} was ended twice: an ending was accepted more than once"
        if len(task.said) > 1:
            yield f"task {task_id} was reported as {' and '.join(sorted(task.said))}"
        elif task.said and _state(task) and task.said != {_state(task)}:
            yield f"task {task_id} was reported as {task.said.copy().pop()}, but is {_state(task)}"
        if _state(task) == "FINISHED" and not _within_outage(facts, task.final):
            winner = task.attempts.get(task.final["token"]) if task.final else None
            if winner is None or not (winner.accepted or winner.maybe):
                yield f"task {task_id} is FINISHED, but no worker finished it"


def only_the_newest_ends(facts: Facts, _: Plan) -> Iterator[str]:
    """C4: each attempt has its own token, and an accepted ending has the newest fence."""
    yield from (text.removeprefix("C4 ") for text in facts.broken if text.startswith("C4 "))
    for task_id, task in _each(facts):
        order = task.in_order()
        for old, new in pairwise(order):
            if any(e.code == OK and e.sent > new.fence + ROUNDING for e in old.endings):
                yield f"task {task_id}: the ending of attempt {old.number} was accepted after the next one had begun"
        if _state(task) == "FINISHED" and order and task.final and fence_of(task.final["token"]) < order[-1].fence:
            yield f"task {task_id} is FINISHED by an attempt that was not its last"


def leases_do_not_overlap(facts: Facts, _: Plan) -> Iterator[str]:
    """C5: at most one valid lease of a task at any time, none beyond its timeout, and each token held by one worker."""
    yield from (text.removeprefix("C5 ") for text in facts.broken if text.startswith("C5 "))
    for task_id, task in _each(facts):
        order = task.in_order()
        timeout = (task.about or {"timeout_ms": 3_600_000})["timeout_ms"] * 1000
        for attempt in order:
            if attempt.renewed > attempt.fence + timeout + ROUNDING:
                yield f"task {task_id}: attempt {attempt.number} was renewed after its timeout"
        for old, new in pairwise(order):
            ended = [e.sent for e in old.endings if e.code in (OK, ALREADY, None)]
            if new.fence + ROUNDING < min([old.until, *ended]):
                yield f"task {task_id}: attempt {new.number} began while attempt {old.number} had its lease"


def no_start_after_the_end(facts: Facts, _: Plan) -> Iterator[str]:
    """C6: an ended task is not started again."""
    for task_id, task in _each(facts):
        ends = [e.answered for a in task.attempts.values() for e in a.endings if e.code == OK and e.state in ENDED]
        if task.final and _state(task) in ENDED:
            ends.append((int(task.final["ended_at"]) + 1) * 1000)
        if ends and any(attempt.fence > min(ends) + ROUNDING for attempt in task.attempts.values()):
            yield f"task {task_id} was started after its end"


def deliveries_are_bounded(facts: Facts, plan: Plan) -> Iterator[str]:
    """C7: at most max_lost_workers lost leases, each start is counted, and a dead letter has a reason."""
    for task_id, task in _each(facts):
        order = [attempt for attempt in task.in_order() if attempt.number]
        lost = [attempt for attempt in order if not (attempt.accepted or attempt.maybe)]
        if len(lost) > plan.max_lost_workers:
            yield f"task {task_id} lost {len(lost)} leases; {plan.max_lost_workers} are allowed"
        for old, new in pairwise(order):
            if not _follows(facts, old, new):
                yield f"task {task_id}: attempt {new.number} came after attempt {old.number}"
        if _state(task) == "FAILED" and task.final:
            reason = task.final.get("reason")
            if not reason:
                yield f"task {task_id} is a dead letter without a reason"
            if reason == "deliveries" and len(lost) != plan.max_lost_workers and not facts.unheard:
                yield f"task {task_id} is dead after {len(lost)} lost leases"


def parents_come_first(facts: Facts, _: Plan) -> Iterator[str]:
    """C8: a dependent starts after all of its parents have ended, and as its edges require."""
    for task_id, task in _each(facts):
        if not task.about or not task.about["parents"] or task.final is None:
            continue
        order = task.in_order()
        cascade = False
        for parent_id, policy in task.about["parents"]:
            parent = facts.tasks.get(parent_id, TaskFacts())
            if parent.final is None or _state(parent) not in ENDED:
                if order:
                    yield f"task {task_id} was started, but its parent {parent_id} has not ended"
                continue
            if order and order[0].fence + ROUNDING < int(parent.final["ended_at"]) * 1000:
                yield f"task {task_id} was started before its parent {parent_id} had ended"
            cascade = cascade or (policy == "cascade" and _state(parent) != "FINISHED")
        if cascade and (order or _state(task) != "CANCELED"):
            yield f"task {task_id} is {_state(task)}, but a parent whose failure cancels it did not finish"
        if not cascade and _state(task) == "CANCELED" and not (task.canceled or task.about["kind"] == "quitter"):
            yield f"task {task_id} is CANCELED without a reason"


def values_are_the_winners(facts: Facts, _: Plan) -> Iterator[str]:
    """C9: results and XCom values come from the attempt that won."""
    for task_id, task in _each(facts):
        if _state(task) == "FINISHED" and task.final:
            winner = fence_of(task.final["token"])
            results = [*task.results, task.final["result"]]
            if any(result["fence"] != winner for result in results):
                yield f"task {task_id}: its result is not that of the accepted attempt"
    for pull in facts.pulled_values:
        source = facts.tasks.get(pull["task"], TaskFacts())
        won = fence_of(source.final["token"]) if source.final and _state(source) == "FINISHED" else None
        if won is None or facts.pushed_values.get((pull["task"], won, pull["key"])) != pull["value"]:
            yield f"task {pull['id']} got {pull['key']!r} of {pull['task']}, which the accepted attempt did not store"


def fires_once(facts: Facts, _: Plan) -> Iterator[str]:
    """C10: exactly one task for each run of a schedule."""
    for (schedule, at), ids in facts.fires.items():
        if len(ids) > 1:
            yield f"schedule {schedule} fired {len(ids)} times for {at}"
    for schedule, at in facts.expected_fires - facts.fires.keys():
        yield f"schedule {schedule} did not fire for {at}"


def fair_under_faults(facts: Facts, plan: Plan) -> Iterator[str]:
    """C11: no user with ready work is skipped for long."""
    yield from unfair(facts, plan)


def the_keys_agree(facts: Facts, _: Plan) -> Iterator[str]:
    """C12: each id is in one index, counters are correct, and no keys are left over."""
    yield from facts.audits


def recovers_in_time(facts: Facts, plan: Plan) -> Iterator[str]:
    """C13: the tasks of a dead worker can be started again in time, and are started if any worker has a free slot."""
    bound = int(1_000_000 * (plan.lease + plan.recovery_seconds))
    idle = sorted(facts.idle)
    for task_id, died, back, started in _recovered(facts):
        if back > died + bound + _down(facts, died, back):
            yield (
                f"task {task_id} was taken back {(back - died) // 1000} ms after the death of its worker, "
                f"allowed are {bound // 1000}"
            )
            continue
        late = died + bound + _down(facts, died, started)
        place = bisect_left(idle, (late, 0))
        if place < len(idle) and idle[place][1] < started:
            yield (
                f"task {task_id} was started again {(started - died) // 1000} ms after the death of its worker, "
                f"allowed are {bound // 1000}, and a slot was free"
            )


def unknown_pushes_are_whole(facts: Facts, _: Plan) -> Iterator[str]:
    """C14: a push with an unknown outcome is stored and ends, or is not stored; never a part of it."""
    batches: dict[int, set[bool]] = {}
    for task_id, task in _each(facts):
        if task.outcome in ("", "info") and task.about is not None:
            if task.final is not None and _state(task) not in ENDED:
                yield f"task {task_id}, whose push has an unknown outcome, is {_state(task)} at the end of the run"
            batches.setdefault(task.acked, set()).add(task.final is not None)
    for pushed, there in batches.items():
        if pushed and len(there) > 1:
            yield f"a push that was given up at {pushed} was stored in part"


Rule = Callable[[Facts, Plan], Iterator[str]]

RULES: dict[str, Rule] = {
    "C1": nothing_is_lost,
    "C2": nothing_unexpected,
    "C3": one_terminal_record,
    "C4": only_the_newest_ends,
    "C5": leases_do_not_overlap,
    "C6": no_start_after_the_end,
    "C7": deliveries_are_bounded,
    "C8": parents_come_first,
    "C9": values_are_the_winners,
    "C10": fires_once,
    "C11": fair_under_faults,
    "C12": the_keys_agree,
    "C13": recovers_in_time,
    "C14": unknown_pushes_are_whole,
}


def check(facts: Facts, plan: Plan) -> Verdict:
    """Check a history against all rules."""
    found = {name: [f"{name} {text}" for text in rule(facts, plan)] for name, rule in RULES.items()}
    attempts = [attempt for task in facts.tasks.values() for attempt in task.attempts.values()]
    times = list(recoveries(facts))
    return Verdict(
        breaches=[text for texts in found.values() for text in texts],
        lost=len(found["C1"]),
        doubled=len(found["C3"]),
        refused=sum(e.code is not None and e.code < 0 for a in attempts for e in a.endings),
        recovery_ms=sorted(recovered for recovered, _ in times),
        restart_ms=sorted(restarted for _, restarted in times),
        ended=sum(_state(task) in ENDED for task in facts.tasks.values()),
        starts=len(attempts),
    )


def recoveries(facts: Facts) -> Iterator[tuple[int, int]]:
    """Milliseconds from the death of a worker until each of its tasks was reclaimed, and until it was started.

    Outages do not count. If there is more work than slots, a reclaimed task waits for its turn like any other.
    """
    for _, died, back, started in _recovered(facts):
        yield (
            (back - died - _down(facts, died, back)) // 1000,
            (started - died - _down(facts, died, started)) // 1000,
        )


def _recovered(facts: Facts) -> Iterator[tuple[str, int, int, int]]:
    """Each task of a dead worker: when the worker died, when the task was reclaimed, and when it was started again.

    If the reclaim was not observed, the start counts instead.
    """
    for task_id, task in _each(facts):
        for old, new in pairwise(task.in_order()):
            died = facts.deaths.get(old.worker)
            if died is None or old.accepted or old.maybe or old.fence > died[0]:
                continue
            # A lease that had expired before was lost for another reason.
            if old.until > died[0]:
                seen = [at for at in facts.taken_back.get(task_id, ()) if old.until <= at < new.fence]
                back = min(max(seen, default=old.until), new.fence) if facts.watched else new.fence
                yield task_id, died[0], back, new.fence


def _down(facts: Facts, begins: int, ends: int) -> int:
    return sum(max(0, min(ends, outage.ends) - max(begins, outage.begins)) for outage in facts.outages)


def _follows(facts: Facts, old: Attempt, new: Attempt) -> bool:
    """Whether the number of an attempt can follow the previous one."""
    gap = new.number - old.number
    released = [e for e in old.endings if e.script == "release" and e.code in (OK, ALREADY, None)]
    unheard = sum(old.fence < sent + ROUNDING and sent < new.fence for sent in facts.unheard)
    most = 0 if any(e.code == OK for e in released) else 1
    return (0 if released else 1) <= gap <= most + unheard


def _within_outage(facts: Facts, record: Any) -> bool:
    """Whether a task ended while the run may have missed the call."""
    ended = int(record["ended_at"]) * 1000
    return any(outage.begins - 1_000_000 <= ended <= outage.ends + 1_000_000 for outage in facts.outages)
