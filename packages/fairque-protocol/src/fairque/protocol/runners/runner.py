"""The synchronous runner: sends calls, listens on a channel, and scans keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from fairque.protocol.runners._sync.caller import Caller
from fairque.protocol.runners.permits import Permits
from fairque.protocol.runners.subscription import Subscription
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["Runner"]


class Runner(Caller):
    """Runs calls on one server. Threads may share it; it connects at the first call.

    Every call is idempotent, so a call whose answer was lost is retried a few times. A forked child may use the runner
    as well, with its own connections.

    Args:
        settings: The address of the server, and timeouts.
        check: Whether to refuse a server that must not hold a queue, and a call that the user may not run completely.
    """

    def require(self, keys: QueueKeys, role: str) -> None:
        """Check at the start that the user of the connection has all rights that a role needs.

        Args:
            keys: The queue.
            role: A role of `ROLES`, such as ``worker``.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
            ServerUnsuitable: Rights are missing; the error says which, and how to grant them.
        """
        self._check_permits([Permits.question(keys)])
        self._permits.require(keys, role)

    def listen(self, channel: str, on_message: Callable[[bytes], None], on_ready: Callable[[], None]) -> "Subscription":
        """Subscribe to a channel in a new thread and return once the server has confirmed it.

        Args:
            channel: The channel.
            on_message: Called in that thread with each message.
            on_ready: Called there after every subscription, also after a lost connection: messages in between were
                missed.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        return Subscription(self._get_client, self.settings, channel, on_message, on_ready)

    def info(self) -> Mapping[str, Any]:
        """Return the fields of all sections of INFO.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        found: Mapping[str, Any] = self._with_retries(lambda: self._get_pool().info())
        return found

    def scan(self, prefix: str, most: int = 1_000) -> Iterator[list[bytes]]:
        """Return the keys with a prefix, page by page; keys may be repeated, and keys created meanwhile may be missed.

        Args:
            prefix: The prefix, without the special characters of a pattern of Redis.
            most: About how many keys the server examines for one page.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        cursor: int | None = None
        while cursor != 0:
            cursor, page = self._with_retries(partial(self._page, cursor or 0, f"{prefix}*", most))
            yield page

    def texts(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of strings, in order; None for a key that is missing or is not a string.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        found: list[Any] = self._with_retries(lambda: self._get_client().mget(keys))
        return found

    def scan_indexes(self, keys: Sequence[bytes], most: int = 500) -> Iterator[tuple[bytes, bytes]]:
        """Return all members of sorted sets, each with its key; as `scan`. One page of many sets is one round trip.

        A key that is not a sorted set has no members.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        for first in range(0, len(keys), most):
            cursors = dict.fromkeys(keys[first : first + most], 0)
            while cursors:
                for (key, _), page in zip(
                    list(cursors.items()), self._with_retries(partial(self._pages, cursors, most)), strict=True
                ):
                    cursors[key], members = page
                    yield from ((key, member) for member, _ in members)
                cursors = {key: cursor for key, cursor in cursors.items() if cursor}

    def scan_lists(self, keys: Sequence[bytes], most: int = 500) -> Iterator[tuple[bytes, bytes]]:
        """Return all elements of lists, each with its key, as `scan_indexes`; a key that is not a list has none.

        It begins at the end of each list, so that it skips nothing when elements leave at the front.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        for first in range(0, len(keys), most):
            open_lists, last = keys[first : first + most], -1
            while open_lists:
                pages = self._with_retries(partial(self._elements, open_lists, last, most))
                for key, page in zip(open_lists, pages, strict=True):
                    yield from ((key, element) for element in page)
                open_lists = [key for key, page in zip(open_lists, pages, strict=True) if len(page) == most]
                last -= most

    def scan_fields(self, key: bytes, most: int = 500) -> Iterator[bytes]:
        """Return the fields of a hash; as `scan`. A key that is not a hash has none.

        Raises:
            RedisUnavailable: The server did not answer, not even after retries.
        """
        cursor: int | None = None
        while cursor != 0:
            cursor, fields = self._with_retries(partial(self._fields, key, cursor or 0, most))
            yield from fields

    def close(self) -> None:
        """Close all connections. Calls that are under way get their answers; later ones, and retries, are refused."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _page(self, cursor: int, pattern: str, most: int) -> Any:
        return self._get_client().scan(cursor, match=pattern, count=most)

    def _fields(self, key: bytes, cursor: int, most: int) -> tuple[int, Iterable[bytes]]:
        try:
            found: Any = self._get_client().hscan(key, cursor, count=most)
        except RedisError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return 0, ()
        return found[0], found[1]

    def _pages(self, cursors: Mapping[bytes, int], most: int) -> list[Any]:
        with self._get_client().pipeline(transaction=False) as pipeline:
            for key, cursor in cursors.items():
                pipeline.zscan(key, cursor, count=most)
            return _of_other_types(pipeline.execute(raise_on_error=False), (0, []))

    def _elements(self, keys: Sequence[bytes], last: int, most: int) -> list[Any]:
        with self._get_client().pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.lrange(key, last - most + 1, last)
            return _of_other_types(pipeline.execute(raise_on_error=False), [])


def _of_other_types(pages: Sequence[Any], nothing: object) -> list[Any]:
    """Return answers, with nothing for each key of another type."""
    for page in pages:
        if isinstance(page, RedisError) and "WRONGTYPE" not in str(page):
            raise page
    return [nothing if isinstance(page, RedisError) else page for page in pages]
