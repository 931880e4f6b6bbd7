"""What was written, before it has types: texts, lists and mappings that know their file, line and key."""

import math
import re
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from fairque.protocol.config.masking import is_secret, mask_addresses
from fairque.protocol.config.scalars import Trap, Value, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Node", "Problem", "Without", "join"]

_WORD = re.compile(r"[A-Za-z0-9_@-]+")


def join(*path: str | int) -> str:
    """Return the keys and positions that lead to a value as one text; a key that is not one word is shown quoted."""
    shown = (f"[{key}]" if isinstance(key, int) else key if _WORD.fullmatch(key) else repr(key) for key in path)
    return ".".join(shown).replace(".[", "[")


class Problem(Exception):
    """One thing that is wrong in what was written; the text begins with the place.

    Attributes:
        line: Line in the file; infinite outside of it, so that such problems come last.
    """

    def __init__(self, line: int, text: str) -> None:
        # An address may stand in the place of anything.
        super().__init__(mask_addresses(text))
        self.line = line or math.inf


@frozen
class Without:
    """Annotates the type of a setting, a class: some of its fields cannot be given here.

    Attributes:
        names: The fields.
        why: Why not.
    """

    names: tuple[str, ...]
    why: str


@frozen
class Node:
    """One value as it was written.

    Attributes:
        source: The file, the variable or the option.
        value: A scalar's text without its quotes, a list or a mapping.
        path: The keys and positions that lead to it.
        line: Where it begins in the file, 1 is the first line; 0 outside of files.
        key_line: Where its key stands.
        style: Of a scalar: without quotes, with them, joined from ``${NAME}`` and other text, given by a variable or an
            option; or unusable, and its text says why. That is a problem only where somebody reads it.
        is_substituted: It comes from a variable by ``${NAME}``, and is not shown.
    """

    source: str
    value: "str | list[Node] | dict[str, Node]" = field(factory=dict)
    path: tuple[str | int, ...] = ()
    line: int = 0
    key_line: int = 0
    style: Literal["plain", "quoted", "joined", "given", "unusable"] = "plain"
    is_substituted: bool = False

    @property
    def is_mapping(self) -> bool:
        """It is a mapping, or nothing, as a section whose keys are all commented out."""
        return isinstance(self.value, dict) or (self.value == "" and self.style == "plain")

    @property
    def entries(self) -> "dict[str, Node]":
        """What a mapping has."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def readings(self) -> tuple[Value, ...]:
        """What a scalar may mean: a text that was given has no quotes to say that it is a string."""
        text = self.value
        if not isinstance(text, str) or self.style == "unusable":
            return (Trap(""),)
        readings = {"plain": (read_plain(text),), "given": (read_plain(text), text)}
        return readings.get(self.style, (text,))

    @property
    def is_hidden(self) -> bool:
        """No message may show the value."""
        return self.is_substituted or is_secret(join(*self.path))

    @property
    def origin(self) -> str:
        """Where its key stands, or what gives it."""
        return self._place(self.key_line or self.line)

    def _place(self, line: int) -> str:
        return f"{self.source}:{line}" if line else self.source

    def child(self, key: str) -> "Node":
        """Return what a mapping has under a key; if it has nothing, an empty mapping in its own place."""
        return self.entries.get(key) or Node(self.source, {}, (*self.path, key), self.line, self.line)

    def problem(self, text: str, *, at_key: bool = False) -> Problem:
        """Return what is wrong with it, to be raised: the text follows the place of the value, or of its key."""
        line = self.key_line if at_key else self.line
        # A variable or an option says itself which key is meant.
        path = [] if self.style == "given" or not self.path else [join(*self.path)]
        return Problem(line, ": ".join([self._place(line), *path, text]))

    def walk(self) -> "Iterator[Node]":
        """Yield it and all that is in it."""
        yield self
        for inner in self.value if isinstance(self.value, list) else self.entries.values():
            yield from inner.walk()
