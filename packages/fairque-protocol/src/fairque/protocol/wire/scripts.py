"""Loads the Lua scripts of the package: resolves includes, marks the source of each line, hashes the text."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from attrs import frozen

from fairque.protocol.errors import ProtocolError

__all__ = ["Script", "expand", "load_scripts", "script", "script_names"]

#: A function at the outermost level of a file, which ends on the same line or at the next ``end`` without indentation,
#: or a constant on one line, which calls nothing.
_DEFINITION = re.compile(r"^local (?:function (\w+)\(|(\w+) = (?:[^({]*|\{[^({]*\})$)")
_WORD = re.compile(r"\w+")
#: Strings and comments.
_NOT_CODE = re.compile(r'"[^"]*"|--.*')
#: A constant that is a number.
_NUMBER = re.compile(r"^local ([A-Z_]+) = (\d+)(?: +--.*)?$")
#: A name, or what may contain names and is not code: a string or a comment.
_NAME = re.compile(r'"[^"]*"|\'[^\']*\'|--.*|\b[A-Z_]+\b')
_INCLUDE = re.compile(r'^--- @include "([a-z_]+)"$')
#: After this many files the rest is nested in a function. When Lua creates a function, it searches the local variables
#: of the current level one by one, and finds those of outer levels directly: this saves a tenth of a call with one
#: task. A function can refer to at most 60 outer variables.
_LEVEL = 10
#: Quick paths, and what they include, stay at the outermost level: they end before the other functions are created.
_QUICK = "includes/quick_"


@frozen
class Script:
    """A script as it is sent.

    Attributes:
        name: Name of its file without the extension.
        text: The source with all includes in place.
        sha: SHA-1 of the text, by which the server identifies it.
    """

    name: str
    text: str
    sha: str


def _folder() -> Traversable:
    return resources.files("fairque.protocol").joinpath("lua")


def script_names() -> list[str]:
    """Return the names of all scripts, sorted."""
    return sorted(f.name.removesuffix(".lua") for f in _folder().iterdir() if f.name.endswith(".lua"))


@functools.cache
def script(name: str) -> Script:
    """Return a script by name; it is read from the package once.

    Raises:
        ProtocolError: It is missing, or one of its includes is missing or includes itself.
    """
    expanded = expand(name, _folder())
    return Script(name, expanded, hashlib.sha1(expanded.encode(), usedforsecurity=False).hexdigest())


def load_scripts() -> None:
    """Read all scripts now, for a process that must not read another version of them later.

    Raises:
        ProtocolError: One cannot be read.
    """
    try:
        for name in script_names():
            script(name)
    except OSError as error:
        raise ProtocolError(f"the scripts of fairque cannot be read: {error}") from error


def expand(name: str, folder: Traversable) -> str:
    """Return the text of ``folder/name.lua`` with its includes, each once, at the place of its first mention.

    After every `_LEVEL` of them the rest is wrapped in a function, which is called at once. Constants that are numbers
    are replaced by them, so that they do not count as outer variables. Functions and constants to which nothing refers
    are left out: a script creates them again in each call.

    Raises:
        ProtocolError: A file is missing, or an include leads back to itself.
    """
    seen: set[str] = set()
    lines: list[str] = []
    files = levels = 0

    def add(path: str, chain: tuple[str, ...]) -> None:
        nonlocal files, levels
        if path in chain:
            raise ProtocolError(f"lua/{chain[-1]} includes itself: {' -> '.join((*chain, path))}")
        if path in seen:
            return
        seen.add(path)
        files += not any(place.startswith(_QUICK) for place in (*chain, path))
        if files // _LEVEL > levels:
            levels += 1
            lines.append("return (function()")
        if chain:
            lines.append(f"-- file: {path}")
        try:
            source = folder.joinpath(*path.split("/")).read_text(encoding="utf-8")
        except FileNotFoundError:
            wanted = f", which lua/{chain[-1]} includes" if chain else ""
            raise ProtocolError(f"there is no lua/{path}{wanted}") from None
        for number, line in enumerate(source.splitlines(), 1):
            include = _INCLUDE.match(line)
            if include is not None:
                add(f"includes/{include[1]}.lua", (*chain, path))
                lines.append(f"-- file: {path}")
            elif line.startswith("--- @include"):
                raise ProtocolError(f'lua/{path}:{number}: write it as --- @include "name"')
            else:
                lines.append(line)

    add(f"{name}.lua", ())
    lines.extend(["end)()"] * levels)
    return "\n".join(_without_unused(_with_numbers(lines))) + "\n"


def _with_numbers(lines: Iterable[str]) -> list[str]:
    """Replace the constants that are numbers by these."""
    numbers: dict[str, str] = {}
    replaced = []
    for line in lines:
        if found := _NUMBER.match(line):
            numbers[found[1]] = found[2]
        else:
            replaced.append(_NAME.sub(lambda name: numbers.get(name[0], name[0]), line))
    return replaced


def _without_unused(lines: list[str]) -> list[str]:
    """Leave out definitions to which only definitions refer that are left out themselves."""
    pieces = list(_pieces(lines))
    used, new = set[str](), _words(line for name, piece in pieces if not name for line in piece)
    while new:
        used |= new
        new = _words(line for name, piece in pieces if name in new for line in piece) - used
    return [line for name, piece in pieces if not name or name in used for line in piece]


def _pieces(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield definitions with their names, and the lines between them."""
    piece = list[str]()
    for line in lines:
        started = None if piece else _DEFINITION.match(line)
        if started and (started[2] or line.partition("--")[0].rstrip().endswith(" end")):
            yield started[1] or started[2], [line]
        elif started or piece:
            piece.append(line)
            if line == "end":
                yield _DEFINITION.match(piece[0])[1], piece  # type: ignore[index]  # it has just matched
                piece = []
        else:
            yield "", [line]
    yield "", piece


def _words(lines: Iterable[str]) -> set[str]:
    return {word for line in lines for word in _WORD.findall(_NOT_CODE.sub("", line))}
