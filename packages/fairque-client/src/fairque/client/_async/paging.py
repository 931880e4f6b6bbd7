"""All pages of a list, one after the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from fairque.protocol.model.page import Page

__all__ = ["all_pages"]

T = TypeVar("T")


async def all_pages(read: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """Yield the items of all pages.

    Args:
        read: Reads the page that starts at ``next`` of the previous page; None for the first page.
    """
    page = await read(None)
    while True:
        for item in page:
            yield item
        if page.next is None:
            return
        page = await read(page.next)
