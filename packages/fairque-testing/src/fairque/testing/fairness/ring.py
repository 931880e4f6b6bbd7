"""Members ordered by score, as in a sorted set of Redis: ties are ordered by member, and the head is cheap to read."""

from heapq import heapify, heappop, heappush

from attrs import define, field

__all__ = ["Ring", "TwoEndedRing"]

#: Stale entries that a heap may hold beyond the number of its members.
_SLACK = 32


@define(eq=False)
class Ring:
    """A set of members with scores, lowest first; equal scores are ordered by member.

    A heap with lazy deletion: an entry counts only while it has the member's current score. Python compares text by
    code point, which is the order of its UTF-8 bytes, by which Redis breaks ties.
    """

    _scores: dict[str, float] = field(init=False, factory=dict)
    _min_heap: list[tuple[float, str]] = field(init=False, factory=list)

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, member: str) -> bool:
        return member in self._scores

    def items(self) -> list[tuple[str, float]]:
        """All members with their scores, in order."""
        return sorted(self._scores.items(), key=lambda item: (item[1], item[0]))

    def put(self, member: str, score: float) -> None:
        """Add a member, or move it to another score."""
        if self._scores.get(member) == score:
            return
        self._scores[member] = score
        heappush(self._min_heap, (score, member))
        if len(self._min_heap) > 2 * len(self._scores) + _SLACK:
            self._min_heap = [(score, name) for name, score in self._scores.items()]
            heapify(self._min_heap)

    def discard(self, member: str) -> None:
        """Remove a member, if present."""
        self._scores.pop(member, None)

    def head(self) -> tuple[float, str] | None:
        """The lowest score and its member."""
        heap = self._min_heap
        while heap:
            score, member = heap[0]
            if self._scores.get(member) == score:
                return heap[0]
            heappop(heap)
        return None

    def take(self, up_to: float, limit: int) -> list[tuple[float, str]]:
        """Remove and return, in order, at most ``limit`` members with scores up to ``up_to``."""
        taken: list[tuple[float, str]] = []
        while len(taken) < limit and (head := self.head()) is not None and head[0] <= up_to:
            self.discard(heappop(self._min_heap)[1])
            taken.append(head)
        return taken


@define(eq=False)
class TwoEndedRing(Ring):
    """A ring whose largest score is also cheap to read."""

    _max_heap: list[tuple[float, str]] = field(init=False, factory=list)

    def put(self, member: str, score: float) -> None:
        """Add a member, or move it to another score."""
        super().put(member, score)
        heappush(self._max_heap, (-score, member))
        if len(self._max_heap) > 2 * len(self) + _SLACK:
            self._max_heap = [(-score, name) for name, score in self._scores.items()]
            heapify(self._max_heap)

    def largest(self) -> float | None:
        """The largest score."""
        heap = self._max_heap
        while heap:
            negated, member = heap[0]
            if self._scores.get(member) == -negated:
                return -negated
            heappop(heap)
        return None
