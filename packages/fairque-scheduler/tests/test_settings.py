"""The section ``scheduler``: its defaults, and what is refused."""

from typing import Any

import pytest

from fairque.scheduler import SchedulerSection, SchedulerSettings


def test_defaults() -> None:
    options = SchedulerSettings().scheduler
    assert (options.lease, options.modules, options.http_port, options.stop_timeout) == (10, (), None, 10)


def test_no_two_have_the_same_name() -> None:
    assert SchedulerSection().name != SchedulerSection().name


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"lease": 0.05}, "lease: must be between 0.1 and 3,600, found 0.05"),
        ({"lease": float("nan")}, "lease: must be between"),
        ({"name": ""}, "name: must be 1 to 100 characters"),
        ({"name": "a\nb"}, "name: must be 1 to 100 characters"),
        ({"modules": "shop"}, "modules: must be a list of names of modules, found 'shop'"),
        ({"modules": [""]}, "modules: must be a list"),
        ({"http_port": 70_000}, "http_port: must be between 0 and 65,535, found 70000"),
        ({"http_host": ""}, "http_host: must be the address"),
        ({"stop_timeout": -1}, "stop_timeout: must be between"),
    ],
)
def test_a_value_out_of_its_range_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SchedulerSection(**fields)
