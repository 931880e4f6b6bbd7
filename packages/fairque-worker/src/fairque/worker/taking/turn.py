"""What the courier does next: a decision without I/O, from what it holds and what the last answer said."""

from enum import Enum, auto

from attrs import frozen

__all__ = ["Action", "CourierState", "burst_is_over", "count_to_report", "next_action"]

#: From so many endings on, half of them are reported first if little else is held.
_SPLIT_REPORTS_FROM = 8


@frozen(kw_only=True)
class CourierState:
    """What a decision depends on.

    Attributes:
        takes: Whether tasks may be taken.
        burst: Whether to end when nothing is runnable.
        endings: How many endings are to be reported.
        held: How many other tasks are held.
        free: How many more could be held once the endings are reported.
        in_flight: Whether a request is under way whose answer is expected at once.
        waiting: Whether a wait for work is under way.
        interrupted: Whether an end of that wait was requested.
        expects_tasks: Whether a pop may return tasks at once, as far as is known.
        current: Whether the last answer of a pop reflects all endings and hooks so far.
        more: Whether that answer said that there may be more.
        hooks: How many hooks run; they may push tasks.
        postponed: Whether a task that this worker could not start waits for its pause to end.
        short_tasks_run: Whether short tasks run, so that the next ending comes at once.
    """

    takes: bool
    burst: bool
    endings: int
    held: int
    free: int
    in_flight: bool
    waiting: bool
    interrupted: bool
    expects_tasks: bool
    current: bool
    more: bool
    hooks: int
    postponed: bool
    short_tasks_run: bool


class Action(Enum):
    """What to do next.

    Attributes:
        REPORT: Report the endings; take nothing.
        TAKE: Report the endings, if any, and take tasks in the same round trip.
        WAIT: Start a wait for work.
        INTERRUPT: End the wait that is under way.
        FINISH: End, since the burst is over.
        SLEEP: Sleep until something happens.
    """

    REPORT = auto()
    TAKE = auto()
    WAIT = auto()
    INTERRUPT = auto()
    FINISH = auto()
    SLEEP = auto()


def next_action(view: CourierState) -> Action:
    """Return what to do next."""
    if view.in_flight:
        # Whatever ends in the meantime goes with the next request.
        return Action.SLEEP
    if view.waiting:
        return _action_while_waiting(view)
    if not view.takes or view.free <= 0:
        return Action.REPORT if view.endings else Action.SLEEP
    if view.endings or view.expects_tasks:
        return Action.TAKE
    if not view.burst or view.held:
        # Beside a wait their endings would take a round trip of their own.
        return Action.SLEEP if view.short_tasks_run else Action.WAIT
    if not view.current:
        return Action.TAKE
    if view.more or view.postponed:
        # But nothing was granted: the wait is short, and ends at once if there is work.
        return Action.WAIT
    return Action.FINISH if burst_is_over(view) else Action.SLEEP


def _action_while_waiting(view: CourierState) -> Action:
    # The wait uses the claim: if an answer were lost, a second pop could not be distinguished from it.
    if view.endings:
        return Action.REPORT
    awaited = view.current and (view.more or view.postponed)
    useless = not view.takes or (view.burst and view.held == 0 and not awaited)
    return Action.INTERRUPT if useless and not view.interrupted else Action.SLEEP


def burst_is_over(view: CourierState) -> bool:
    """Whether nothing runnable is left, according to the server.

    That is the answer of a pop that the server ran after it had recorded the last ending of this worker, if nothing in
    this worker could have created work since. A timeout never decides.
    """
    nothing_is_pending = not (
        view.held or view.endings or view.in_flight or view.waiting or view.hooks or view.postponed
    )
    return view.burst and nothing_is_pending and view.current and not view.more


def count_to_report(endings: int, held: int) -> int:
    """Return how many of the endings to report now, so that the server and this worker work at the same time.

    If most tasks have ended at once, the next ones come at once as well, and each would wait for the other in turn.
    Half of the endings now and the others with the next request make them alternate from then on.

    Args:
        endings: How many tasks have ended.
        held: How many others are held.
    """
    return endings if endings < _SPLIT_REPORTS_FROM or 2 * held >= endings else (endings + 1) // 2
