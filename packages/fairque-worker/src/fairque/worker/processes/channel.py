"""Frames between a worker and its child: JSON objects over a pair of sockets, each preceded by its length."""

import json
import socket
import struct
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

from fairque.protocol.forks import drop_in_forks
from fairque.protocol.jsonvalue import loads

__all__ = ["Channel", "packed"]

_LENGTH = struct.Struct("!I")

#: Most bytes of one frame. The largest ones contain a part of the inputs of a task: 4 MiB and one output, which escapes
#: can double.
_MOST_BYTES = 16 * 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Channel:
    """One end. Any thread may send, one receives.

    Args:
        end: The connected socket, which this object owns from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        # A copy of this process that a task forks must not use it.
        drop_in_forks(end)
        self._lock = Lock()
        #: Offered, but not sent yet; the thread that holds the lock takes from it.
        self._offered: deque[bytes] = deque()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame; it blocks while the other end does not read.

        Raises:
            ValueError: It cannot be sent; see `packed`.
            OSError: The other end is gone.
        """
        self.send_packed(packed(frame))

    def send_packed(self, data: bytes) -> None:
        """Send a frame that is packed already.

        Raises:
            OSError: The other end is gone.
        """
        with self._lock:
            self._send_offered()
            self._socket.sendall(data)
        # What was offered meanwhile finds the socket full, unless the other end has read; this thread may wait for it.
        while self._offered:
            with self._lock:
                self._send_offered()

    def offer(self, frame: Mapping[str, Any]) -> None:
        """Send a frame without blocking: what cannot be sent now goes with the next frame.

        Raises:
            OSError: The other end is gone.
        """
        self._offered.append(packed(frame))
        self._deliver()

    def receive(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Return the next frame; None if the other end is gone.

        Args:
            seconds: How long to wait for each part of it; None waits forever.

        Raises:
            TimeoutError: It did not come in time.
            ValueError: What came is not a frame.
        """
        self._socket.settimeout(seconds)
        try:
            head = self._read(_LENGTH.size)
            body = None if head is None else self._read(_length(head))
        finally:
            with suppress(OSError):
                self._socket.settimeout(None)
        return None if body is None else _frame(body)

    def end(self) -> None:
        """Make both ends receive None, even if other processes hold a copy of this socket."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_offered(self) -> None:
        while self._offered:
            self._socket.sendall(self._offered.popleft())

    def _deliver(self) -> None:
        # Checked again after each release, since a frame that was offered in between found the lock taken.
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


def packed(frame: Mapping[str, Any]) -> bytes:
    """Return a frame as it is sent. Its texts may contain bytes that are not UTF-8, by ``surrogateescape``.

    Raises:
        ValueError: It has a lone surrogate that stands for no byte, or is too large.
    """
    data = _encode(frame).encode(errors="surrogateescape")
    return _LENGTH.pack(_checked(len(data))) + data


def _length(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    return _checked(size)


def _checked(size: int) -> int:
    if size > _MOST_BYTES:
        raise ValueError(f"a frame has {size:,} bytes, allowed are {_MOST_BYTES:,}")
    return size


def _frame(body: bytes) -> dict[str, Any]:
    frame = loads(body.decode(errors="surrogateescape"))
    if not isinstance(frame, dict):
        raise ValueError(f"a frame is not an object: {frame!r:.80}")  # noqa: TRY004 - as for any invalid frame
    return frame
