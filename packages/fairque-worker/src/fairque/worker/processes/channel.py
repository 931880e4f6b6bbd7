"""What a worker and its child say to each other: JSON objects over a pair of sockets, each after its length."""

import socket
import struct
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

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame.

        Raises:
            OSError: The other end is gone.
        """
        data = dumps(frame)
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def send_at_once(self, frame: Mapping[str, Any]) -> bool:
        """Send a short frame if that is possible without waiting, and return whether it was.

        If it was not, the other end may have got a part of it: there is nothing more to be said to it.
        """
        data = dumps(frame)
        whole = _LENGTH.pack(len(data)) + data
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._socket.send(whole, socket.MSG_DONTWAIT) == len(whole)
        except OSError:
            return False
        finally:
            self._lock.release()

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
