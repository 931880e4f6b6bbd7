"""lua/README.md is the contract: it must list everything in the code, and nothing else."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.states import TRANSITIONS
from fairque.protocol.wire.call import SCHEMA
from fairque.protocol.wire.codec import WIRE_VERSION
from fairque.protocol.wire.scripts import script, script_names
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.lua.conftest import Source

RESERVED = "*reserved*"


@pytest.fixture
def page(lua_folder: Path) -> str:
    return (lua_folder / "README.md").read_text()


def table(page: str, heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table of the page, without the first."""
    section = re.split(rf"^#+ {heading}$", page, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    rows = re.split(r"\n\n", section)
    tables = [block.strip().splitlines() for block in rows if block.strip().startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in tables[number][2:]]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def listed_keys(page: str, *, reserved: bool) -> set[str]:
    rows = [row for row in table(page, "Keys") if (RESERVED in row[2]) is reserved]
    return {re.sub(r"<\w+>", "", names_in(row[0])[0]) for row in rows}


def test_every_key_of_the_scripts_is_listed_and_vice_versa(page: str) -> None:
    text = "\n".join(script(name).text for name in script_names())
    used = set(re.findall(r'\bP \.\. "([a-z_]+:?)"', text)) | {"meta"}
    # Names that reach a key through a variable: the argument of head and top, and lists in a loop.
    used |= set(re.findall(r'\b(?:head|top)\("(\w+)"\)', text))
    for names in re.findall(r"ipairs\(\{([^}]*)\}\)", text):
        used |= set(re.findall(r'"([a-z_]{2,}:?|[a-z]:)"', names))
    assert used == listed_keys(page, reserved=False)


def test_reserved_keys_have_other_names(page: str) -> None:
    assert listed_keys(page, reserved=True)
    assert not listed_keys(page, reserved=True) & listed_keys(page, reserved=False)


def test_every_key_has_a_type_and_unless_reserved_a_writer_and_a_lifetime(page: str) -> None:
    for key, kind, members, writer, life in table(page, "Keys"):
        assert kind in {"string", "hash", "set", "zset", "list", "channel", "any"}, key
        assert members, key
        assert bool(writer and life) != (RESERVED in members), key


def test_the_diagram_shows_every_transition_with_its_verb(page: str) -> None:
    drawn = re.findall(r"^  (\S+) --> (\w+): (\w+)$", page, re.MULTILINE)
    assert sorted(drawn) == sorted((t.before or "[*]", str(t.after), t.verb) for t in TRANSITIONS)


def test_every_status_is_listed(page: str) -> None:
    listed = {(int(code), name) for code, name, _ in table(page, "Scripts", 1)}
    assert listed == {(int(status), status.name) for status in Status}


def test_every_script_is_listed(page: str) -> None:
    assert sorted(row[0] for row in table(page, "Scripts")) == script_names()


def test_the_listed_arguments_match_the_header(page: str, source: "Source") -> None:
    (cell,) = [row[1] for row in table(page, "Scripts") if row[0] == source.name]
    fixed, _, group = cell.partition("[")
    arguments = source.arguments
    assert [name.strip() for name in fixed.split(",") if name.strip()] == list(arguments.fixed)
    assert [name.strip() for name in group.rstrip("]").split(",") if name.strip()] == list(arguments.group)


def test_the_listed_codes_match_the_header(page: str, source: "Source") -> None:
    rows = {row[0]: row[2] for row in table(page, "Scripts")}
    cell = rows[source.name]
    if cell.startswith("as "):
        cell = rows[cell.removeprefix("as ")]
    listed = {int(code) for code in re.findall(r"\{(-?\d+)", cell)}
    listed |= {int(code) for codes in re.findall(r"with codes ([-\d, ]+)", cell) for code in codes.split(", ") if code}
    general = {Status.SCHEMA} | ({Status.BAD_ARGS} if source.arguments.fixed or source.arguments.group else set())
    assert listed | general == source.codes


def test_the_version_numbers_are_current(page: str) -> None:
    assert f"wire, now {WIRE_VERSION} " in page
    assert f"schema, now {SCHEMA} " in page
