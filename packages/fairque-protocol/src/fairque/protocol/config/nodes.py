"""What was written, before it has types: texts, lists and mappings that know their file, line and key."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from attrs import field, frozen

from fairque.protocol.config.masking import is_secret, mask_addresses

__all__ = ["Node", "Place", "Problem", "Without", "join", "suggestion"]

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_@-]+")


def join(path: str, key: str) -> str:
    """Return the path of a key; a key that would not read as one word is shown quoted."""
    shown = key if _SIMPLE_KEY.fullmatch(key) else repr(key)
    return f"{path}.{shown}" if path else shown


def suggestion(key: str, known: Iterable[str]) -> str:
    """Return "(did you mean …?)", or the known names if none is close."""
    names = sorted(known)
    # One that begins so is meant although it is much longer, such as dead_letter_ttl by dead.
    longer = [name for name in names if key and name.startswith(f"{key}_")]
    close = longer if len(longer) == 1 else difflib.get_close_matches(key, names, n=1)
    return f"(did you mean {close[0]!r}?)" if close else f"(known: {', '.join(names) or 'none'})"


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
class Without:
    """Annotates the type of a setting, a class: some of its fields cannot be given here.

    Attributes:
        names: The fields.
        why: Why not, to follow the name.
    """

    names: tuple[str, ...]
    why: str


_Value: TypeAlias = "str | tuple[Node, ...] | dict[str, Node] | None"


@frozen
class Node:
    """One value as it was written.

    Attributes:
        place: Where it stands.
        path: The keys that lead to it.
        value: A scalar's text without its quotes, a list or a mapping; None if its problem is reported already.
        style: Of a scalar: without quotes, with them, joined from ``${NAME}`` and other text, or an override's text.
        key: Where its key stands, if it has one.
        is_substituted: It comes from a variable, and is not shown.
        problem: Why its references cannot be replaced. It is reported only where somebody reads the value.
    """

    place: Place
    path: str
    value: _Value
    style: Literal["plain", "quoted", "joined", "variable"] = "plain"
    key: Place | None = None
    is_substituted: bool = False
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        """Nothing stands after the key."""
        return self.value == "" and self.style == "plain"

    @property
    def is_hidden(self) -> bool:
        """No message may show the value."""
        return self.is_substituted or is_secret(self.path)

    def scalars(self) -> Iterator["Node"]:
        """Yield the scalars in it."""
        if isinstance(self.value, str):
            yield self
        elif self.value is not None:
            for inner in self.value.values() if isinstance(self.value, dict) else self.value:
                yield from inner.scalars()
