"""The address of a server that a worker cannot use: the error is one line with the reason."""

import logging
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from fairque.protocol.errors import ConfigurationError
from fairque.worker import Worker
from fairque.worker.cli import main


def another_database(url: str) -> str:
    """The address of a database that the server does not have."""
    return f"{url}?db=4711"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The command sets up the logger of the process."""
    logger = logging.getLogger("fairque")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.usefixtures("logging_as_before")
def test_a_database_that_the_server_does_not_have_is_a_wrong_configuration(fairque_server_url: str) -> None:
    result = CliRunner().invoke(main, ["json", "--url", another_database(fairque_server_url)])
    assert result.exit_code == 78
    assert "no database number 4711" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_worker_of_such_a_database_does_not_start(fairque_server_url: str) -> None:
    worker = Worker.from_url(another_database(fairque_server_url))
    with pytest.raises(ConfigurationError, match="no database number 4711"):
        worker.start()


def test_an_unknown_parameter_of_the_address_is_named_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="there is no parameter 'foo'"):
        Worker.from_url("redis://localhost:1/0?foo=1")
