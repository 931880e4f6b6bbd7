"""What the courier does next: a decision without I/O, by what it holds and what the last answer said."""

from enum import Enum, auto

from attrs import frozen

__all__ = ["Deed", "View", "burst_is_over", "next_deed"]


@frozen(kw_only=True)
class View:
    """What a decision depends on.

    Attributes:
        takes: Whether tasks may be taken.
        burst: Whether to end when nothing is runnable any more.
        endings: How many endings are to be reported.
        held: How many tasks are held beside those.
        free: How many more could be held when those are reported.
        waiting: Whether a wait for work is under way.
        interrupted: Whether that wait was told to end.
        hungry: Whether a pop may return something at once, as far as is known.
        current: Whether the last answer of a pop came after all endings and hooks that there were.
        more: Whether that answer said that there may be more.
        hooks: How many hooks run: they may push tasks.
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


class Deed(Enum):
    """What to do next.

    Attributes:
        REPORT: Report the endings; take nothing.
        TAKE: Report the endings, if there are some, and take tasks in the same round trip.
        WAIT: Begin to wait for work.
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


def next_deed(view: View) -> Deed:
    """Return what to do next."""
    if view.waiting:
        # The wait holds the claim: a second pop beside it could not be told from it when an answer is lost.
        if view.endings:
            return Deed.REPORT
        useless = not view.takes or (view.burst and view.held == 0 and not (view.current and view.more))
        return Deed.INTERRUPT if useless and not view.interrupted else Deed.SLEEP
    if not view.takes or view.free <= 0:
        return Deed.REPORT if view.endings else Deed.SLEEP
    if view.endings or view.hungry:
        return Deed.TAKE
    if not view.burst or view.held:
        return Deed.WAIT
    if not view.current:
        return Deed.TAKE
    if view.more:
        # Nothing was granted, though: the wait is short, and ends at once where work is left.
        return Deed.WAIT
    return Deed.FINISH if burst_is_over(view) else Deed.SLEEP


def burst_is_over(view: View) -> bool:
    """Whether nothing runnable is left, by the server's own word.

    That word is the answer of a pop that the server ran after it had recorded the last ending of this worker, and
    since which nothing of this worker has existed that could have made work. A time to wait for never decides.
    """
    nothing_is_on_its_way = not (view.held or view.endings or view.waiting or view.hooks)
    return view.burst and nothing_is_on_its_way and view.current and not view.more
