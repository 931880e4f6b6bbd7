"""Loads a text as the file dev.yaml into the class ``Settings`` of the test module."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.config import load_settings
from fairque.protocol.errors import ConfigurationError


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes, environ: Mapping[str, str] | None = None, cls: type | None = None) -> Any:
        Path("dev.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        return load_settings("dev.yaml", cls or request.module.Settings, environ=environ or {})

    return load


@pytest.fixture
def problems(load: Callable[..., Any]) -> Callable[..., list[str]]:
    def problems(*args: Any, **kwargs: Any) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(*args, **kwargs)
        found = list(caught.value.problems)
        assert all("\n" not in problem for problem in found)
        return found

    return problems
