# Generated from _async/paging.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""All pages of a list, one after the other."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from fairque.protocol.model.page import Page

__all__ = ["all_pages"]

T = TypeVar("T")


def all_pages(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Yield the items of all pages.

    Args:
        read: Reads the page that starts at ``next`` of the previous page; None for the first page.
    """
    page = read(None)
    while True:
        for item in page:
            yield item
        if page.next is None:
            return
        page = read(page.next)
