"""What the courier does next: a decision without I/O, from what it holds and what the last answer said."""

from enum import Enum, auto

from attrs import frozen

__all__ = ["Action", "View", "burst_is_over", "next_action"]


@frozen(kw_only=True)
class View:
    """What a decision depends on.

    Attributes:
        takes: Whether tasks may be taken.
        burst: Whether to end when nothing is runnable.
        endings: How many endings are to be reported.
        held: How many other tasks are held.
        free: How many more could be held once the endings are reported.
        waiting: Whether a wait for work is under way.
        interrupted: Whether an end of that wait was requested.
        hungry: Whether a pop may return tasks at once, as far as is known.
        current: Whether the last answer of a pop reflects all endings and hooks so far.
        more: Whether that answer said that there may be more.
        hooks: How many hooks run; they may push tasks.
        postponed: Whether a task that this worker could not start waits for its pause to end.
    """

    takes: bool
    burst: bool
    endings: int
    held: int
    free: int
    waiting: bool
    interrupted: bool
    hungry: bool
    current: bool
    more: bool
    hooks: int
    postponed: bool


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


def next_action(view: View) -> Action:
    """Return what to do next."""
    if view.waiting:
        # The wait uses the claim: if an answer were lost, a second pop could not be distinguished from it.
        if view.endings:
            return Action.REPORT
        awaited = view.current and (view.more or view.postponed)
        useless = not view.takes or (view.burst and view.held == 0 and not awaited)
        return Action.INTERRUPT if useless and not view.interrupted else Action.SLEEP
    if not view.takes or view.free <= 0:
        return Action.REPORT if view.endings else Action.SLEEP
    if view.endings or view.hungry:
        return Action.TAKE
    if not view.burst or view.held:
        return Action.WAIT
    if not view.current:
        return Action.TAKE
    if view.more or view.postponed:
        # But nothing was granted: the wait is short, and ends at once if there is work.
        return Action.WAIT
    return Action.FINISH if burst_is_over(view) else Action.SLEEP


def burst_is_over(view: View) -> bool:
    """Whether nothing runnable is left, according to the server.

    That is the answer of a pop that the server ran after it had recorded the last ending of this worker, if nothing in
    this worker could have created work since. A timeout never decides.
    """
    nothing_is_pending = not (view.held or view.endings or view.waiting or view.hooks or view.postponed)
    return view.burst and nothing_is_pending and view.current and not view.more
