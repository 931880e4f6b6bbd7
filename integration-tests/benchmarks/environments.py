"""Python environments of the benchmarks: one for each task queue of the comparison, and for a revision of fairque."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

from catalog import PEERS
from sides import Side

__all__ = ["Missing", "current_side", "peer_side", "revision_side"]

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "peers"
#: In the order of their dependencies; fairque.testing has the calls in one place.
PACKAGES = ("protocol", "client", "worker", "testing")
_NEWER = ("python3.14", "python3.13", "python3.12")


class Missing(Exception):
    """An environment cannot be made here; the message says why in one line."""


def current_side() -> Side:
    """Return fairque as it is in this environment."""
    return Side("fairque", "fairque", Path(sys.executable), version=_revision(ROOT))


def peer_side(name: str) -> Side:
    """Return a task queue of the comparison in an environment of its own, which is kept in ``build/peers``.

    Raises:
        Missing: It cannot be installed here.
    """
    if name == "fairque":
        return current_side()
    peer = PEERS[name]
    base = _interpreter(peer.python)
    mark = hashlib.sha256("\n".join([base, *peer.requires]).encode()).hexdigest()[:12]
    folder = BUILD / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {', '.join(peer.requires)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _create(base, folder)
        _run([python, "-m", "pip", "install", "--quiet", *peer.requires])
        (folder / "complete").touch()
    return Side(name, name, python, version=_installed(python, peer.requires))


@contextmanager
def revision_side(revision: str) -> Iterator[Side]:
    """Check out a revision in a temporary folder, and install its packages with the same versions of all others.

    Yields:
        fairque of that revision.

    Raises:
        Missing: There is no such revision, or it cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="fairque-revision-") as name:
        tree, folder = Path(name) / "tree", Path(name) / "environment"
        _run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", tree, revision])
        try:
            limits = Path(name) / "constraints.txt"
            limits.write_text("\n".join(_other_packages()), encoding="utf-8")
            _create(sys.executable, folder)
            python = folder / "bin" / "python"
            command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--constraint", limits]
            for package in PACKAGES:
                command += ["--editable", tree / "packages" / f"fairque-{package}"]
            _run(command)
            yield Side(revision, "fairque", python, version=_revision(tree))
        finally:
            _run(["git", "-C", ROOT, "worktree", "remove", "--force", tree])


def _interpreter(oldest: tuple[int, int]) -> str:
    """Return a Python that is new enough."""
    if sys.version_info >= oldest:
        return sys.executable
    for name in _NEWER:
        found = shutil.which(name)
        # What is found may be the stand-in of a program that manages versions, without a version behind it.
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise Missing(f"it needs Python {oldest[0]}.{oldest[1]}, and none is on PATH")


def _create(python: str | Path, folder: Path) -> None:
    _run([python, "-m", "venv", folder])


def _installed(python: Path, requires: Sequence[str]) -> str:
    """Return the version of the first of these packages."""
    name = requires[0].partition(">")[0].partition("[")[0]
    code = (
        f"import platform; from importlib.metadata import version; print(version({name!r}), platform.python_version())"
    )
    found, of_python = _run([python, "-c", code]).split()
    return f"{name} {found}, Python {of_python}"


def _other_packages() -> list[str]:
    """Return the versions of all packages of this environment but those of fairque."""
    found = {one.name: one.version for one in distributions() if not one.name.startswith("fairque")}
    return [f"{name}=={version}" for name, version in found.items()]


def _revision(tree: Path) -> str:
    """Return the commit of a checkout."""
    try:
        number = _run(["git", "-C", tree, "rev-parse", "--short=9", "HEAD"]).strip()
        changed = _run(["git", "-C", tree, "status", "--porcelain", "--untracked-files=no"]).strip()
    except Missing:
        return "not a checkout"
    return f"{number} with changes" if changed else number


def _run(command: Sequence[str | Path]) -> str:
    """Run a command and return its output.

    Raises:
        Missing: It failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except OSError as error:
        raise Missing(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{' '.join(map(str, command[:6]))} …: {last[-1] if last else 'failed'}")
    return done.stdout
