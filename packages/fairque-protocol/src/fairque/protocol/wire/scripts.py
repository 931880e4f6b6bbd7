"""Loads the Lua scripts of the package: resolves includes, marks the source of each line, hashes the text."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from attrs import define, field, frozen

from fairque.protocol.errors import ProtocolError
from fairque.protocol.wire.pieces import QUICK, Include, Piece, cut, in_order

__all__ = ["Script", "expand", "load_scripts", "script", "script_names"]

#: After this many files the rest is nested in a function. When Lua creates a function, it searches the local variables
#: of the current level one by one, and finds those of outer levels directly: this saves a tenth of a call with one
#: task. A function can refer to at most 60 outer variables.
_LEVEL = 10
_READS_ONLY = re.compile(r"^#!lua flags=[a-z,-]*no-writes")
#: Scripts that only read include this function but never call it.
_SET_ASIDE = "set_aside"


@frozen
class Script:
    """A script as it is sent.

    Attributes:
        name: Name of its file without the extension.
        text: The source with all includes in place.
        commands: The commands that it may send.
        strings: The strings of what it may run.
        reads_only: Whether the server lets it write nothing.
        sha: SHA-1 of the text, by which the server identifies it.
    """

    name: str
    text: str = field(repr=False)
    commands: frozenset[str] = field(repr=False)
    strings: frozenset[str] = field(repr=False)
    reads_only: bool
    sha: str = field(init=False)

    @sha.default
    def _sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


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
    return _packaged().script(name)


@functools.cache
def _packaged() -> "_Library":
    return _Library(_folder())


def load_scripts() -> None:
    """Read all scripts now, for a process that needs all, or must not read another version of them later.

    Raises:
        ProtocolError: One cannot be read.
    """
    try:
        for name in script_names():
            script(name)
        _packaged.cache_clear()  # the files, of which nothing more is needed
    except OSError as error:
        raise ProtocolError(f"the scripts of fairque cannot be read: {error}") from error


def expand(name: str, folder: Traversable) -> str:
    """Return the text of ``folder/name.lua`` with its includes, each once, at the place of its first mention.

    After every `_LEVEL` of them the rest is wrapped in a function, which is called at once. Constants that are numbers
    are replaced by them, so that they do not count as outer variables. Functions and constants to which nothing refers
    are left out, and those that a quick path does not use stand behind it: a script creates them again in each call.

    Raises:
        ProtocolError: A file is missing, or an include leads back to itself.
    """
    return _Library(folder).script(name).text


@define
class _Library:
    """The files of a folder, each read once.

    Attributes:
        folder: The folder.
    """

    folder: Traversable
    _files: dict[str, list[Piece | Include]] = field(init=False, factory=dict)

    def script(self, name: str) -> Script:
        """Put a script together."""
        seen: set[str] = set()
        pieces: list[Piece] = []
        numbers: dict[str, str] = {}
        files = levels = 0

        def add(path: str, chain: tuple[str, ...]) -> None:
            nonlocal files, levels
            if path in chain:
                raise ProtocolError(f"lua/{chain[-1]} includes itself: {' -> '.join((*chain, path))}")
            if path in seen:
                return
            seen.add(path)
            # Quick paths, and what they include, stay at the outermost level.
            files += not any(place.startswith(QUICK) for place in (*chain, path))
            if files // _LEVEL > levels:
                levels += 1
                pieces.append(Piece(path, "return (function()"))
            for piece in self._read(path, chain):
                if isinstance(piece, Include):
                    if not piece.name:
                        raise ProtocolError(f'lua/{path}:{piece.line}: write it as --- @include "name"')
                    add(f"includes/{piece.name}.lua", (*chain, path))
                elif piece.number:
                    numbers[piece.name] = piece.number
                else:
                    pieces.append(piece.with_numbers(numbers))

        add(f"{name}.lua", ())
        pieces += [Piece(f"{name}.lua", "end)()")] * levels
        pieces = list(in_order(pieces))
        text = "\n".join(_marked(pieces, f"{name}.lua")) + "\n"
        reads_only = _READS_ONLY.match(text) is not None
        run = [piece for piece in pieces if not (reads_only and piece.name == _SET_ASIDE)]
        commands = frozenset[str]().union(*(piece.commands for piece in run))
        strings = frozenset[str]().union(*(piece.strings for piece in run))
        return Script(name, text, commands, strings, reads_only)

    def _read(self, path: str, chain: tuple[str, ...]) -> list[Piece | Include]:
        if path not in self._files:
            try:
                text = self.folder.joinpath(*path.split("/")).read_text(encoding="utf-8")
            except FileNotFoundError:
                wanted = f", which lua/{chain[-1]} includes" if chain else ""
                raise ProtocolError(f"there is no lua/{path}{wanted}") from None
            self._files[path] = cut(path, text)
        return self._files[path]


def _marked(pieces: Iterable[Piece], path: str) -> Iterator[str]:
    """Yield the lines, with a comment wherever another file begins."""
    for piece in pieces:
        if piece.path != path:
            path = piece.path
            yield f"-- file: {path}"
        yield piece.text
