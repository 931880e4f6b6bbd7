"""How long a producer waits for a result, from the push to the value, relative to a bare wake-up with reply by Redis.

    python integration-tests/benchmarks/result_latency.py [redis://...] [--rounds N] [--most RATIO]

The baseline is one process that blocks on a list with BLPOP and replies, in the same run and alternating with
fairque: once by LPUSH to a list on which the producer blocks, once by PUBLISH to a channel to which it listens. It
does nothing else: no record, no lease, no fairness. With --most RATIO the exit code is 1 if the median of fairque is
more than RATIO times that of the faster one.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
from benchmark_tasks import begun
from common import new_queue, percentile, server_url
from workers import worker

from fairque.client import TaskQueue

#: Rounds that are not counted: the first rounds import and connect.
WARM_UP = 30
#: Seconds between two rounds, in which all processes become idle.
REST = 0.01

ECHO = """
import sys, redis
client = redis.Redis.from_url(sys.argv[1])
while True:
    asked = client.blpop(sys.argv[2] + "ask")[1]
    if asked == b"list":
        client.lpush(sys.argv[2] + "answer", "x")
    else:
        client.publish(sys.argv[2] + "answers", "x")
"""


def main() -> int:
    """Print the table and return the exit code."""
    options = _options()
    keys = new_queue()
    with server_url() as url, redis.Redis.from_url(url) as client, _echo(url, keys.prefix):
        channel = client.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(f"{keys.prefix}answers")
        channel.get_message(timeout=5)
        with worker(url, keys.name), TaskQueue.from_url(url, queue=keys.name, default_user_id="ann") as queue:

            def by_list() -> None:
                client.lpush(f"{keys.prefix}ask", "list")
                client.blpop([f"{keys.prefix}answer"])

            def by_channel() -> None:
                client.lpush(f"{keys.prefix}ask", "channel")
                while channel.get_message(timeout=5) is None:
                    pass

            def fairque() -> None:
                queue.push(begun.task()).result(timeout=30)

            taken = _in_turns(options.rounds, {"list": by_list, "channel": by_channel, "fairque": fairque})
        channel.close()
    middle = {name: percentile(times, 0.5) for name, times in taken.items()}
    for name, times in taken.items():
        print(f"{name:8} p50 {middle[name]:6.3f} ms, p95 {percentile(times, 0.95):6.3f} ms")
    ratios = {name: middle["fairque"] / middle[name] for name in ("list", "channel")}
    print(f"ratio of the p50: {ratios['list']:.2f} to the reply by list, {ratios['channel']:.2f} to that by channel")
    return int(options.most is not None and max(ratios.values()) > options.most)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="of a server; one of its own when left out")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--most", type=float)
    return parser.parse_args()


def _in_turns(rounds: int, ways: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Return the milliseconds of each method, measured alternately."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + WARM_UP):
        for name, way in ways.items():
            time.sleep(REST)
            began = time.monotonic_ns()
            way()
            if number >= WARM_UP:
                taken[name].append((time.monotonic_ns() - began) / 1e6)
    return taken


@contextmanager
def _echo(url: str, prefix: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", ECHO, url, prefix])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
