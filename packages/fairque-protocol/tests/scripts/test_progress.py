"""progress: stored only for the holder of the lease, and kept as long as the record of the task."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.progress import Reported, parse_progress
from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.progress import Progress
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, eventually

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def tell(queue: "Bench", held: Granted, *told: Any, token: str = "") -> Status:
    report = Reported(held.task_id, token or held.token, Progress(*told, attempt=held.attempt))
    (status,) = queue.run(calls.progress(queue.keys, [report]))
    return status


def read(queue: "Bench", *task_ids: str) -> list[Progress | None]:
    return queue.run(calls.read_progress(queue.keys, task_ids))


@pytest.fixture
def heard(queue: "Bench") -> Iterator[list[bytes]]:
    """The notifications of the listener "me" of the queue."""
    lines: list[bytes] = []
    subscription = queue.runner.listen(queue.keys.done("me"), lines.append, lambda: None)
    yield lines
    subscription.close()


def test_the_latest_progress_is_kept_with_the_time_of_the_server(queue: "Bench") -> None:
    held = queue.started()
    assert tell(queue, held, 1, 10, "begins") is Status.OK
    queue.advance(500)
    assert tell(queue, held, 2.5, 10) is Status.OK
    assert read(queue, "t1") == [Progress(2.5, 10, "", attempt=1, updated_at=queue.now_ms)]


def test_many_reports_are_stored_and_read_in_one_call_each(queue: "Bench") -> None:
    queue.fill("ann", 3)
    held = queue.pop(3)
    reports = [Reported(h.task_id, h.token, Progress(number)) for number, h in enumerate(held)]
    assert queue.run(calls.progress(queue.keys, reports)) == [Status.OK] * 3
    found = read(queue, "t2", "nobody", "t1", "t3")
    assert [one and one.done for one in found] == [1, None, 0, 2]


def test_a_task_without_reports_has_no_progress(queue: "Bench") -> None:
    queue.started()
    assert read(queue, "t1") == [None]


def test_only_the_holder_of_the_lease_can_report(queue: "Bench") -> None:
    zombie = queue.started()
    queue.advance(30_000)
    queue.sweep()
    before = queue.snapshot()
    assert tell(queue, zombie, 5) is Status.LOST
    assert queue.snapshot() == before
    (held,) = queue.pop()
    assert tell(queue, zombie, 5) is Status.LOST
    assert tell(queue, held, 1) is Status.OK
    assert tell(queue, zombie, 6) is Status.LOST
    (found,) = read(queue, "t1")
    assert found is not None
    assert (found.done, found.attempt) == (1, 2)


def test_an_ended_task_accepts_no_progress(queue: "Bench") -> None:
    held = queue.started()
    tell(queue, held, 1)
    queue.finish(held)
    before = queue.snapshot()
    assert tell(queue, held, 2) is Status.LOST
    assert queue.snapshot() == before


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    before = queue.snapshot()
    assert queue.raw("progress", "nobody", "1:ab", "{}") == [Status.OK, Status.NOT_FOUND]
    assert queue.snapshot() == before


@pytest.mark.parametrize("ending", ["finish", "dead", "cancel"])
def test_the_last_progress_stays_as_long_as_the_record(queue: "Bench", ending: str) -> None:
    held = queue.started()
    tell(queue, held, 9, 10)
    if ending == "finish":
        queue.finish(held)
    else:
        queue.fail(held, verdict=ending)
    (found,) = read(queue, "t1")
    assert found is not None
    queue.advance(119_999 if ending == "dead" else 59_999)
    queue.sweep()
    assert read(queue, "t1") == [found]
    queue.advance(1)
    queue.sweep()
    assert read(queue, "t1") == [None]
    assert not queue.snapshot("t:", "p:", "r:", "m:", "kept", "dead")


def test_listeners_are_notified_at_once(queue: "Bench", heard: list[bytes]) -> None:
    held = queue.started()
    tell(queue, held, 1)
    queue.run(calls.watch(queue.keys, "t1", "me"))
    tell(queue, held, 2, None, "héllo\nworld")
    (line,) = eventually(lambda: heard, what="the notification of the progress")
    task_id, kind, stored = line.split(b"\n", 2)
    assert (task_id, kind) == (b"t1", b"PROGRESS")
    assert parse_progress(stored) == Progress(2, None, "héllo\nworld", attempt=1, updated_at=queue.now_ms)
    assert [name for name, _ in queue.snapshot("w:")["w:t1"]] == ["me"]


def test_a_message_with_any_characters_is_cut_to_fit(queue: "Bench") -> None:
    held = queue.started()
    for character in "x", "\x00", "\U0001f600", "\ud800":
        assert tell(queue, held, 1, 2, character * 100_000) is Status.OK
        (found,) = read(queue, "t1")
        assert found is not None
        assert found.message


@pytest.mark.parametrize(
    "arguments", [[], ["t1"], ["t1", "1:ab"], ["t1", "1:ab", "x" * 4_097], ["t1", "1:ab", "{}", "t"]]
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("progress", *arguments)[0] == Status.BAD_ARGS
    assert queue.raw("read_progress", *["t1"] * 1_001)[0] == Status.BAD_ARGS
    assert queue.raw("read_progress")[0] == Status.BAD_ARGS
    assert queue.snapshot() == before


@pytest.mark.parametrize("stored", [b"", b"1", b'1\n"x"', b"x\n{}", b'1\n{"done":-1}', b'1\n{"done":"1"}', b"1\n[]"])
def test_unreadable_progress_is_reported(stored: bytes) -> None:
    with pytest.raises(ProtocolError, match="a progress cannot be read"):
        parse_progress(stored)
