"""Modules that an operator names: imported in order, and refused with the reason and where they are looked for."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairque.protocol.errors import CannotImport
from fairque.protocol.service.loading import import_module, import_modules

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported during the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_module_is_returned(write: Write) -> None:
    assert import_module(write("modules_of_one", "N = 42\n")).N == 42


def test_modules_before_one_that_cannot_be_imported_are_loaded(write: Write) -> None:
    with pytest.raises(CannotImport, match="'modules_of_nobody'"):
        import_modules([write("modules_of_two", ""), "modules_of_nobody", write("modules_of_three", "")])
    assert "modules_of_two" in sys.modules
    assert "modules_of_three" not in sys.modules


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import modules_of_nobody", "ModuleNotFoundError: No module named 'modules_of_nobody'"),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def :", "SyntaxError"),
    ],
)
def test_the_error_says_why(write: Write, text: str, reason: str) -> None:
    with pytest.raises(CannotImport, match=re.escape(f"module 'modules_of_four' cannot be imported: {reason}")):
        import_module(write("modules_of_four", text))


def test_the_error_says_where_modules_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotImport, match=r"sys\.path.*PYTHONPATH") as caught:
        import_module("modules_of_nobody")
    assert str(tmp_path) in str(caught.value)


def test_an_interruption_is_passed_on(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_module(write("modules_of_five", "raise KeyboardInterrupt"))
