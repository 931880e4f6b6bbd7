"""The fixtures of the pytest plugin: a real server for the session, and a queue for each test."""

import uuid
from collections.abc import Iterator

import pytest

from fairque.testing.servers import server_for_tests

__all__ = ["fairque_queue_name", "fairque_server_url"]


@pytest.fixture(scope="session")
def fairque_server_url() -> Iterator[str]:
    """URL of a real server, the same for the whole session.

    The first of these that there is: the one of FAIRQUE__REDIS__URL, the packaged Valkey, a redis-server or
    valkey-server on PATH. Without any the tests fail; they are never skipped.
    """
    with server_for_tests() as url:
        yield url


@pytest.fixture
def fairque_queue_name() -> str:
    """Name of a queue that nobody else uses.

    Its keys stay: the servers started here are thrown away. On a server given by FAIRQUE__REDIS__URL they are
    left over; delete the keys with ``{test-`` in their names when it matters.
    """
    return f"test-{uuid.uuid4().hex}"
