"""The demo of the README: it shows the promised result, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from fairque.testing.internal import PATIENCE, eventually

DEMO = Path(__file__).resolve().parent.parent / "scripts" / "demo.py"


def _start(folder: Path, tasks: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(DEMO), "--tasks", str(tasks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def _left(folder: str) -> list[Path]:
    return list(Path(folder).iterdir())


def _processes(folder: str) -> list[str]:
    found = subprocess.run(["pgrep", "-af", folder], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


def test_the_demo_ends_with_the_waits_of_each_user_under_both_orders() -> None:
    with tempfile.TemporaryDirectory() as folder, _start(Path(folder), 60) as demo:
        printed, _ = demo.communicate(timeout=100)

        assert demo.returncode == 0, printed
        assert "one FIFO: p50" in printed
        assert "fairque: p50" in printed
        assert not [line for line in printed.splitlines() if " 20 / 20 " in line and len(line.split()) > 5], printed
        assert "quiet-2 (20 tasks)" in printed
        assert "warning" not in printed, "its server is in memory on purpose"
        assert _left(folder) == []


def test_an_interrupted_demo_leaves_no_process_and_no_folder() -> None:
    with tempfile.TemporaryDirectory() as folder, _start(Path(folder), 2000) as demo:
        # Not just any file: the standard library tries out whether the folder can be written.
        eventually(lambda: list(Path(folder).glob("fairque-*")), what="the server's folder")
        demo.send_signal(signal.SIGINT)
        printed, _ = demo.communicate(timeout=PATIENCE)

        assert demo.returncode == 130, printed
        assert "Traceback" not in printed
        eventually(lambda: _left(folder) == [], what="the folder is gone")
        eventually(lambda: _processes(folder) == [], what="the server and its guard are gone")
