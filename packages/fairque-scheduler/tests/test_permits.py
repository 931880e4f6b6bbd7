"""A scheduler whose user may not do all that a scheduler does begins nothing."""

from collections.abc import Iterator

import pytest
import redis

from fairque.protocol.errors import ServerUnsuitable
from fairque.scheduler import TaskScheduler
from fairque.testing import PlainServer


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    with PlainServer() as server:
        yield server


@pytest.mark.parametrize("rule", ["-publish", "-hset", "-subscribe", "-zrem", "resetchannels"])
def test_it_is_refused_at_its_start_and_leads_nothing(server: PlainServer, rule: str) -> None:
    with redis.Redis.from_url(server.url) as root:
        root.execute_command("ACL", "SETUSER", "s", "reset", "on", ">pw", "~*", "&*", "+@all", rule)
        scheduler = TaskScheduler.from_url(server.url.replace("unix://", "unix://s:pw@"))
        with pytest.raises(ServerUnsuitable, match="a scheduler of queue"):
            scheduler.start()
        scheduler.stop()
        assert root.dbsize() == 0
