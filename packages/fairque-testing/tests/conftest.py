"""A separate pytest that runs a test file with the plugin."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """The only folder on PATH of that pytest, with a docker command without an engine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    return folder


@pytest.fixture
def run(tmp_path: Path, bin_folder: Path) -> Run:
    """Runs a test file with the plugin and returns the output of pytest."""
    rootdir = tmp_path / "project"
    rootdir.mkdir(exist_ok=True)

    plugins = ("fairque.testing", "no:valkey", "no:cacheprovider", "no:asyncio")
    options = ["-W", "error", *(f"-p{plugin}" for plugin in plugins)]

    def run(lines: str, *arguments: str, **environment: str) -> str:
        (rootdir / "test_it.py").write_text(lines)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRQUE_")}
        done = subprocess.run(  # noqa: S603 - our own lines
            [sys.executable, "-m", "pytest", "--rootdir", str(rootdir), "-rA", *options, *arguments, "test_it.py"],
            cwd=rootdir,
            env=kept | {"PATH": str(bin_folder)} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout + done.stderr

    return run
