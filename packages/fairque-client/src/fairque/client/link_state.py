"""The state of a link, and what both kinds of links compute without I/O."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from fairque.client.settings import ClientSettings
from fairque.client.waiting import Waiters
from fairque.protocol.calls.push import Batch, Pushed, push_batch
from fairque.protocol.calls.watch import MAX_WATCH_TASKS, watch_many
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import FairqueError
from fairque.protocol.forks import inherits
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["LinkState", "chunks", "unsubscribe_calls"]

T = TypeVar("T")

#: Calls per round trip: more at once would delay other clients of the server.
_CHUNK = 100


class LinkState:
    """The state of `Link` and `AsyncLink`, without I/O."""

    def __init__(self, settings: ClientSettings) -> None:
        given: object = settings
        if not isinstance(given, ClientSettings):
            kind = type(given).__name__
            raise TypeError(f"a queue object takes ClientSettings, not {kind}: TaskQueue.from_url(...) takes a URL")
        self.settings = settings
        self.keys = QueueKeys(settings.queue.name)
        self.result_ttl_ms = to_ms(settings.queue.result_ttl, "result_ttl")
        self._message_limit = settings.queue.message_limit
        self._waiters = Waiters()
        self._listener = ""
        self._closed = False
        inherits(self)

    def start_over(self) -> None:
        """Forget the channel in a forked child, which must not share that of its parent."""
        self._listener = ""
        self._waiters.start_over()

    def _check_open(self) -> None:
        if self._closed:
            raise FairqueError(
                f"this queue object ({self.keys.name!r}) is closed: use it and its handles before close(), "
                "or within the with block"
            )

    def _push_call(self, batch: Batch) -> Call[list[Pushed]]:
        limit, ttl_ms = self._message_limit, self.result_ttl_ms
        return push_batch(self.keys, batch, message_limit=limit, result_ttl_ms=ttl_ms)

    def _new_channel(self) -> str:
        self._listener = new_nonce()
        return self.keys.done(self._listener)


def unsubscribe_calls(keys: QueueKeys, task_ids: Sequence[str], listener: str) -> Iterator[Call[Any]]:
    """Yield the calls that unsubscribe a listener from tasks."""
    for first in range(0, len(task_ids), MAX_WATCH_TASKS):
        yield watch_many(keys, task_ids[first : first + MAX_WATCH_TASKS], listener, ttl_ms=0)


def chunks(calls: Sequence[Call[T]]) -> Iterator[Sequence[Call[T]]]:
    """Yield calls in parts, of which each is sent in one round trip."""
    return (calls[first : first + _CHUNK] for first in range(0, len(calls), _CHUNK))
