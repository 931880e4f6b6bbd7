"""A channel that a thread listens to."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError
from fairque.protocol.forks import inherits
from fairque.protocol.runners.failures import Attempts, NoAnswer, Silence
from fairque.protocol.runners.probe_address import probe_if_unclear

__all__ = ["Subscription"]


class Subscription:
    """A channel that a thread listens to until it is closed; it reconnects by itself after a lost connection.

    A forked child does not listen: it makes its own subscriptions.
    """

    def __init__(
        self,
        get_client: Callable[[], redis.Redis],
        settings: RedisSection,
        channel: str,
        on_message: Callable[[bytes], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._get_client = get_client
        self._settings = settings
        self._channel = channel
        self._on_message = on_message
        self._on_ready = on_ready
        self._closed = threading.Event()
        self._pubsub = self._subscribed()
        self._inherited = False
        inherits(self)
        #: Whether it no longer listens, since something like SystemExit has ended its thread.
        self.ended = False
        self._thread = threading.Thread(target=self._serve, name="fairque-listener", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._pubsub.close()
            raise FairqueError(
                f"nothing can be waited for: {error}. Raise the limit of threads or of memory, or wait before the "
                "program ends"
            ) from error

    def start_over(self) -> None:
        """Note that this is the copy in a forked child, which does not listen: the connection belongs to the parent."""
        self._inherited = True

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._inherited:
            return
        self._closed.set()
        if self._thread is not threading.current_thread():
            with contextlib.suppress(RedisError, OSError):
                self._pubsub.unsubscribe()
            self._thread.join(timeout=5)
        self._pubsub.close()

    def _subscribed(self) -> Any:
        attempts = Attempts(self._settings)
        while True:
            pubsub = None
            try:
                pubsub = self._get_client().pubsub()
                pubsub.subscribe(self._channel)
                if pubsub.get_message(timeout=self._settings.socket_timeout) is None:
                    raise NoAnswer
            except RedisError as error:
                if pubsub is not None:
                    pubsub.close()
                found = probe_if_unclear(error, self._settings) if attempts.is_last(error) else ""
                time.sleep(attempts.pause_seconds(error, found))
            else:
                return pubsub

    def _serve(self) -> None:
        try:
            self._listen()
        finally:
            self.ended = True
            # Those that still wait then subscribe again.
            self._on_ready()

    def _listen(self) -> None:
        silence = Silence(self._settings.socket_timeout)
        while not self._closed.is_set():
            try:
                message = self._pubsub.get_message(timeout=silence.seconds)
                if silence.asks_after(message):
                    self._pubsub.ping()
                if message is not None and message["type"] == "message":
                    self._hear(message["data"])
            except Exception:  # noqa: BLE001 - if the listener died, waits would never end
                self._reconnect()
                silence = Silence(self._settings.socket_timeout)

    def _hear(self, data: bytes) -> None:
        try:
            self._on_message(data)
        except Exception:  # noqa: BLE001 - an unreadable message must not end the listener: each wait checks again
            self._on_ready()

    def _reconnect(self) -> None:
        while not self._closed.is_set():
            try:
                self._pubsub.close()
                self._pubsub = self._subscribed()
                self._on_ready()
            except Exception:  # noqa: BLE001 - whatever it is, the listener must survive it and retry
                self._closed.wait(0.5)
            else:
                return
