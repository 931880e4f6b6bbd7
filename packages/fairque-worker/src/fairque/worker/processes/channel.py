"""What a worker and its child say to each other: JSON objects over a pair of sockets, each after its length."""

import socket
import struct
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

from fairque.protocol.wire.jsonvalue import dumps, loads

__all__ = ["Channel"]

_LENGTH = struct.Struct("!I")


class Channel:
    """One end. Any thread may send, one receives.

    Args:
        end: The connected socket, which is this object's from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._lock = Lock()
        #: Offered, but not on its way yet; who holds the lock takes from it.
        self._offered: deque[bytes] = deque()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame; it waits while the other end does not read.

        Raises:
            OSError: The other end is gone.
        """
        data = _packed(frame)
        with self._lock:
            while self._offered:
                self._socket.sendall(self._offered.popleft())
            self._socket.sendall(data)
        self._deliver()

    def offer(self, frame: Mapping[str, Any]) -> None:
        """Send a frame without ever waiting: what does not get through now goes with the next frame.

        Raises:
            OSError: The other end is gone.
        """
        self._offered.append(_packed(frame))
        self._deliver()

    def receive(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Return the next frame, None when the other end is gone.

        Args:
            seconds: How long to wait for each part of it; None waits for ever.

        Raises:
            TimeoutError: It did not come in time.
        """
        self._socket.settimeout(seconds)
        try:
            head = self._read(_LENGTH.size)
            body = None if head is None else self._read(_LENGTH.unpack(head)[0])
        finally:
            with suppress(OSError):
                self._socket.settimeout(None)
        frame: dict[str, Any] | None = None if body is None else loads(body)
        return frame

    def end(self) -> None:
        """Have both ends receive None, whoever else holds a copy of this socket."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _deliver(self) -> None:
        # Looked at again after each release, since what was offered meanwhile found the lock taken.
        while self._offered and self._lock.acquire(blocking=False):
            try:
                if not self._offered:
                    continue
                data = self._offered.popleft()
                sent = 0
                with suppress(BlockingIOError):
                    sent = self._socket.send(data, socket.MSG_DONTWAIT)
                if sent < len(data):
                    self._offered.appendleft(data[sent:])
                    return
            finally:
                self._lock.release()

    def _read(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._socket.recv(min(size - len(parts), 1 << 20))
            except TimeoutError:
                raise
            except OSError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)


def _packed(frame: Mapping[str, Any]) -> bytes:
    data = dumps(frame)
    return _LENGTH.pack(len(data)) + data
