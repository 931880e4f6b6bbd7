"""Shared by the benchmarks: a server of their own, its time spent on commands, and the median of a sample."""

import statistics
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from attrs import field, frozen

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded import EmbeddedServer
from fairque.protocol.wire.keys import QueueKeys

if TYPE_CHECKING:
    import redis

__all__ = ["Meter", "Spent", "batches", "new_queue", "percentile", "round_trip_ms", "server_url"]

T = TypeVar("T")


@contextmanager
def server_url() -> Iterator[str]:
    """Yield the URL on the command line, or that of a server started for the benchmark."""
    given = [argument for argument in sys.argv[1:] if "://" in argument]
    if given:
        yield given[0]
        return
    with EmbeddedServer() as server:
        yield server.url


def new_queue() -> QueueKeys:
    """Return the keys of an unused queue."""
    return QueueKeys(f"benchmark-{uuid.uuid4().hex[:12]}")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split a sequence into parts of at most ``size``."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that the fraction ``share`` of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def round_trip_ms(client: "redis.Redis", times: int = 1_000) -> float:
    """Return the median time of a PING in milliseconds."""
    taken = []
    for _ in range(times):
        began = monotonic()
        client.ping()
        taken.append(monotonic() - began)
    return 1_000 * statistics.median(taken)


@frozen
class Spent:
    """The cost of scripts on a server: microseconds, and the number of their commands."""

    microseconds: float
    commands: int

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.microseconds + other.microseconds, self.commands + other.commands)


@frozen
class Meter:
    """Reads the cost of scripts from the server's own statistics."""

    client: "redis.Redis" = field()

    def read(self) -> Spent:
        """Return the totals since the server's start."""
        found = self.client.info("commandstats")
        scripts = found.get("cmdstat_evalsha", {"usec": 0})
        inside = sum(
            values["calls"]
            for name, values in found.items()
            if name.removeprefix("cmdstat_").split("|")[0] not in ("evalsha", "info", "script", "config", "ping")
        )
        return Spent(scripts["usec"], inside)

    def since(self, before: Spent) -> Spent:
        """Return the cost since an earlier reading."""
        now = self.read()
        return Spent(now.microseconds - before.microseconds, now.commands - before.commands)
