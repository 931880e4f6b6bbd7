"""How long an idle worker takes to start a task, and a producer to have its result, beside a bare wake-up by Redis.

    python integration-tests/benchmarks/latency.py [redis://...]

The baseline is one process that blocks on a list with BLPOP and answers on another list, in the same run, in turns. Its
answer carries when it woke up; a task returns when it began. All times are on the clock that the processes share.
"""

import subprocess
import sys
import time

import redis
from benchmark_tasks import begun
from common import new_queue, percentile, server_url
from workers import worker

from fairque.client import TaskQueue

ROUNDS = 500
#: Seconds between two rounds, in which everybody comes to rest.
REST = 0.01

ECHO = """
import sys, time, redis
client = redis.Redis.from_url(sys.argv[1])
while True:
    client.blpop(sys.argv[2] + "ask")
    client.lpush(sys.argv[2] + "answer", time.monotonic_ns())
"""


def main() -> None:
    """Print the table."""
    bare_start, bare_result, start, result = [], [], [], []
    keys = new_queue()
    with server_url() as url, redis.Redis.from_url(url) as client:
        echo = subprocess.Popen([sys.executable, "-c", ECHO, url, keys.prefix])
        try:
            with worker(url, keys.name), TaskQueue.from_url(url, name=keys.name, default_user_id="ann") as queue:
                for number in range(ROUNDS + 20):
                    time.sleep(REST)
                    began = time.monotonic_ns()
                    client.lpush(f"{keys.prefix}ask", "x")
                    woken = int(client.blpop([f"{keys.prefix}answer"])[1])
                    answered = time.monotonic_ns()
                    time.sleep(REST)
                    pushed = time.monotonic_ns()
                    started = queue.push(begun.task()).result(timeout=10)
                    done = time.monotonic_ns()
                    if number >= 20:  # the first ones import and connect
                        bare_start.append(woken - began)
                        bare_result.append(answered - began)
                        start.append(started - pushed)
                        result.append(done - pushed)
        finally:
            echo.kill()
            echo.wait()
    for label, bare, ours in (("start", bare_start, start), ("result", bare_result, result)):
        for share in (0.5, 0.95):
            a, b = percentile(bare, share) / 1e6, percentile(ours, share) / 1e6
            print(f"{label:6} p{share * 100:.0f}: bare {a:6.3f} ms, fairque {b:6.3f} ms, ratio {b / a:.2f}")


if __name__ == "__main__":
    main()
