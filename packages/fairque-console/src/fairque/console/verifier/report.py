"""What a verification says in the end."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import asdict, define, field

from fairque.protocol.calls.verify import Found

__all__ = ["MOST_LISTED", "Report"]

#: Findings that a report lists; all are counted.
MOST_LISTED = 1_000


@define(kw_only=True)
class Report:
    """All that one verification found and did.

    Attributes:
        queue: Name of the queue.
        fix: Whether it was to fix what it found.
        found: The first 1,000 findings, in the order in which they were made.
        kinds: How many findings of each kind there are.
        left: How many of them are not fixed.
        unseen: What could not be looked at, a sentence each.
        keys: Keys that were looked at.
    """

    queue: str
    fix: bool
    found: list[Found] = field(factory=list)
    kinds: Counter[str] = field(factory=Counter)
    left: int = 0
    unseen: list[str] = field(factory=list)
    keys: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong, as far as could be seen."""
        return not self.kinds

    def add(self, found: Iterable[Found]) -> None:
        """Take findings down."""
        for one in found:
            if one.kind == "unseen":
                if one.what not in self.unseen:
                    self.unseen.append(one.what)
                continue
            self.kinds[one.kind] += 1
            self.left += not one.fixed
            if len(self.found) < MOST_LISTED:
                self.found.append(one)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "kinds": dict(self.kinds), "clean": self.clean}

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        lines = [f"{_mark(one)} {one.kind} {one.name!r}: {one.what}" for one in self.found]
        more = sum(self.kinds.values()) - len(self.found)
        if more:
            lines.append(f"... and {more:,} more")
        lines += [f"not looked at: {what}" for what in self.unseen]
        total, fixed = sum(self.kinds.values()), sum(self.kinds.values()) - self.left
        lines.append(f"queue {self.queue!r}: {self.keys:,} keys looked at, {total:,} findings, {fixed:,} fixed")
        return lines


def _mark(one: Found) -> str:
    return "fixed" if one.fixed else "found"
