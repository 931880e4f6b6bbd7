"""Messages of every wire version, as files: they are read forever, and version 1 is still written like this.

A file that is in a release is never changed. A new version adds files.
"""

from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task, from_fields, with_fields
from fairque.protocol.wire.codec import WIRE_VERSION, decode_task, encode_task

GOLDEN = Path(__file__).parent.parent / "golden"

TASKS: dict[str, Task[Any]] = {
    "v1-minimal": from_fields(
        task_id="0190163d-8694-739b-aea5-966c26f8ad91",
        user_id="acme",
        priority=Priority.NORMAL,
        created_at=1_718_000_000_000,
    ),
    "v1-call": from_fields(
        task_id="0190163d-8694-7000-8000-000000000001",
        user_id="auth0|x",
        priority=Priority.NORMAL,
        func="images.tasks:resize",
        args=("https://example.com/ä.png", 3, 1.5, True, None, [1, [2]], {"k": {"é": "日本"}}),
        kwargs={"height": 200, "tags": ["a", "b"]},
        created_at=1_718_000_000_000,
    ),
    "v1-everything": from_fields(
        task_id="own-id:7 {x}",
        user_id="a+b@example.com",
        func="report",
        payload={"raw": "payload"},
        priority=Priority.CRITICAL,
        retries=0,
        backoff=Backoff(base=0.5, factor=3.0, longest=60.0),
        timeout_ms=1_500,
        depends_on=("p1", "p2"),
        execute_at=1_718_000_360_000,
        dedup_key="report/2024",
        dedup_ttl_ms=86_400_000,
        cost=2.5,
        group_id="acme",
        created_at=1_718_000_000_000,
    ),
    "v1-inputs": from_fields(
        task_id="load",
        func="load",
        priority=Priority.NORMAL,
        args=(Output("extract"), [1, Output("extract", "rows", ("a", 0))]),
        kwargs={"to": {"table": Output("plan", path=("table",))}},
        depends_on=(After("extract"), After("plan", on_failure="run")),
        created_at=1_718_000_000_000,
    ),
    "v1-isolated": from_fields(
        task_id="i", user_id="u", priority=Priority.NORMAL, func="render", isolation="process", created_at=1
    ),
    "v1-delayed": from_fields(
        task_id="d", user_id="u", priority=Priority.VERY_LOW, payload=False, delay_ms=250, created_at=1
    ),
}
#: Digests are kept in the records of the server, so that a repeated push is recognised after an upgrade.
DIGESTS = {
    "v1-minimal": "3a04d68d4696f035",
    "v1-call": "fdc72ec0fbc1a5be",
    "v1-everything": "cb1d540792a0a9fd",
    "v1-inputs": "58816ff9a6f16f2d",
    "v1-delayed": "125f4494e704181e",
    "v1-isolated": "0a3545d78ce36706",
}


def stored(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")


def test_every_file_has_its_task() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} - {"v1-later"} == TASKS.keys() == DIGESTS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_a_stored_message_is_decoded_correctly(name: str) -> None:
    assert decode_task(stored(name)) == TASKS[name]


def test_a_message_with_fields_of_a_later_release_is_read() -> None:
    assert decode_task(stored("v1-later")) == with_fields(TASKS["v1-minimal"], backoff=Backoff(factor=3.0))


@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith(f"v{WIRE_VERSION}-")])
def test_the_current_version_is_encoded_like_its_files(name: str) -> None:
    message = encode_task(TASKS[name])
    assert message.data == stored(name)
    assert message.digest == DIGESTS[name]
