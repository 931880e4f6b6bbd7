"""Generate synchronous modules from asynchronous ones: ``python scripts/unasync.py [--check]``.

Each module of `fairque.client._async` becomes one of `fairque.client._sync` by the rules below, token by token, and is
formatted by ruff; so does each of `fairque.protocol.runners._async`. ``--check`` writes nothing and exits with 1 if the
committed modules differ from the generated ones. A rule that is never used is also an error: it is obsolete or
misspelled.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = Path(__file__).parent.parent / "packages"
#: Each has a folder ``_async``, and a folder ``_sync`` that is generated from it.
FOLDERS = (
    PACKAGES / "fairque-client" / "src" / "fairque" / "client",
    PACKAGES / "fairque-protocol" / "src" / "fairque" / "protocol" / "runners",
)
#: Modules that are written by hand in both: the first describes its package, the second does the input and output.
KEPT = {"__init__.py", "io.py"}

HEADER = "# Generated from _async/{} by scripts/unasync.py. Do not edit: change that module and generate this one.\n"

#: Applied in this order, each to the result of the previous one.
RULES = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]"),
    (r"\bAwaitable\[(Page\[T\]|T)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclos(ing|e)\b", r"clos\1"),
    (r"\n *@cancelable\b", ""),
    (r"\n.* import cancelable\b", ""),
    (r"\bfairque\.(client|protocol\.runners)\._async\b", r"fairque.\1._sync"),
]


def main() -> None:
    """Generate all modules, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something differs")
    check = parser.parse_args().check
    used = set[str]()
    stale = [difference for folder in FOLDERS for difference in compare(folder, used)]
    if unused := [rule for rule, _ in RULES if rule not in used]:
        sys.exit(f"unasync: these rules were never used: {', '.join(unused)}")
    if check and stale:
        names = ", ".join(str(path.relative_to(PACKAGES)) for path, _ in stale)
        sys.exit(f"unasync: these are not what _async makes: {names}. Run hatch run lint:fix")
    for path, text in stale:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)


def compare(folder: Path, used: set[str]) -> Iterator[tuple[Path, str | None]]:
    """Yield the modules that have to change, each with its new text, or None if it has to go."""
    source, target = folder / "_async", folder / "_sync"
    wanted = {}
    for path in sorted(source.glob("*.py")):
        if path.name not in KEPT:
            text = synchronous(path.read_text(), used)
            wanted[path.name] = HEADER.format(path.name) + formatted(text, target / path.name)
    found = {path.name: path.read_text() for path in target.glob("*.py") if path.name not in KEPT}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            yield target / name, wanted.get(name)


def synchronous(text: str, used: set[str]) -> str:
    """Return the synchronous form of a module, and record the rules that were used."""
    for rule, replacement in RULES:
        text, times = re.subn(rule, replacement, text)
        if times:
            used.add(rule)
    return text


def formatted(text: str, path: Path) -> str:
    """Return a module with sorted imports, formatted by ruff."""
    for command in (["check", "--quiet", "--fix-only", "--select", "I001,RUF022"], ["format"]):
        done = subprocess.run(
            ["ruff", *command, "--stdin-filename", path, "-"], input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    return text


if __name__ == "__main__":
    main()
