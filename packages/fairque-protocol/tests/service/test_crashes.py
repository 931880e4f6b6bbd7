"""Clean-up and messages after the crash of a service."""

from typing import Any

import pytest

from fairque.protocol.errors import FairqueError, SchemaMismatch
from fairque.protocol.service.crashes import close_all, crash_of


class Log:
    """What was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, _: str, **values: Any) -> None:
        self.said.append(values["error"])


def test_a_failure_to_close_is_reported_and_the_rest_is_closed() -> None:
    closed: list[int] = []

    def broken() -> None:
        raise OSError(9, "Bad file descriptor")

    log = Log()
    close_all(log, lambda: closed.append(1), broken, lambda: closed.append(2))
    assert closed == [1, 2]
    assert log.said == ["[Errno 9] Bad file descriptor"]


def test_a_crash_by_an_error_of_fairque_is_that_error() -> None:
    error = SchemaMismatch("default", "7", 1)
    assert crash_of("the worker", error) is error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "the worker crashed: MemoryError()"),
        (OSError(24, "Too many"), "the worker crashed: OSError(24, 'Too many')"),
    ],
    ids=["MemoryError", "OSError"],
)
def test_a_crash_by_another_error_names_it(error: BaseException, said: str) -> None:
    crash = crash_of("the worker", error)
    assert (type(crash), str(crash), crash.__cause__) == (FairqueError, said, error)


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), OSError(88, "Socket operation on non-socket")])
def test_a_crash_by_a_closed_descriptor_explains_the_cause(error: OSError) -> None:
    assert "os.closerange" in str(crash_of("the scheduler", error))


def test_a_crash_by_a_lowered_limit_of_files_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1, 1024))
    said = str(crash_of("the worker", OSError(22, "Invalid argument")))
    assert "The limit of open files (RLIMIT_NOFILE, ulimit -n) of this process is 1 now" in said
    assert 'isolation="process"' in said


def test_an_invalid_argument_does_not_mention_a_limit_that_is_high(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 1024))
    assert "limit" not in str(crash_of("the worker", OSError(22, "Invalid argument")))
