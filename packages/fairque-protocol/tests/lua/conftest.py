"""The parsed text of the scripts."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from attrs import field, frozen

from fairque.protocol.wire.scripts import script, script_names

_HEADER = re.compile(r"--\[\[ (?P<name>\w+): (?P<text>.*?) \]\]", re.DOTALL)
_PARTS = re.compile(r"^  (Guarantee:|KEYS|ARGV|Returns|Moves:)", re.MULTILINE)
_PLACE = re.compile(r"ARGV\[(\d+)(\.\.)?\] (.*?)(?=\s+ARGV\[|\s*\Z)", re.DOTALL)


@frozen
class Arguments:
    """ARGV according to a header: the names of the fixed arguments, and of those repeated for each task."""

    fixed: tuple[str, ...]
    group: tuple[str, ...]


@frozen
class Source:
    """One script of the package."""

    name: str
    path: Path
    lines: tuple[str, ...] = field(init=False)
    header: str = field(init=False)
    parts: dict[str, str] = field(init=False)

    @lines.default
    def _lines(self) -> tuple[str, ...]:
        return tuple(self.path.read_text().splitlines())

    @header.default
    def _header(self) -> str:
        found = _HEADER.match("\n".join(self.lines[1:]))
        assert found is not None, f"{self.path.name} has no header"
        assert found["name"] == self.name
        return found["text"]

    @parts.default
    def _parts(self) -> dict[str, str]:
        pieces = _PARTS.split(self.header)
        parts: dict[str, str] = {"what": pieces[0]}
        for kind, text in zip(pieces[1::2], pieces[2::2], strict=True):
            parts[kind] = parts.get(kind, "") + f"{kind}{text}" if kind in ("ARGV", "KEYS") else text
        return parts

    @property
    def flags(self) -> set[str]:
        first = self.lines[0]
        assert first.startswith("#!lua")
        return set(first.removeprefix("#!lua").removeprefix(" flags=").split(",")) - {""}

    @property
    def arguments(self) -> Arguments:
        fixed: list[str] = []
        group: tuple[str, ...] = ()
        for number, many, text in _PLACE.findall(self.parts.get("ARGV", "")):
            assert int(number) == len(fixed) + 1, "ARGV counts up from 1"
            assert not group, "what is repeated comes last"
            if many:
                names = re.sub(r"\([^)]*\)", "", text.removeprefix("for each task:"))
                group = tuple(" ".join(name.split()) for name in names.split(","))
            else:
                fixed.append(re.split(r"[: ]", text)[0])
        return Arguments(tuple(fixed), group)

    @property
    def codes(self) -> set[int]:
        return {int(code) for code in re.findall(r"\{(-?\d+)", self.parts["Returns"])}

    @property
    def moves(self) -> set[tuple[str, str]]:
        return set(re.findall(r"(\w+) -> (\w+)", self.parts.get("Moves:", "")))

    @property
    def body(self) -> str:
        """The text that is sent, without the header."""
        return script(self.name).text.replace(self.header, "")

    @property
    def functions(self) -> set[str]:
        """The functions that are sent: those of its includes that it does not use are left out."""
        return set(re.findall(r"^local function (\w+)\(", self.body, re.MULTILINE))

    @property
    def includes(self) -> set[str]:
        return set(re.findall(r"^-- file: includes/(\w+)\.lua$", script(self.name).text, re.MULTILINE))


@pytest.fixture(scope="session")
def lua_folder() -> Iterator[Path]:
    with resources.as_file(resources.files("fairque.protocol").joinpath("lua")) as folder:
        yield folder


@pytest.fixture(params=script_names())
def source(request: pytest.FixtureRequest, lua_folder: Path) -> Source:
    """Each script in turn."""
    return Source(request.param, lua_folder / f"{request.param}.lua")


@pytest.fixture
def sources(lua_folder: Path) -> list[Source]:
    """All scripts."""
    return [Source(name, lua_folder / f"{name}.lua") for name in script_names()]
