"""fairque compared with other task queues: single pushes, and no-op tasks through one worker process.

    hatch run peers:compare

Each runs on its own server, with the same task, which has an argument of 200 bytes, and in the
fastest configuration that its documentation describes for such tasks. The result is the ratio to fairque in one run.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from attrs import frozen

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded import EmbeddedServer

HERE = Path(__file__).resolve().parent
NOTES = "peers:notes"
_WAIT_SECONDS = 120.0


@frozen
class Peer:
    """How to start one of them, and how many tasks keep it busy for some seconds."""

    tasks: int
    command: str


PEERS = {
    "fairque": Peer(20_000, "fairque.worker on_fairque --concurrency 64 --url {url}"),
    "dramatiq": Peer(10_000, "dramatiq on_dramatiq --processes 1 --threads 8"),
    "saq": Peer(10_000, "saq on_saq.settings --quiet"),
    "arq": Peer(5_000, "arq on_arq.WorkerSettings"),
    "celery": Peer(5_000, "celery -A on_celery worker --pool solo --without-gossip --without-mingle"),
    "rq": Peer(2_000, "rq.cli worker --worker-class rq.worker.SimpleWorker --quiet --url {url}"),
}


@frozen
class Rates:
    """Tasks a second."""

    pushed: float
    drained: float


def main() -> None:
    """Print the table."""
    names = [name for name in PEERS if name in sys.argv[1:]] or list(PEERS)
    print(f"{'':10} {'pushed one by one':>20} {'drained by one process':>24} {'of fairque':>12}")
    base = 0.0
    for name in names:
        rates = _measure(name)
        base = base or rates.drained
        print(f"{name:10} {rates.pushed:18,.0f}/s {rates.drained:22,.0f}/s {rates.drained / base:12.2f}", flush=True)


def _measure(name: str) -> Rates:
    tasks = PEERS[name].tasks
    with EmbeddedServer() as server, tempfile.TemporaryDirectory() as folder:
        url = server.url.partition("?")[0]
        environment = {
            **os.environ,
            "PEERS_URL": url,
            "PEERS_TASKS": str(tasks),
            "PEERS_NOTES": NOTES,
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        }
        push = f"import time, on_{name} as peer; began = time.monotonic(); peer.push(); print(time.monotonic() - began)"
        pushing = subprocess.run(
            [sys.executable, "-c", push], env=environment, capture_output=True, check=False, text=True, cwd=folder
        )
        if pushing.returncode:
            raise SystemExit(f"{name}: pushing failed:\n{pushing.stderr}")
        return Rates(tasks / float(pushing.stdout), _drained(name, url, environment, folder))


def _drained(name: str, url: str, environment: dict[str, str], folder: str) -> float:
    command = [sys.executable, "-m", *PEERS[name].command.format(url=url).split()]
    log = Path(folder) / "log"
    with log.open("wb") as output, redis.Redis.from_url(url) as client:
        worker = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
        try:
            until = monotonic() + _WAIT_SECONDS
            while int(client.llen(NOTES)) < 2:
                if monotonic() > until or worker.poll() is not None:
                    raise SystemExit(f"{name}: its worker does not work:\n{log.read_text()[-2_000:]}")
                time.sleep(0.05)
            first, last = (float(note) for note in client.lrange(NOTES, 0, 1))
        finally:
            worker.terminate()
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
    return (PEERS[name].tasks - 1) / (last - first)


if __name__ == "__main__":
    main()
