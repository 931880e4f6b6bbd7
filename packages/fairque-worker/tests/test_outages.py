"""Servers that crash, are replaced, load or are busy: a worker continues by itself within 10 s of their return."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError

from fairque.testing import PlainServer
from fairque.testing.internal import eventually, read_globals
from fairque.worker import current_context


def nothing() -> None:
    """The shortest task."""


@pytest.fixture
def server() -> Iterator[PlainServer]:
    # A write that waits for a slow disk would be lost with the process.
    with PlainServer("--appendfsync", "always") as server:
        yield server


@pytest.fixture
def client(server: PlainServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def bench(make_bench: Callable[[str, str], Any], server: PlainServer, fairque_queue_name: str) -> Iterator[Any]:
    bench = make_bench(server.url, fairque_queue_name)
    yield bench
    bench.close()


def finished(bench: Any) -> int:
    """How many have ended; 0 while the server is unreachable."""
    try:
        return int(read_globals(bench.client, bench.keys.prefix)["finished"])
    except RedisError:
        return 0


def test_no_task_is_lost_when_the_server_crashes_again_and_again(bench: Any, server: PlainServer) -> None:
    """A crash of the process; after one of the machine, an AOF that is synced each second may lack a second."""
    ran: SimpleQueue[str] = SimpleQueue()

    def note() -> None:
        ran.put(current_context().task_id)

    def have_ended(number: int) -> bool:
        return finished(bench) >= number

    bench.start(note, concurrency=4)
    ids: list[str] = []
    for crash in range(3):
        ids += bench.push_all([bench.task(note) for _ in range(300)])
        eventually(partial(have_ended, 300 * crash + 30), what="some work")
        server.kill()
        server.start()
        eventually(partial(have_ended, 300 * (crash + 1)), what="progress")
    counted = Counter(ran.get_nowait() for _ in range(ran.qsize()))
    assert counted.keys() == set(ids)
    assert (bench.stats().expired, bench.stats().stale) == (0, 0)


def test_a_worker_follows_its_address_to_the_server_that_replaced_the_old_one(
    make_bench: Callable[[str, str], Any], server: PlainServer, client: Any, fairque_queue_name: str
) -> None:
    with PlainServer("--replicaof", f"127.0.0.1 {server.port}") as other, redis.Redis.from_url(other.url) as of_other:
        address = server.folder / "address"
        address.symlink_to(server.socket)
        bench = make_bench(f"unix://{address}", fairque_queue_name)
        bench.start(nothing)
        bench.result(bench.push(nothing))
        eventually(lambda: of_other.info("replication").get("master_link_status") == "up", what="the replica")
        eventually(lambda: read_globals(of_other, bench.keys.prefix)["finished"] == 1, what="its data")
        of_other.replicaof("NO", "ONE")
        address.unlink()
        address.symlink_to(other.socket)
        # The old server still answers; it refuses writes with READONLY.
        client.replicaof("127.0.0.1", other.port)
        task_id = bench.push(nothing)
        bench.reaches(task_id, bench.info(task_id).state.FINISHED)
        assert read_globals(of_other, bench.keys.prefix)["finished"] == 2
        bench.close()


def test_a_worker_continues_when_its_server_was_a_replica_for_a_while(bench: Any, client: Any) -> None:
    bench.start(nothing)
    bench.result(bench.push(nothing))
    waiting = bench.push(nothing, delay=1)
    # A primary that never answers: the replica keeps its data.
    client.replicaof("127.0.0.1", "1")
    refused = client.info("stats")["total_error_replies"]
    eventually(lambda: client.info("stats")["total_error_replies"] > refused + 3, what="refusals")
    client.replicaof("NO", "ONE")
    bench.reaches(waiting, bench.info(waiting).state.FINISHED)


def test_a_worker_continues_when_its_server_has_loaded_its_data(bench: Any, server: PlainServer) -> None:
    bench.push_all([bench.task(nothing) for _ in range(100)])
    bench.start(nothing)
    eventually(lambda: finished(bench) == 100)
    server.kill()
    server.start("--key-load-delay", "3000", ready=False)
    eventually(lambda: finished(bench) == 100, what="the end of the loading")
    task_id = bench.push(nothing)
    bench.reaches(task_id, bench.info(task_id).state.FINISHED)


def test_a_worker_continues_when_its_server_was_busy_with_a_script(
    bench: Any, server: PlainServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bench.start(nothing)
    bench.result(bench.push(nothing))
    waiting = bench.push(nothing, delay=0.5)
    client.config_set("busy-reply-threshold", 10)

    def be_busy() -> None:
        with redis.Redis.from_url(server.url) as other, pytest.raises(RedisError):
            other.eval("while true do end", 0)

    busy = threading.Thread(target=be_busy)
    busy.start()
    eventually(
        lambda: any(r.msg == "the queue cannot be used now: trying again" for r in caplog.records), what="the notice"
    )
    client.script_kill()
    busy.join()
    bench.reaches(waiting, bench.info(waiting).state.FINISHED)


def test_heartbeats_have_their_own_connection(bench: Any, client: Any, inside: Any, short: dict[str, float]) -> None:
    """Even if all other connections are blocked, the leases are renewed."""
    worker = bench.start(inside, **short)
    task_id = bench.push(inside)
    inside.context()
    heart, consumer = worker._heart._consumer.runner, worker._consumer.runner
    assert heart is not consumer
    assert heart._pool is not consumer._pool
    with ExitStack() as calls:
        # All turns of the other runner are taken, as by calls that wait for a silent server.
        for _ in range(64):
            calls.enter_context(consumer._turns)
        lease = client.zscore(f"{bench.keys.prefix}running", task_id)
        eventually(lambda: client.zscore(f"{bench.keys.prefix}running", task_id) > lease + 400, what="two renewals")


def test_requests_whose_answers_are_lost_are_sent_again_with_the_same_effect(bench: Any, client: Any) -> None:
    ran: SimpleQueue[str] = SimpleQueue()

    def note() -> None:
        ran.put(current_context().task_id)

    async def note_later() -> None:
        ran.put(current_context().task_id)

    ids = bench.push_all([bench.task(function) for _ in range(400) for function in (note, note_later)])
    bench.start(note, note_later, concurrency=8)
    for part in range(1, 20):
        eventually(partial(lambda least: finished(bench) >= least, 20 * part), what="some work")
        for killed in client.client_list(_type="normal"):
            # Not that of this test: it would not be noticed.
            if killed["id"] != str(client.client_id()):
                client.client_kill_filter(_id=killed["id"])
    eventually(lambda: finished(bench) == len(ids), what="all tasks")
    assert Counter(ran.get_nowait() for _ in range(ran.qsize())) == Counter(ids)
    assert (bench.stats().expired, bench.stats().stale) == (0, 0)
