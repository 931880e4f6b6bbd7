"""The Lua files cut into definitions and the lines between them, so that a script carries only what it uses."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from attrs import field, frozen

__all__ = ["QUICK", "Include", "Piece", "cut", "in_order"]

#: A function at the outermost level of a file, which ends on the same line or at the next ``end`` without indentation,
#: or a constant on one line, which calls nothing.
_DEFINITION = re.compile(r"^local (?:function (\w+)\(|(\w+) = (?:[^({]*|\{[^({]*\})$)")
#: A constant that is a number.
_NUMBER = re.compile(r"^local ([A-Z_]+) = (\d+)(?: +--.*)?$")
#: A string, a comment, or a word outside of them.
_PART = re.compile(r'"([^"\n]*)"|--.*|(\w+)')
#: A name, or what may contain names and is not code: a string or a comment.
_NAME = re.compile(r'"[^"]*"|\'[^\']*\'|--.*|\b[A-Z_]+\b')
_CALLED = re.compile(r'\b(?:call|read|send|send_keys|redis\.p?call)\("([A-Z]+)"')
_COMMENT = re.compile(r"--.*")
_INCLUDE = re.compile(r'^--- @include "([a-z_]+)"$')
#: Files of quick paths, which end before what stands behind them is created.
QUICK = "includes/quick_"


@frozen
class Include:
    """A line that stands for another file.

    Attributes:
        line: Its number.
        name: The name of the file without its extension; empty if the line is malformed.
    """

    line: int
    name: str


@frozen(slots=False, eq=False)
class Piece:
    """Lines of one file: a definition, or what stands between two of them.

    Attributes:
        path: The file.
        text: The lines.
        name: What it defines; empty for other lines.
        number: Its value, if it is a constant that is a number.
    """

    path: str
    text: str
    name: str = ""
    number: str = ""
    _replaced: dict[tuple[tuple[str, str], ...], "Piece"] = field(init=False, factory=dict, repr=False)

    @property
    def words(self) -> frozenset[str]:
        """Its words, without those in strings and comments."""
        return self._scanned[0]

    @property
    def strings(self) -> frozenset[str]:
        """Its strings."""
        return self._scanned[1]

    @cached_property
    def _scanned(self) -> tuple[frozenset[str], frozenset[str]]:
        parts = _PART.findall(self.text)
        return frozenset(word for _, word in parts if word), frozenset(string for string, _ in parts if string)

    @cached_property
    def commands(self) -> frozenset[str]:
        """The commands that it sends."""
        return frozenset(_CALLED.findall(_COMMENT.sub("", self.text)))

    def with_numbers(self, numbers: Mapping[str, str]) -> "Piece":
        """Return it with the constants that are numbers replaced by these."""
        if self.words.isdisjoint(numbers):
            return self
        known = tuple((name, numbers[name]) for name in sorted(self.words & numbers.keys()))
        if known not in self._replaced:
            text = _NAME.sub(lambda name: numbers.get(name[0], name[0]), self.text)
            self._replaced[known] = Piece(self.path, text, self.name)
        return self._replaced[known]


def cut(path: str, text: str) -> list[Piece | Include]:
    """Return the definitions of a file, its includes, and the lines between them."""
    found: list[Piece | Include] = []
    lines: list[str] = []
    name = ""  # of the definition to which the lines belong

    def close() -> None:
        nonlocal name
        if lines:
            number = _NUMBER.match(lines[0])
            found.append(Piece(path, "\n".join(lines), name, number[2] if number else ""))
            lines.clear()
        name = ""

    for place, line in enumerate(text.splitlines(), 1):
        if name:
            lines.append(line)
            if line == "end":
                close()
        elif line.startswith("--- @include"):
            close()
            include = _INCLUDE.match(line)
            found.append(Include(place, include[1] if include else ""))
        elif definition := _DEFINITION.match(line):
            close()
            name = definition[1] or definition[2]
            lines.append(line)
            if definition[2] or line.partition("--")[0].rstrip().endswith(" end"):
                close()
        else:
            lines.append(line)
    close()
    return found


def in_order(pieces: list[Piece]) -> Iterator[Piece]:
    """Leave out definitions that nothing needs; put those that the quick path does not need behind it."""
    end = max((place for place, piece in enumerate(pieces, 1) if piece.path.startswith(QUICK)), default=0)
    words = dict[str, frozenset[str]]()
    for piece in pieces:
        if piece.name:
            words[piece.name] = words.get(piece.name, frozenset()) | piece.words
    needed, behind = _needed(pieces, words), list[Piece]()
    quick = _needed(pieces[:end], words) if end else needed
    for place, piece in enumerate(pieces):
        if place == end:
            yield from behind
        if not piece.name or piece.name in (quick if place < end else needed):
            yield piece
        elif piece.name in needed:
            behind.append(piece)


def _needed(pieces: Iterable[Piece], words: Mapping[str, frozenset[str]]) -> set[str]:
    """Return the definitions that the other lines of these pieces need, or that such definitions need."""
    needed = set[str]()
    new = words.keys() & frozenset().union(*(piece.words for piece in pieces if not piece.name))
    while new:
        needed |= new
        new = (words.keys() & frozenset().union(*(words[name] for name in new))) - needed
    return needed
