"""The progress of a task as a value."""

from typing import Any

import pytest

from fairque.protocol.model.progress import Progress


@pytest.mark.parametrize(
    ("done", "total", "fraction"), [(0, 10, 0.0), (5, 10, 0.5), (12, 10, 1.0), (3, None, None), (0, 0, 1.0)]
)
def test_the_fraction_is_from_0_to_1_if_there_is_a_total(done: int, total: int | None, fraction: float | None) -> None:
    assert Progress(done, total).fraction == fraction


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf"), 10**400])
def test_an_invalid_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="done of a progress must be a number from 0, "):
        Progress(number)
    with pytest.raises(ValueError, match="total of a progress must be"):
        Progress(1, number)


@pytest.mark.parametrize("told", [("1",), (None,), (1, "2"), (1, 2, 3), (1, 2, None)])
def test_another_type_is_refused(told: Any) -> None:
    with pytest.raises(TypeError, match="of a progress must be"):
        Progress(*told)
