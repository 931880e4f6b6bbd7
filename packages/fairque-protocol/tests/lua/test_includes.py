"""The files of `lua/includes` name what they use, in one direction, and each changes its own variables only.

Quick paths are left out: they are blocks whose parts share their local variables.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The names that a line without indentation defines.
_DEFINED = re.compile(r"^local (?:function (\w+)|((?:\w+, )*\w+))", re.MULTILINE)
_LOCAL = re.compile(r"\blocal (?!function)([\w, ]+)|\bfor ([\w, ]+?) (?:in|=)|\bfunction[\w ]*\(([\w, .]*)\)")
_NAME = re.compile(r"(?<![.\w:])[A-Za-z_]\w*")
_FIELD = re.compile(r"[{,]\s*(\w+) = ")
#: Not the fields of a table over several lines.
_ASSIGNED = re.compile(
    r"(?:(?<![,{]\n)^|\bthen |\belse |\bdo )[ \t]*([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*) = (?![^\n]*,$)", re.MULTILINE
)
_INCLUDE = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)


class LuaFile:
    """A script or an include."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        text = path.read_text()
        self.includes = set(_INCLUDE.findall(text))
        header, _, rest = text.partition("]]\n")
        self.code = re.sub(r'"[^"\n]*"|--.*', "", rest if header.startswith("#!lua") else text)
        self.defined = {
            name for function, variables in _DEFINED.findall(self.code) for name in (function or variables).split(", ")
        }
        found = (name for groups in _LOCAL.findall(self.code) for name in groups if name)
        self.local = {name.strip() for names in found for name in names.split(",")}

    @property
    def used(self) -> set[str]:
        return set(_NAME.findall(_FIELD.sub("{", self.code))) - self.defined

    @property
    def assigned(self) -> set[str]:
        return {name for names in _ASSIGNED.findall(self.code) for name in names.split(", ")} - self.local


def _files(folder: Path) -> Iterator[LuaFile]:
    for path in sorted(folder.glob("*.lua")):
        if not path.stem.startswith("quick_"):
            yield LuaFile(path)


@pytest.fixture(scope="session")
def rooms(lua_folder: Path) -> dict[str, LuaFile]:
    return {file.name: file for file in _files(lua_folder / "includes")}


@pytest.fixture(scope="session")
def files(lua_folder: Path, rooms: dict[str, LuaFile]) -> list[LuaFile]:
    return [*_files(lua_folder), *rooms.values()]


@pytest.fixture(scope="session")
def owners(rooms: dict[str, LuaFile]) -> dict[str, str]:
    """Which include defines a name."""
    return {name: room.name for room in rooms.values() for name in room.defined}


def test_a_name_is_defined_by_one_include(rooms: dict[str, LuaFile], owners: dict[str, str]) -> None:
    assert [(name, room.name) for room in rooms.values() for name in room.defined if owners[name] != room.name] == []


def test_a_file_includes_what_it_uses(files: list[LuaFile], owners: dict[str, str]) -> None:
    for file in files:
        used = {owners[name] for name in file.used - file.local if name in owners}
        assert used <= file.includes, file.name


def test_an_include_uses_what_it_includes(rooms: dict[str, LuaFile], owners: dict[str, str]) -> None:
    for room in rooms.values():
        assert room.includes <= {owners[name] for name in room.used if name in owners}, room.name


def test_a_variable_is_assigned_only_by_the_file_that_declares_it(files: list[LuaFile], owners: dict[str, str]) -> None:
    for file in files:
        foreign = {name for name in file.assigned if name in owners and name not in file.defined}
        assert foreign == set(), file.name
