"""The report of a verification."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import asdict, define, field

from fairque.protocol.calls.verify import Finding

__all__ = ["MOST_LISTED", "Report"]

#: Findings that a report lists; all are counted.
MOST_LISTED = 1_000


@define(kw_only=True)
class Report:
    """The findings and fixes of a verification.

    Attributes:
        queue: The name of the queue.
        fix: Whether findings were to be fixed.
        found: The first 1,000 findings, in order.
        kinds: The number of findings by kind.
        left: The number of findings that are not fixed.
        unseen: What could not be checked, a sentence each.
        keys: The number of checked keys.
    """

    queue: str
    fix: bool
    found: list[Finding] = field(factory=list)
    kinds: Counter[str] = field(factory=Counter)
    left: int = 0
    unseen: list[str] = field(factory=list)
    keys: int = 0

    @property
    def clean(self) -> bool:
        """Whether there are no findings."""
        return not self.kinds

    def add(self, found: Iterable[Finding]) -> None:
        """Add findings."""
        for finding in found:
            if finding.kind == "unseen":
                if finding.what not in self.unseen:
                    self.unseen.append(finding.what)
                continue
            self.kinds[finding.kind] += 1
            self.left += not finding.fixed
            if len(self.found) < MOST_LISTED:
                self.found.append(finding)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "kinds": dict(self.kinds), "clean": self.clean}

    def lines(self) -> list[str]:
        """Return the report as lines for humans."""
        lines = [f"{_mark(finding)} {finding.kind} {finding.name!r}: {finding.what}" for finding in self.found]
        more = sum(self.kinds.values()) - len(self.found)
        if more:
            lines.append(f"... and {more:,} more")
        lines += [f"not checked: {what}" for what in self.unseen]
        total, fixed = sum(self.kinds.values()), sum(self.kinds.values()) - self.left
        lines.append(f"queue {self.queue!r}: {self.keys:,} keys checked, {total:,} findings, {fixed:,} fixed")
        return lines


def _mark(finding: Finding) -> str:
    return "fixed" if finding.fixed else "found"
