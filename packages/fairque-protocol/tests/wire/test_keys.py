"""Keys: all keys of a queue are in one slot of a cluster, whatever ids they contain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.wire.keys import QueueKeys, check_queue_name

names = st.from_regex(r"[A-Za-z0-9_.@-]{1,64}", fullmatch=True)
ids = st.text(st.characters(codec="utf-8"), min_size=1) | st.sampled_from(["{a}", "}{", "x:{y}:z", "{", "}", "{}"])
kinds = st.sampled_from(["t:", "x:", "r:", "w:", "n:", "z:", "c:", "s:", "dedup:", "claim:"])


def crc16(data: bytes) -> int:
    """CRC16 with polynomial 0x1021, as the cluster specification has it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


def slot(key: str) -> int:
    """The slot of a key: of the text in the first non-empty braces, or else of the whole key."""
    data = key.encode()
    begin = data.find(b"{")
    end = data.find(b"}", begin + 1)
    tag = data[begin + 1 : end] if 0 <= begin < end - 1 else data
    return crc16(tag) % 16_384


def test_the_slot_matches_the_cluster_specification() -> None:
    assert crc16(b"123456789") == 0x31C3
    assert slot("foo") == 12_182
    assert slot("{user1000}.following") == slot("{user1000}.followers") == slot("user1000")
    assert slot("foo{}{bar}") == crc16(b"foo{}{bar}") % 16_384
    assert slot("foo{{bar}}zap") == crc16(b"{bar") % 16_384


def test_the_keys_have_these_names() -> None:
    keys = QueueKeys("mail")
    assert keys.prefix == "fairque:{mail}:"
    assert keys.meta == "fairque:{mail}:meta"
    assert keys.wake == "fairque:{mail}:wake"
    assert keys.done("h1.7") == "fairque:{mail}:done:h1.7"


@given(names)
def test_all_keys_of_a_queue_are_in_the_slot_of_its_name(name: str) -> None:
    keys = QueueKeys(name)
    assert {slot(key) for key in (keys.meta, keys.wake, keys.done("x"), keys.prefix)} == {slot(name)}


@given(names, kinds, ids)
def test_no_id_moves_a_key_to_another_slot(name: str, kind: str, value: str) -> None:
    assert slot(f"{QueueKeys(name).prefix}{kind}{value}") == slot(name)


@given(names)
def test_the_scripts_find_the_prefix_in_the_meta_key(name: str) -> None:
    keys = QueueKeys(name)
    assert keys.meta[:-4] == keys.prefix


@pytest.mark.parametrize("name", ["a", "default", "team.mail-2_x@eu", "x" * 64, "7"])
def test_a_queue_name_has_plain_characters(name: str) -> None:
    assert check_queue_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a:1", "{a}", "ä", "a\n", "a/b", None, 5, b"a"])
def test_other_queue_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidArgument, match="1 to 64 of the characters"):
        QueueKeys(name)
