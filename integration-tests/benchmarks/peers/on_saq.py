"""SAQ: coroutines on uvloop, no results unless they are needed."""

import asyncio
from typing import Any

import uvloop
from bodies import ASYNC, RESULTS, SLOTS, TEXT, URL
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


async def async_noop(_: Any, *, text: str) -> None:
    """Do nothing."""
    await ASYNC["async_noop"](text)


async def async_nap(_: Any, *, text: str) -> None:
    """Sleep for 10 ms."""
    await ASYNC["async_nap"](text)


queue = RedisQueue(Redis.from_url(URL))
settings = {"queue": queue, "functions": [async_noop, async_nap], "concurrency": SLOTS}


async def connect() -> None:
    """Connect."""
    await queue.connect()


async def close() -> None:
    """Close the connections."""
    await queue.disconnect()


async def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        await queue.enqueue(name, text=TEXT, ttl=60 if RESULTS else -1)


async def call(name: str) -> None:
    """Push a task and wait for its result."""
    await queue.apply(name, text=TEXT, ttl=60, poll_interval=0.000_5)
