"""The message of a command about the error that ends it."""

import sys
from pathlib import Path

import pytest

from fairque.protocol.errors import CannotImport, RedisUnavailable
from fairque.protocol.service.exit_message import exit_message
from fairque.protocol.service.loading import import_module


def said_of(name: str) -> str:
    with pytest.raises(CannotImport) as caught:
        import_module(name)
    sys.modules.pop(name, None)
    return exit_message("shop", caught.value)


def test_an_error_is_one_line() -> None:
    assert exit_message("shop", RedisUnavailable("it sleeps")) == "shop: it sleeps"


def test_a_missing_module_is_one_line() -> None:
    assert said_of("refused_nobody").count("\n") == 0


def test_the_traceback_of_a_failing_module_shows_only_its_own_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "refused_outer.py").write_text("import refused_inner\n")
    (tmp_path / "refused_inner.py").write_text("\nLIMIT = 1 / 0\n")
    first, *lines = said_of("refused_outer").splitlines()
    assert first.startswith("shop: module 'refused_outer' cannot be imported: ZeroDivisionError")
    assert [line.strip() for line in lines if "File" in line or "LIMIT" in line] == [
        f'File "{tmp_path}/refused_outer.py", line 1, in <module>',
        f'File "{tmp_path}/refused_inner.py", line 2, in <module>',
        "LIMIT = 1 / 0",
    ]
