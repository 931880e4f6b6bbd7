"""The effect and cost of fairness: one user pushes 10,000 tasks, then 99 users 10 each, and one worker runs them.

    python integration-tests/benchmarks/fairness_workload.py [redis://...]

Prints the position at which the last task of the small users ran, Jain's index over the time in which all users had
work, and the throughput relative to that of the same tasks under one user, in the same run.
"""

import statistics
import tempfile
from collections import Counter
from pathlib import Path

from benchmark_tasks import seen
from common import batches, new_queue, server_url
from workers import drain_rate, worker

from fairque.client import TaskQueue
from fairque.testing.fairness.simulation import jain_index

NOISY, SMALL_USERS, SMALL = 10_000, 99, 10
TOTAL = NOISY + SMALL_USERS * SMALL
RUNS = 3


def main() -> None:
    """Print the results of each run and the median of the ratios."""
    ratios = []
    with server_url() as url, tempfile.TemporaryDirectory() as folder:
        for run in range(1, RUNS + 1):
            alone, _ = _run(url, Path(folder) / f"alone-{run}", fair=False)
            shared, order = _run(url, Path(folder) / f"shared-{run}", fair=True)
            ratios.append(shared / alone)
            last = max(place for place, user in enumerate(order, 1) if user != "noisy")
            print(
                f"run {run}: small users done at place {last:,} of {TOTAL:,}, Jain's index {_jain(order):.4f}, "
                f"{shared:,.0f} tasks/s, one user {alone:,.0f} tasks/s, ratio {shared / alone:.3f}"
            )
    print(f"median ratio {statistics.median(ratios):.3f}")


def _run(url: str, path: Path, *, fair: bool) -> tuple[float, list[str]]:
    """Push everything, start a worker, and return its rate and the order in which it ran the users' tasks."""
    name = new_queue().name
    users = ["noisy"] * NOISY + [f"small-{number}" for number in range(SMALL_USERS) for _ in range(SMALL)]
    with TaskQueue.from_url(url, queue=name) as queue:
        for part in batches(users, 1_000):
            queue.push_many([seen.options(user_id=user if fair else "all").task(user) for user in part])
        with worker(url, name, seen=path):
            rate = drain_rate(queue, TOTAL)
    return rate, path.read_text(encoding="utf-8").splitlines()


def _jain(order: list[str]) -> float:
    """Jain's index over the tasks that ran until the first user had none left."""
    counted: Counter[str] = Counter()
    for user in order:
        counted[user] += 1
        if user != "noisy" and counted[user] == SMALL:
            break
    return jain_index([counted[user] for user in {*order}])


if __name__ == "__main__":
    main()
