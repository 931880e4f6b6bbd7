"""Loads the Lua scripts of the package: resolves includes, marks the source of each line, hashes the text."""

import functools
import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable

from attrs import frozen

from fairque.protocol.errors import ProtocolError

__all__ = ["Script", "expand", "load_scripts", "script", "script_names"]

_INCLUDE = re.compile(r'^--- @include "([a-z_]+)"$')
#: After this many files the rest is nested in a function. When Lua creates a function, it searches the local variables
#: of the current level one by one, and finds those of outer levels directly: this saves a tenth of a call with one
#: task. A function can refer to at most 60 outer variables.
_LEVEL = 8


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

    After every `_LEVEL` of them the rest is wrapped in a function, which is called at once.

    Raises:
        ProtocolError: A file is missing, or an include leads back to itself.
    """
    seen: set[str] = set()
    lines: list[str] = []

    def add(path: str, chain: tuple[str, ...]) -> None:
        if path in chain:
            raise ProtocolError(f"lua/{chain[-1]} includes itself: {' -> '.join((*chain, path))}")
        if path in seen:
            return
        seen.add(path)
        if len(seen) % _LEVEL == 0:
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
    lines.extend(["end)()"] * (len(seen) // _LEVEL))
    return "\n".join(lines) + "\n"
