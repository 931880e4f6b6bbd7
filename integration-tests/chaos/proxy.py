"""A TCP proxy between one actor and the server, which can simulate every failure of a network.

It understands RESP, so it can also **drop the reply after the command ran**, which makes replays necessary.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, TypeVar

from attrs import define, field

from chaos.recorder import Command, Recorder
from chaos.resp import Push, Values

__all__ = ["Proxies", "Proxy", "Way"]

T = TypeVar("T")

CHUNK = 65_536
_NO_ANSWERS = {"SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "MONITOR"}


class Way(Enum):
    """What happens to the bytes."""

    #: They pass.
    OPEN = "open"
    #: Connections are reset, including new ones.
    CUT = "cut"
    #: Nothing passes in either direction, without an error; new connections are accepted.
    BLACKHOLE = "blackhole"
    #: The server's side of the connections is closed without notice to the actor; new connections work.
    HALF_OPEN = "half-open"


@define(eq=False)
class _Link:
    """One connection of the actor, and the corresponding one to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server_writer: asyncio.StreamWriter
    pending: deque[Command] = field(factory=deque)
    silent: bool = False
    subscribed: bool = False


class Proxy:
    """The proxy of one actor. The methods may be called from any thread.

    Attributes:
        recorder: Records the traffic.
        delay_s: Delay of commands and answers in seconds.
        failures: Errors of the proxy itself, which fail the run.
        port: The port for the actor, on the loopback.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder, target: Callable[[], int]) -> None:
        self._loop = loop
        self._target = target
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._way = Way.OPEN
        self._drops: dict[str, int] = {}
        self.recorder = recorder
        self.delay_s = 0.0
        self.failures: list[Exception] = []
        self.port = 0

    async def open(self, port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=4 * CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        self._reset()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def set_way(self, way: Way) -> None:
        """Change what happens to the bytes. At the end of a silence, the affected connections are reset."""

        def change() -> None:
            if way is Way.OPEN:
                self._reset(only_silent=self._way is not Way.CUT)
            elif way is Way.CUT:
                self._reset()
            else:
                for link in self._links:
                    link.silent = True
                    if way is Way.HALF_OPEN:
                        link.server_writer.close()
            self._way = way

        self._loop.call_soon_threadsafe(change)

    def drop_replies(self, script: str, times: int = 1) -> None:
        """Let the next calls of a script run, and reset the connection instead of answering."""
        self._drops[script] = times  # at once: `drops_left` is asked next

    def drops_left(self, script: str) -> int:
        """How many replies are still to be dropped."""
        return self._drops.get(script, 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._connect(reader, writer)
        except Exception as error:  # noqa: BLE001 - the run raises it: to the actor it is a lost connection like any other
            self.failures.append(error)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._way is Way.CUT:
                raise ConnectionResetError
            halves = await asyncio.open_connection("127.0.0.1", self._target(), limit=4 * CHUNK)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(reader, writer, *halves, silent=self._way is Way.BLACKHOLE)
        self._links.add(link)
        up = asyncio.ensure_future(self._upwards(link))
        down = asyncio.ensure_future(self._downwards(link))
        try:
            done, _ = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            for half in done:
                half.result()
            if link.silent and down.done():
                # The server's half is closed, and the actor must not notice.
                await up
            self.recorder.lost("actor" if up.done() else "server")
        finally:
            up.cancel()
            down.cancel()
            self._end(link)

    async def _upwards(self, link: _Link) -> None:
        commands = Values()
        while data := await self._read(link.reader):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if link.silent:
                continue
            if not link.subscribed:
                # Recorded before they are sent: the server cannot have executed them earlier.
                found = [self.recorder.command(words) for words in commands.feed(data)]
                link.subscribed = any(command.name in _NO_ANSWERS for command in found)
                link.pending.extend(found)
            with contextlib.suppress(OSError):
                link.server_writer.write(data)
                await link.server_writer.drain()

    async def _downwards(self, link: _Link) -> None:
        answers = Values()
        while data := await self._read(link.server_reader):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not link.subscribed and not self._note(link, answers, data):
                return
            if not link.silent:
                with contextlib.suppress(OSError):
                    link.writer.write(data)
                    await link.writer.drain()

    def _note(self, link: _Link, answers: Values, data: bytes) -> bool:
        """Record the answers in these bytes; return whether they may be forwarded."""
        found = [value for value in answers.feed(data) if not isinstance(value, Push)]
        commands = [link.pending.popleft() for _ in found]
        dropped = False
        for command, value in zip(commands, found, strict=True):
            for script in self.recorder.scripts_with_effect(command, value):
                if self._drops.get(script, 0) > 0:
                    self._drops[script] -= 1
                    dropped = True
        for command, value in zip(commands, found, strict=True):
            self.recorder.answer(command, value, delivered=not dropped and not link.silent)
        return not dropped

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(CHUNK)
        except OSError:
            return b""

    def _reset(self, *, only_silent: bool = False) -> None:
        for link in list(self._links):
            if link.silent or not only_silent:
                link.writer.transport.abort()
                link.server_writer.transport.abort()

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        if not link.subscribed:
            for command in link.pending:
                self.recorder.no_answer(command)
        link.writer.transport.abort()
        link.server_writer.close()


class Proxies:
    """All proxies of a run, in one thread with an event loop.

    Attributes:
        target: The port of the server, for new connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._all: list[Proxy] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxies", daemon=True)
        self._thread.start()

    def open(self, recorder: Recorder) -> Proxy:
        """Create a proxy for one actor."""
        proxy = Proxy(self._loop, recorder, lambda: self.target)
        self._run(proxy.open())
        self._all.append(proxy)
        return proxy

    def check(self) -> None:
        """Raise the error of a proxy, if there was one: its records are then unreliable."""
        for proxy in self._all:
            for failure in proxy.failures:
                raise failure

    def close(self) -> None:
        """Close all connections and end the thread."""
        for proxy in self._all:
            self._run(proxy.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
