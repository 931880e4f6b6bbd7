"""The edition of a queue, by which a process that declared settings detects that the server has lost them."""

from collections.abc import Sequence

from attrs import frozen

__all__ = ["NO_EDITION", "Edition", "edition_of"]


@frozen
class Edition:
    """Distinguishes a queue from an earlier one with the same name, and from an older state of itself.

    Attributes:
        born: When the queue was created, in microseconds since the epoch; 0 if it does not exist.
        changes: The number of changes of its schedules and settings.
    """

    born: int
    changes: int

    def lost(self, since: "Edition") -> bool:
        """Return whether the server has lost data since an earlier edition."""
        return self.born != since.born or self.changes < since.changes


NO_EDITION = Edition(0, 0)


def edition_of(places: Sequence[bytes | str]) -> Edition:
    """Return the edition in an answer, if it has one."""
    return Edition(int(places[0] or 0), int(places[1] or 0)) if places else NO_EDITION
