"""Runs mypy strict over all sources at once, then over each folder of tests: equal file names there would collide."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return the number of runs that found something."""
    sources = sorted(str(path) for path in ROOT.glob("packages/*/src"))
    runs = [sources, [str(ROOT / "scripts")], [str(ROOT / "integration-tests")]]
    runs += [[str(path)] for path in sorted(ROOT.glob("packages/*/tests")) if any(path.rglob("*.py"))]
    failed = 0
    for paths in runs:
        print("mypy", *(Path(path).relative_to(ROOT) for path in paths), flush=True)
        failed += subprocess.run([sys.executable, "-m", "mypy", *paths], cwd=ROOT, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
