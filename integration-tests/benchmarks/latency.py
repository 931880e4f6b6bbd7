"""How long an idle worker takes to start a task, and a producer to get its result, relative to a bare wake-up by Redis.

    python integration-tests/benchmarks/latency.py [redis://...]

The baseline is one process that blocks on a list with BLPOP and answers on another list, alternating in the same run.
Its answer has the time when it woke up; a task returns the time when it began. All times are on a shared clock.

Between the two are the steps of any queue with leases, in Python and with scripts that only move bytes: one
stores the message and wakes a worker, another hands it out, it runs in a thread, a third stores the result and
announces it to a listening thread of the producer. The time of fairque above that is its own work.
"""

import queue as queues
import subprocess
import sys
import threading
import time
from contextlib import suppress

import redis
from benchmark_tasks import begun
from common import new_queue, percentile, server_url
from workers import worker

from fairque.client import Task, TaskQueue
from fairque.protocol.wire.codec import encode_task

ROUNDS = 500
#: Seconds between two rounds, in which all processes become idle.
REST = 0.01

ECHO = """
import sys, time, redis
client = redis.Redis.from_url(sys.argv[1])
while True:
    client.blpop(sys.argv[2] + "ask")
    client.lpush(sys.argv[2] + "answer", time.monotonic_ns())
"""

STORE = "redis.call('SET', KEYS[1] .. 'm', ARGV[1]) redis.call('LPUSH', KEYS[1] .. 'wake', 1)"
TAKE = "local m = redis.call('GET', KEYS[1] .. 'm') redis.call('SET', KEYS[1] .. 'lease', 1, 'PX', 30000) return m"
END = "redis.call('SET', KEYS[1] .. 'r', ARGV[1]) redis.call('PUBLISH', KEYS[1] .. 'done', ARGV[1])"

STEPS = f"""
import json, sys, time, redis
from concurrent.futures import ThreadPoolExecutor
client = redis.Redis.from_url(sys.argv[1])
prefix = sys.argv[2] + "steps:"
take, end = client.script_load({TAKE!r}), client.script_load({END!r})
def run(message):
    began = time.monotonic_ns()
    assert json.loads(message)["id"]
    client.evalsha(end, 1, prefix, json.dumps(began))
with ThreadPoolExecutor(2) as pool:
    while True:
        with client.pipeline(transaction=False) as pipeline:
            pipeline.blpop([prefix + "wake"])
            pipeline.evalsha(take, 1, prefix)
            pool.submit(run, pipeline.execute()[1])
"""


class Steps:
    """The producer of these steps: it pushes a message, and a thread receives the result."""

    def __init__(self, client: "redis.Redis", prefix: str) -> None:
        self._client = client
        self._prefix = f"{prefix}steps:"
        self._store = client.script_load(STORE)
        self._answers: queues.SimpleQueue[bytes] = queues.SimpleQueue()
        self._channel = client.pubsub()
        self._channel.subscribe(f"{self._prefix}done")
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self) -> int:
        """Push, wait, and return when the task began."""
        message = encode_task(Task(func="f", user_id="ann")).data
        self._client.evalsha(self._store, 1, self._prefix, message)
        return int(self._answers.get(timeout=10))

    def _listen(self) -> None:
        # At the end its connection is closed.
        with suppress(redis.ConnectionError):
            for message in self._channel.listen():
                if message["type"] == "message":
                    self._answers.put(message["data"])


def main() -> None:
    """Print the table."""
    bare_start, bare_result, start, result = [], [], [], []
    steps_start, steps_result = [], []
    keys = new_queue()
    with server_url() as url, redis.Redis.from_url(url) as client:
        others = [subprocess.Popen([sys.executable, "-c", code, url, keys.prefix]) for code in (ECHO, STEPS)]
        steps = Steps(client, keys.prefix)
        try:
            with worker(url, keys.name), TaskQueue.from_url(url, queue=keys.name, default_user_id="ann") as queue:
                for number in range(ROUNDS + 20):
                    time.sleep(REST)
                    began = time.monotonic_ns()
                    client.lpush(f"{keys.prefix}ask", "x")
                    woken = int(client.blpop([f"{keys.prefix}answer"])[1])
                    answered = time.monotonic_ns()
                    time.sleep(REST)
                    stepped = time.monotonic_ns()
                    handed = steps.call()
                    heard = time.monotonic_ns()
                    time.sleep(REST)
                    pushed = time.monotonic_ns()
                    started = queue.push(begun.task()).result(timeout=10)
                    done = time.monotonic_ns()
                    if number >= 20:  # the first rounds import and connect
                        bare_start.append(woken - began)
                        bare_result.append(answered - began)
                        steps_start.append(handed - stepped)
                        steps_result.append(heard - stepped)
                        start.append(started - pushed)
                        result.append(done - pushed)
        finally:
            for other in others:
                other.kill()
                other.wait()
    for label, *kinds in (("start", bare_start, steps_start, start), ("result", bare_result, steps_result, result)):
        for share in (0.5, 0.95):
            bare, middle, ours = (percentile(times, share) / 1e6 for times in kinds)
            print(
                f"{label:6} p{share * 100:.0f}: bare {bare:6.3f} ms, steps {middle:6.3f} ms, fairque {ours:6.3f} ms; "
                f"fairque is {ours / bare:.2f} of bare, {ours / middle:.2f} of the steps"
            )


if __name__ == "__main__":
    main()
