"""Rule C11: every user with ready work is served, within a bound on the service of each other user in the meantime."""

from collections.abc import Iterable, Iterator

from attrs import define, field, frozen

from chaos.facts import Attempt, Facts, TaskFacts
from chaos.plan import Plan

__all__ = ["Wait", "longest_waits", "unfair"]

#: Seconds charged for the shortest task.
_LEAST_SECONDS = 0.001


@frozen
class Wait:
    """A user waited with ready work while another got this much service: seconds, or starts."""

    user: str
    other: str
    got: float
    begins: int
    ends: int


@frozen(order=True)
class _Moment:
    """A task became ready (cost 0), or an attempt began, possibly the first one of a ready task."""

    at: int
    cost: float
    user: str
    first: bool


@define
class _User:
    ready: int = 0
    since: int = 0
    #: The service of all users when it began to wait.
    before: dict[str, float] = field(factory=dict)


def _bound(facts: Facts, plan: Plan) -> float:
    """The most service that another user may get while one waits.

    A newcomer's burst and CRITICAL credit, 8 starts each or 1 s and 2 s; and a task of each user. Time is settled when
    a task has ended: as many tasks as there are slots may run, each as long as the longest task, by the plan or, on a
    busy machine, as measured.
    """
    if plan.cost_mode == "count":
        return 8.0 + 8.0 + 2.0
    ran = (_seconds(attempt) for task in facts.tasks.values() for attempt in task.in_order())
    longest = max(plan.longest_seconds, max(ran, default=0.0))
    return 1.0 + 2.0 + longest * (2 + plan.workers * plan.concurrency)


def unfair(facts: Facts, plan: Plan) -> Iterator[str]:
    """Yield a sentence for each wait that was too long."""
    bound = _bound(facts, plan)
    for wait in longest_waits(facts, plan):
        if wait.got > bound:
            yield (
                f"user {wait.user} waited with ready work for {(wait.ends - wait.begins) / 1e6:.1f} s while "
                f"{wait.other} got {wait.got:.1f}, allowed are {bound:.1f}"
            )


def longest_waits(facts: Facts, plan: Plan) -> Iterable[Wait]:
    """Yield each user's longest wait relative to each other user."""
    got: dict[str, float] = {}
    users: dict[str, _User] = {}
    longest: dict[tuple[str, str], Wait] = {}
    for moment in sorted(_moments(facts, plan)):
        user = users.setdefault(moment.user, _User())
        if not moment.cost:
            if user.ready == 0:
                user.since, user.before = moment.at, dict(got)
            user.ready += 1
            continue
        if user.ready:
            for other in got.keys() - {moment.user}:
                wait = Wait(moment.user, other, got[other] - user.before.get(other, 0.0), user.since, moment.at)
                known = longest.get((wait.user, other))
                if known is None or wait.got > known.got:
                    longest[wait.user, other] = wait
        user.ready -= moment.first
        user.since, user.before = moment.at, dict(got)
        got[moment.user] = got.get(moment.user, 0.0) + moment.cost
    return longest.values()


def _moments(facts: Facts, plan: Plan) -> Iterator[_Moment]:
    for task_id, task in facts.tasks.items():
        if task.about is None or task.outcome != "ok" or task.stands != task_id:
            continue
        order, ready = task.in_order(), _ready_at(task)
        user = task.about["user"]
        timely = bool(order) and ready is not None and ready < order[0].fence
        if ready is not None and timely:
            yield _Moment(ready, 0.0, user, first=False)
        for number, attempt in enumerate(order):
            cost = 1.0 if plan.cost_mode == "count" else _seconds(attempt)
            yield _Moment(attempt.fence, cost, user, first=timely and number == 0)


def _ready_at(task: TaskFacts) -> int | None:
    """When a task was ready at the latest; None for a task that waits for others."""
    if task.about is None or task.about["parents"]:
        return None
    return int(task.acked) + int(task.about["delay_ms"]) * 1000


def _seconds(attempt: Attempt) -> float:
    """The cost of an attempt: its run time, or its run time at the last heartbeat if its lease was lost."""
    ended = attempt.accepted or attempt.maybe
    ran_us = ended.ran_us if ended else max(0, attempt.renewed - attempt.fence)
    return max(_LEAST_SECONDS, ran_us / 1e6)
