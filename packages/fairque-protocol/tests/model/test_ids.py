"""Identifiers: version, order and randomness of generated ids, and the rules for ids chosen by callers."""

import collections
import functools
import re
import string
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.ids import check_id, new_nonce, new_task_id

#: In the year 8888.
LATEST_MS = 62**8 - 1


@given(now_ms=st.integers(0, LATEST_MS))
def test_an_id_has_22_digits_and_letters_that_begin_with_its_time(now_ms: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now_ms", lambda: now_ms)
        made = new_task_id()
    assert re.fullmatch("[0-9A-Za-z]{22}", made)
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    assert functools.reduce(lambda total, digit: 62 * total + digits.index(digit), made[:8], 0) == now_ms


@given(st.lists(st.integers(0, LATEST_MS), min_size=2, unique=True))
def test_ids_sort_by_creation_time(times: list[int]) -> None:
    ids = []
    with pytest.MonkeyPatch.context() as patch:
        for now_ms in times:
            patch.setattr(clock, "now_ms", lambda now_ms=now_ms: now_ms)
            ids.append(new_task_id())
    assert [i for _, i in sorted(zip(times, ids, strict=True))] == sorted(ids)


def test_ids_created_at_the_same_time_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: 1)
    assert len({new_task_id() for _ in range(2_000)}) == 2_000


def test_a_forked_child_makes_other_ids() -> None:
    program = """
import os
from fairque.protocol.model.ids import new_task_id
new_task_id()
reading, writing = os.pipe()
if not os.fork():
    os.write(writing, " ".join(new_task_id()[8:] for _ in range(100)).encode())
    os._exit(0)
os.close(writing)
theirs = os.fdopen(reading).read().split()
print(len(theirs), len({*theirs} & {new_task_id()[8:] for _ in range(100)}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert done.stdout.split() == ["100", "0"]


def test_threads_make_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: 1)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [new_task_id() for _ in range(500)], range(8)))
    assert len({one for several in made for one in several}) == 4_000


def test_all_digits_and_letters_are_equally_frequent_in_the_random_part() -> None:
    counts = collections.Counter("".join(new_task_id()[8:] for _ in range(10_000)))
    assert len(counts) == 62
    expected = 140_000 / 62
    # Chi-squared with 61 degrees of freedom is above 200 in fewer than one of 10 ** 15 runs; a digit that a byte
    # modulo 62 would favor by a fifth adds 900.
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 200


def test_a_nonce_has_16_digits_and_is_unique() -> None:
    made = {new_nonce() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(nonce) == 16 and int(nonce, 16) >= 0 for nonce in made)


@pytest.mark.parametrize("value", ["a", "auth0|x", "a+b@x", "ü" * 64, "{a}:b*", " ", "x" * 128, "日本"])
def test_any_printable_text_is_an_id(value: str) -> None:
    assert check_id(value, "user_id") is value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "user_id is empty"),
        (None, "user_id must be a string, not NoneType"),
        (7, "user_id must be a string, not int: 7"),
        (b"x", "user_id must be a string, not bytes"),
        ("a\nb", "has control characters"),
        ("\x00", "has control characters"),
        ("\x7f", "has control characters"),
        ("\x85", "has control characters"),
        ("x" * 129, "has 129 bytes of UTF-8: at most 128"),
        ("ü" * 65, "has 130 bytes of UTF-8: at most 128"),
        ("\ud800", "not valid Unicode text"),
    ],
)
def test_other_values_are_refused_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        check_id(value, "user_id")


def test_the_error_shows_only_the_start_of_a_long_id() -> None:
    with pytest.raises(InvalidTask) as caught:
        check_id("x" * 100_000, "user_id")
    assert len(str(caught.value)) < 200
