"""A page of a list, and the start of the next page."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar, overload

from attrs import frozen

__all__ = ["Page", "page_start"]

T_co = TypeVar("T_co", covariant=True)


@frozen(kw_only=True)
class Page(Sequence[T_co]):
    """A page of a list; it is a sequence of its items.

    Attributes:
        items: The items.
        next: The start of the next page, to be passed as ``after``; None if this is the last one.
        scanned: How many records the server read for it.
        read_at: When it was read, by the server's clock.
        problems: A sentence for each record that cannot be read.
    """

    items: tuple[T_co, ...]
    next: str | None
    scanned: int
    read_at: datetime
    problems: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def page_start(after: str | None, prefix: str = "") -> str:
    """Return the start of a page of ids, in the form that the scripts take.

    Args:
        after: The last id of the previous page; None for the first page.
        prefix: The prefix of the ids, which sorts before all of them.
    """
    return f"({after}" if after is not None and after >= prefix else f"[{prefix}" if prefix else "-"
