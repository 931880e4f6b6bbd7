"""Which queue of a name it is, so that who has declared something in it sees that the server has lost it."""

from collections.abc import Sequence

from attrs import frozen

__all__ = ["NO_EDITION", "Edition", "edition_of"]


@frozen
class Edition:
    """Tells a queue from one of the same name that was there before, and from an older state of itself.

    Attributes:
        born: When the queue was made, in microseconds since the epoch; 0 while there is none.
        changes: How many changes of schedules and settings it has seen.
    """

    born: int
    changes: int

    def lost(self, since: "Edition") -> bool:
        """Whether the server has lost data since it said that."""
        return self.born != since.born or self.changes < since.changes


NO_EDITION = Edition(0, 0)


def edition_of(places: Sequence[bytes | str]) -> Edition:
    """Read the two places of an answer, where it has them."""
    return Edition(int(places[0] or 0), int(places[1] or 0)) if places else NO_EDITION
