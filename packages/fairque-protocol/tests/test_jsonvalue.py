"""JSON values: which ones survive unchanged, and which are refused with their path."""

import json
from collections import OrderedDict, defaultdict, deque
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask
from fairque.protocol.jsonvalue import (
    MAX_DEPTH,
    canonical,
    check_json,
    dumps,
    encoded,
    fits_json,
    is_plain,
    loads,
    quoted,
)

texts = st.text(st.characters(codec="utf-8"))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


class Color(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@given(values)
def test_every_json_value_survives_a_round_trip(value: Any) -> None:
    check_json(value, "args")
    assert loads(dumps(value)) == value


@given(values)
def test_the_text_is_plain_json(value: Any) -> None:
    assert json.loads(dumps(value).decode()) == value


def test_the_text_is_compact_utf_8() -> None:
    assert dumps({"ä": [1, 2]}) == '{"ä":[1,2]}'.encode()


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ((1, (2,)), [1, [2]]),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[]), {"a": []}),
        (Color.RED, "red"),
        (Size.BIG, 3),
        ({Color.RED: 1}, {"red": 1}),
        (10**400, 10**400),
        (-0.0, 0.0),
    ],
)
def test_values_similar_to_json_are_converted(value: Any, arrives: Any) -> None:
    check_json(value, "args")
    assert loads(dumps(value)) == arrives


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "x is nan: JSON has no such number"),
        ([1, float("inf")], "x[1] is inf: JSON has no such number"),
        ({1: "a"}, "x has the key 1 of type int: JSON keys are strings"),
        ({None: "a"}, "x has the key None of type NoneType"),
        ({"a": {True: 1}}, "x['a'] has the key True of type bool"),
        ({1, 2}, "x is not a JSON value but builtins.set"),
        ([b"raw"], "x[0] is not a JSON value but builtins.bytes"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "x['when'] is not a JSON value but datetime.datetime"),
        ([[], [{"deep": Decimal(1)}]], "x[1][0]['deep'] is not a JSON value but decimal.Decimal"),
        (deque([1]), "x is not a JSON value but collections.deque"),
        (MappingProxyType({}), "x is not a JSON value but builtins.mappingproxy"),
        (object, "x is not a JSON value but builtins.type"),
        ((n for n in [1]), "x is not a JSON value but builtins.generator"),
        ("\ud800", "x is not valid Unicode text (a lone surrogate)"),
        (["ok", "\udfff"], "x[1] is not valid Unicode text (a lone surrogate)"),
        ({"a": [10**5_000]}, "x['a'][0] is a number with more than 4,300 digits, which Python does not write"),
        pytest.param(-(10**5_000), "x is a number with more than 4,300 digits", id="a long number"),
        ({"\ud800": 1}, "x has a key that is not valid Unicode text (a lone surrogate)"),
    ],
)
def test_everything_else_is_refused_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        check_json(value, "x")
    assert str(caught.value).startswith(message)


def test_thirty_two_levels_are_accepted_and_no_more() -> None:
    check_json(nested(MAX_DEPTH), "x")
    with pytest.raises(InvalidTask, match="is nested deeper than 32 levels"):
        check_json(nested(MAX_DEPTH + 1), "x")


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidTask, match="nested deeper"):
        check_json(endless, "x")


def test_a_long_key_does_not_fill_the_error() -> None:
    with pytest.raises(InvalidTask) as caught:
        check_json({"k" * 100_000: {1}}, "x")
    assert len(str(caught.value)) < 300


class TestValuesThatFit:
    @given(values)
    def test_all_of_json_fits_and_has_the_same_text(self, value: Any) -> None:
        assert fits_json(value)
        assert encoded(value).encode() == dumps(value)

    @pytest.mark.parametrize(
        "value",
        [
            *(
                b"x",
                {1, 2},
                object,
                {1: 2},
                {None: 1},
                {"a": [{"b": b""}]},
                Decimal(1),
                datetime(2026, 1, 1, tzinfo=UTC),
            ),
            *(Color.RED, Size.BIG, OrderedDict(), MappingProxyType({}), nested(MAX_DEPTH + 1)),
        ],
        ids=repr,
    )
    def test_everything_else_does_not_and_is_looked_at_closely(self, value: Any) -> None:
        assert not fits_json(value)
        assert not fits_json([1, value])

    @pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
    def test_as_many_levels_fit_as_are_accepted(self, depth: int) -> None:
        accepted = depth <= MAX_DEPTH
        assert fits_json(nested(depth)) == accepted
        if accepted:
            check_json(nested(depth), "args")

    @pytest.mark.parametrize(
        "value", [float("nan"), float("-inf"), "\ud800", 10**5_000], ids=["nan", "inf", "lone", "long"]
    )
    def test_what_types_do_not_tell_is_an_error_of_the_encoder(self, value: Any) -> None:
        with pytest.raises(ValueError):
            encoded([value]).encode()

    @given(st.lists(leaves))
    def test_plain_values_have_their_canonical_form(self, items: list[Any]) -> None:
        assert not is_plain(items) or canonical(items) is items
        assert is_plain(items) == (not any(isinstance(item, float) for item in items))

    @given(texts)
    def test_a_text_is_quoted_as_it_is_encoded(self, text: str) -> None:
        assert quoted(text).encode() == dumps(text)
