"""A document of settings before it has types: scalars, lists and mappings that know where they stand."""

import re
from typing import Literal, TypeAlias

from attrs import field, frozen

from fairque.protocol.config.masking import mask_addresses

__all__ = ["Broken", "Entry", "Items", "Node", "Place", "Problem", "Scalar", "Table", "join"]

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_@-]+")


def join(path: str, key: str) -> str:
    """Return the path of a key; a key that would not read as one word is shown quoted."""
    shown = key if _SIMPLE_KEY.fullmatch(key) else repr(key)
    return f"{path}.{shown}" if path else shown


@frozen
class Place:
    """Where something was written.

    Attributes:
        source: The file, or the environment variable.
        line: Line in the file, 1 is the first; 0 outside of files.
        names_key: The source alone says which key is meant.
    """

    source: str
    line: int = 0
    names_key: bool = False

    def label(self, path: str) -> str:
        """Return the beginning of a problem's sentence."""
        parts = [f"{self.source}:{self.line}" if self.line else self.source]
        if path and not self.names_key:
            parts.append(path)
        return ": ".join(parts)


def _rank(place: Place) -> float:
    return place.line or float("inf")


@frozen(order=True)
class Problem:
    """One thing wrong in a document; problems sort by line, those outside the file come last."""

    place: Place = field(order=_rank)
    path: str = field(order=False)
    text: str = field(order=False)

    def __str__(self) -> str:
        # An address may stand in the place of anything.
        return mask_addresses(f"{self.place.label(self.path)}: {self.text}")


@frozen
class Scalar:
    """One value as it was written.

    Attributes:
        place: Where it stands.
        text: The text without its quotes.
        style: Without quotes, with them, joined from ``${NAME}`` and other text, or an override's text.
        is_substituted: References are replaced: it is not searched for them again, and not shown.
    """

    place: Place
    text: str
    style: Literal["plain", "quoted", "joined", "variable"]
    is_substituted: bool = False

    @property
    def is_blank(self) -> bool:
        """Nothing stands after the key."""
        return self.style == "plain" and not self.text


@frozen
class Items:
    """A list."""

    place: Place
    items: tuple["Node", ...] = ()


@frozen
class Entry:
    """One key of a mapping with its value; the place is the key's."""

    place: Place
    node: "Node"


@frozen
class Table:
    """A mapping."""

    place: Place
    entries: dict[str, Entry] = field(factory=dict)


@frozen
class Broken:
    """A value whose problem is reported already."""

    place: Place


Node: TypeAlias = Scalar | Items | Table | Broken
