"""Drops the connections that a forked child inherits, without sending anything to the server.

The parent uses the same sockets. A QUIT, an UNSUBSCRIBE or the close message of TLS that the child sends would end the
parent's connection, and so would removing a socket from the epoll that an event loop shares with its copy. So in the
child each descriptor is replaced by a socket whose other end is closed: nothing that the inherited objects do later in
the child, explicitly or when they are garbage-collected, has an effect. Then everything that had connections starts
over, with locks that no thread of the parent holds.
"""

import os
import socket
from collections.abc import MutableMapping
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from fairque.protocol.descriptors import fill_standard_numbers

__all__ = ["Heir", "drop_in_forks", "dropped_by_forks", "inherits"]


class Heir(Protocol):
    """An object whose copy in a forked child must start over."""

    def start_over(self) -> None:
        """Drop, in a forked child, what belongs to the parent: connections, threads and locks."""


class _Socket(Protocol):
    def fileno(self) -> int: ...


_heirs: WeakSet[Any] = WeakSet()
#: The sockets of this process, by the connection of redis-py that owns each, or by themselves.
_sockets: MutableMapping[Any, _Socket] = WeakKeyDictionary()
#: Connections of the parent, kept alive, since those of asyncio warn when they are garbage-collected unclosed.
_inherited: list[object] = []


def inherits(heir: Heir) -> None:
    """Call ``start_over`` in every child that is forked while the object exists."""
    _heirs.add(heir)


def drop_in_forks(end: socket.socket) -> None:
    """Make a forked child drop a socket like those of connections, as long as it is open here."""
    _sockets[end] = end


@cache
def dropped_by_forks(kind: Any) -> Any:
    """Return a subclass of a connection class of redis-py whose sockets a forked child drops."""

    class Connection(kind):  # type: ignore[misc]
        def _connect(self) -> Any:
            fill_standard_numbers()
            made = super()._connect()
            _sockets[self] = made
            return made

    class AsyncConnection(kind):  # type: ignore[misc]
        async def _connect(self) -> None:
            fill_standard_numbers()
            await super()._connect()
            _sockets[self] = self._writer.get_extra_info("socket")

    return AsyncConnection if iscoroutinefunction(kind._connect) else Connection  # noqa: SLF001 - they override it, too


def _in_child() -> None:
    _drop_sockets()
    for heir in list(_heirs):
        heir.start_over()


def _drop_sockets() -> None:
    numbers = [number for end in _sockets.values() if (number := end.fileno()) >= 0]
    if not numbers:
        return
    _inherited.extend(_sockets)
    _sockets.clear()
    nowhere, other_end = socket.socketpair()
    other_end.close()
    with nowhere:
        for number in numbers:
            os.dup2(nowhere.fileno(), number, inheritable=False)


os.register_at_fork(after_in_child=_in_child)
