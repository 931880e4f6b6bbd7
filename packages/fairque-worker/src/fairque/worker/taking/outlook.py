"""What a worker knows about its queue from the answers of its pops, and until when it takes nothing; no I/O."""

import math

from attrs import define, field

from fairque.protocol.calls.pop import Popped

__all__ = ["Outlook"]

#: Milliseconds to wait if there may be more tasks, but none were granted: so a broken queue keeps no processor busy.
_LEAST_WAIT_MS = 5


@define
class Outlook:
    """The knowledge of the courier, its only user. Times are on the monotonic clock.

    Attributes:
        expects_tasks: Whether a pop may return tasks at once, as far as is known.
        current: Whether the last answer reflects all endings and hooks.
        more: Whether that answer said that there may be more.
        wait_ms: How long to wait for work, without a wake-up.
        answer_lost: Whether a pop may have granted tasks in an answer that was lost; the next pop gets them.
        paused_until: Until when the queue is not asked, since it cannot be used.
        starts_nothing_until: Until when nothing is taken, since no thread can be started to run it.
        postponed_until: When the last task that could not be started here may be taken again; minus infinity if there
            is none.
    """

    expects_tasks: bool = field(default=True, init=False)
    current: bool = field(default=False, init=False)
    more: bool = field(default=True, init=False)
    wait_ms: int = field(default=0, init=False)
    answer_lost: bool = field(default=False, init=False)
    paused_until: float = field(default=-math.inf, init=False)
    starts_nothing_until: float = field(default=-math.inf, init=False)
    postponed_until: float = field(default=-math.inf, init=False)

    @property
    def postponed(self) -> bool:
        """Whether a task that could not be started here waits for its pause to end."""
        return self.postponed_until > -math.inf

    def end_postponement(self, now: float) -> bool:
        """Note that the pause of the last postponed task has ended, if it has; return whether that is new."""
        if not self.postponed or self.postponed_until > now:
            return False
        self.postponed_until = -math.inf
        return True

    def note(self, popped: Popped, count: int, *, current: bool, longest_ms: int) -> None:
        """Note the answer of a pop that asked for ``count`` tasks.

        Args:
            popped: The answer.
            count: How many it asked for.
            current: Whether it reflects all endings and hooks so far.
            longest_ms: How long a wait may last.
        """
        self.answer_lost = False
        self.more, self.current = popped.more, current
        self.expects_tasks = bool(popped.tasks) and (popped.more or len(popped.tasks) >= count)
        if popped.more:
            self.wait_ms = _LEAST_WAIT_MS
        elif popped.wait_ms is None:
            self.wait_ms = longest_ms
        else:
            self.wait_ms = max(1, min(popped.wait_ms, longest_ms))
