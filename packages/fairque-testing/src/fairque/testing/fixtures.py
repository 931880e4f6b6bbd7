"""The fixtures of the pytest plugin: a real server for the session, a queue for each test, and its worker."""

import uuid
from collections.abc import Iterator

import pytest

from fairque.testing.servers import server_for_tests
from fairque.testing.workers import WorkerFixture

__all__ = ["fairque_queue_name", "fairque_server_url", "fairque_worker"]


@pytest.fixture(scope="session")
def fairque_server_url() -> Iterator[str]:
    """URL of a real server, the same for the whole session.

    The first one that is available: FAIRQUE_REDIS_URL, the packaged Valkey, a redis-server or
    valkey-server on PATH. If there is none, the tests fail; they are never skipped.
    """
    with server_for_tests() as url:
        yield url


@pytest.fixture
def fairque_queue_name() -> str:
    """Name of a queue that no other test uses.

    Its keys are not deleted, because the servers started here are discarded. On a server given by FAIRQUE_REDIS_URL
    they remain; delete the keys with ``{test-`` in their names if it matters.
    """
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def fairque_worker(fairque_server_url: str, fairque_queue_name: str) -> WorkerFixture:
    """Runs the tasks of the test's queue in its process: ``fairque_worker.run("shop.tasks")``."""
    return WorkerFixture(fairque_server_url, fairque_queue_name)
