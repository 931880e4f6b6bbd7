"""SAQ: a hundred coroutines at a time, no results."""

import asyncio
from typing import Any

import noop as noops
from noop import TASKS, TEXT, URL
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue


async def noop(_: Any, *, text: str) -> None:
    """Do nothing."""
    noops.noop(text)


queue = RedisQueue(Redis.from_url(URL))
settings = {"queue": queue, "functions": [noop], "concurrency": 100}


async def _push() -> None:
    await queue.connect()
    for _ in range(TASKS):
        await queue.enqueue("noop", text=TEXT, ttl=-1)


def push() -> None:
    """Push the tasks one by one."""
    asyncio.run(_push())
