"""A page of a list: some of what there is, and where the next page begins."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar, overload

from attrs import frozen

__all__ = ["Page", "page_begin"]

T_co = TypeVar("T_co", covariant=True)


@frozen(kw_only=True)
class Page(Sequence[T_co]):
    """Some of what a list has, as a sequence.

    Attributes:
        items: What it has.
        next: Where the next page begins, to be passed as ``after``; None when this is the last one.
        scanned: How many records the server has looked at for it.
        read_at: When it was read, on the server's clock.
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


def page_begin(after: str | None, prefix: str = "") -> str:
    """Return where a page of ids begins, as the scripts take it.

    Args:
        after: The last id of the page before; None begins.
        prefix: How the ids begin. All that begin so follow the prefix itself.
    """
    return f"({after}" if after is not None and after >= prefix else f"[{prefix}" if prefix else "-"
