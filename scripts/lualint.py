"""Checks the Lua scripts with luacheck: ``python scripts/lualint.py`` prints each finding with its file.

A script is checked as it is sent, with its includes in place. What an include defines and one script does not use is
reported only if no other script uses it either.
"""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

PROTOCOL = Path(__file__).parents[1] / "packages/fairque-protocol/src"
sys.path.insert(0, str(PROTOCOL))

from fairque.protocol.wire.scripts import script, script_names  # noqa: E402 - the package is not installed here

GLOBALS = ("redis", "struct", "cmsgpack", "cjson", "KEYS", "ARGV")
IGNORED = {
    "431": "a local variable may have the name of a function of another file that it does not use",
    "511": "`until true` after a quick path, which is left by `return` or `break`",
}
#: Definitions and values that are not used.
_UNUSED = ("2", "3")
_FILE = re.compile(r"-- file: (.*)")
_FINDING = re.compile(r"stdin:(\d+):\d+: \([WE](\d+)\) (.*)")


def findings(luacheck: str) -> list[str]:
    """Return a line for each finding."""
    found: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    scripts_with: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in script_names():
        places = _places(name)
        for place in places:
            scripts_with[place].add(name)
        for line, code, text in _checked(luacheck, script(name).text):
            found[*places[line - 1], code, re.sub(r" on line \d+", "", text)].add(name)
    return [
        f"lua/{file}: {text} ({code}): {source.strip()}"
        for (file, source, code, text), names in sorted(found.items())
        if not code.startswith(_UNUSED) or names == scripts_with[file, source]
    ]


def _places(name: str) -> list[tuple[str, str]]:
    """Return file and text of each line of a script as it is sent."""
    file, places = f"{name}.lua", []
    for line in script(name).text.splitlines():
        if mark := _FILE.match(line):
            file = mark[1]
        places.append((file, line))
    return places


def _checked(luacheck: str, text: str) -> list[tuple[int, str, str]]:
    """Return line, code and text of each finding in a script."""
    options = ["--std", "lua51", "--codes", "--no-color", "--formatter", "plain", "--no-max-line-length"]
    command = [luacheck, *options, "--ignore", *IGNORED, "--read-globals", *GLOBALS, "--", "-"]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if answer.stderr:
        raise SystemExit(f"luacheck failed: {answer.stderr or answer.stdout}")
    matches = (_FINDING.match(line) for line in answer.stdout.splitlines())
    return [(int(match[1]), match[2], match[3]) for match in matches if match]


def main() -> int:
    """Print all findings, and return the exit code."""
    luacheck = shutil.which("luacheck")
    if luacheck is None:
        print("luacheck is not installed, so the Lua scripts are not checked: apt-get install lua-check")
        return 0
    found = findings(luacheck)
    print("\n".join(found) or "All Lua scripts pass luacheck.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
