"""Runs mypy strict over all sources at once, then over each folder of tests, because equal file names collide."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return the number of runs with errors."""
    sources = sorted(ROOT.glob("packages/*/src"))
    runs = [(ROOT, sources), (ROOT, [ROOT / "scripts"]), (ROOT, [ROOT / "integration-tests"])]
    # Test modules are named relative to their package's folder: tests.scripts.conftest.
    runs += [(tests.parent, [tests]) for tests in sorted(ROOT.glob("packages/*/tests"))]
    failed = 0
    for base, paths in runs:
        print("mypy", *(path.relative_to(ROOT) for path in paths), flush=True)
        environment = {**os.environ, "MYPYPATH": str(base)}
        command = [sys.executable, "-m", "mypy", *map(str, paths)]
        failed += subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
