"""How much the tests of the packages do: with pytest's option ``--thorough`` all that they can, as in CI."""

import os
from typing import Any

import pytest

__all__ = ["ask_for_all", "examples", "is_thorough", "only_thorough"]

_VARIABLE = "FAIRQUE_TEST_THOROUGH"


def ask_for_all() -> None:
    """Let `examples` return the larger number in this process from now on, and in those that it starts."""
    os.environ[_VARIABLE] = "1"


def is_thorough() -> bool:
    """Return whether ``--thorough`` was given."""
    return bool(os.environ.get(_VARIABLE))


def examples(few: int, many: int) -> int:
    """Return how many random examples a property is tried with: ``many`` with ``--thorough``, otherwise ``few``."""
    return many if is_thorough() else few


def only_thorough(*values: Any) -> list[Any]:
    """Return values of a parameter that are only tried with ``--thorough``; a tuple stands for several parameters."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.thorough) for value in values
    ]
