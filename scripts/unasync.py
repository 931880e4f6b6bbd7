"""Generate the synchronous client from the asynchronous one: ``python scripts/unasync.py [--check]``.

Each module of `fairque.client._async` becomes one of `fairque.client._sync` by the rules below, token by token, and is
formatted by ruff. ``--check`` writes nothing and exits with 1 if the committed modules differ from the generated ones.
A rule that is never used is also an error: it is obsolete or misspelled.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "packages" / "fairque-client" / "src" / "fairque" / "client"
SOURCE, TARGET = CLIENT / "_async", CLIENT / "_sync"
#: Describes its package, and differs between the two.
KEPT = "__init__.py"

HEADER = "# Generated from _async/{} by scripts/unasync.py. Do not edit: change that module and generate this one.\n"

#: Applied in this order, each to the result of the previous one.
RULES = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]"),
    (r"\bAwaitable\[(Page\[T\])\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclosing\b", "closing"),
    (r"\bfairque\.client\._async\b", "fairque.client._sync"),
]


def main() -> None:
    """Generate all modules, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something differs")
    check = parser.parse_args().check
    wanted, used = {}, set[str]()
    for path in sorted(SOURCE.glob("*.py")):
        if path.name != KEPT:
            text = synchronous(path.read_text(), used)
            wanted[path.name] = HEADER.format(path.name) + formatted(text, TARGET / path.name)
    if unused := [rule for rule, _ in RULES if rule not in used]:
        sys.exit(f"unasync: these rules were never used: {', '.join(unused)}")
    found = {path.name: path.read_text() for path in TARGET.glob("*.py") if path.name != KEPT}
    stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if check and stale:
        sys.exit(f"unasync: {TARGET} is not what {SOURCE} makes: {', '.join(stale)}. Run hatch run lint:fix")
    for name in () if check else stale:
        if name in wanted:
            (TARGET / name).write_text(wanted[name])
        else:
            (TARGET / name).unlink()


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
