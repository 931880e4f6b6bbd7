"""Calls, waits and listeners of an event loop end when they are canceled, even if redis-py drops the cancelation."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.asyncio.connection import AbstractConnection

from fairque.protocol.runners import reading
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import PATIENCE, calls

if TYPE_CHECKING:
    from tests.runners.conftest import OwnServer

LOOK = calls.read_stats(QueueKeys("cancelation"))


class Dropping:
    """Lets the reading of answers drop a cancelation, as `asyncio.wait_for` does if the answer comes with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = asyncio.Event()
        self.fails = False
        self._armed = False
        # With hiredis and in subscriptions redis-py reads, else the runners do.
        for place, name in ((AbstractConnection, "read_response"), (reading, "_received_async")):
            monkeypatch.setattr(place, name, self._dropping(getattr(place, name)))

    def arm(self) -> None:
        self._armed = True

    def _dropping(self, read: Any) -> Any:
        async def dropping(*args: Any, **options: Any) -> Any:
            if self._armed:
                self._armed = False
                self.reads.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if self.fails:
                        raise redis.ConnectionError from None
            return await read(*args, **options)

        return dropping


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> Dropping:
    return Dropping(monkeypatch)


@pytest.mark.parametrize("fails", [False, True], ids=["an answer", "an error"])
@pytest.mark.parametrize("way", ["run", "run_all", "try_once"])
async def test_a_call_that_is_canceled_together_with_its_answer_is_canceled(
    own_server: "OwnServer", dropping: Dropping, way: str, fails: Any
) -> None:
    runner = AsyncRunner(own_server.settings)
    await runner.run(LOOK)
    dropping.fails = fails
    dropping.arm()
    argument: Any = [LOOK] if way == "run_all" else LOOK
    task = asyncio.create_task(getattr(runner, way)(argument))
    await dropping.reads.wait()
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.cancelled()
    assert await runner.run(LOOK)
    await runner.close()


async def test_a_call_runs_while_its_task_was_canceled_before(own_server: "OwnServer") -> None:
    """As in a `finally` of what was canceled."""
    runner = AsyncRunner(own_server.settings)
    found = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            found.append(await runner.run(LOOK))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.cancelled()
    assert len(found) == 1
    await runner.close()


async def test_a_subscription_that_receives_a_message_while_it_is_closed_ends(
    own_server: "OwnServer", dropping: Dropping
) -> None:
    runner = AsyncRunner(own_server.settings)
    subscription = await runner.listen("channel", lambda _: None, lambda: None)
    dropping.arm()
    own_server.client.publish("channel", "x")
    await dropping.reads.wait()
    await asyncio.wait_for(subscription.close(), PATIENCE)
    await runner.close()
