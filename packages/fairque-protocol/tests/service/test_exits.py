"""Exit codes: one for each kind of error, the same from all commands."""

import pytest

from fairque.protocol.errors import (
    CannotImport,
    ConfigurationError,
    FairqueError,
    InvalidArgument,
    InvalidSchedule,
    InvalidTask,
    RedisUnavailable,
    SchemaMismatch,
    ServerUnsuitable,
    TaskNotFound,
    TooManyAbandoned,
)
from fairque.protocol.service.exits import exit_code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FairqueError, 1),
        (InvalidArgument, 2),
        (InvalidTask, 2),
        (RedisUnavailable, 3),
        (ServerUnsuitable, 3),
        (SchemaMismatch, 4),
        (TaskNotFound, 5),
        (CannotImport, 6),
        (TooManyAbandoned, 7),
        (ConfigurationError, 78),
        (InvalidSchedule, 78),
    ],
)
def test_an_error_ends_a_command_with_the_code_of_its_kind(kind: type[FairqueError], code: int) -> None:
    # Made without its arguments: only the kind counts.
    assert exit_code(kind.__new__(kind)) == code


def test_a_kind_of_an_error_has_its_code() -> None:
    class Special(RedisUnavailable):
        pass

    assert exit_code(Special.__new__(Special)) == 3
