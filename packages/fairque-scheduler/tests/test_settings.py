"""The section ``scheduler``: its defaults, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.errors import ConfigurationError
from fairque.scheduler import SchedulerSection, SchedulerSettings, TaskScheduler


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


def test_a_file_makes_a_scheduler_and_options_win_over_it(tmp_path: Path) -> None:
    (tmp_path / "fairque.yaml").write_text("queue: {name: mails}\nscheduler: {lease: 2, name: one}\n")
    made = TaskScheduler.from_config(tmp_path / "fairque.yaml", lease=3)
    other = TaskScheduler.from_config(tmp_path / "fairque.yaml", queue="other")
    assert (made.settings.queue.name, made.settings.scheduler.name, made.settings.scheduler.lease) == (
        "mails",
        "one",
        3,
    )
    assert (other.settings.queue.name, other.settings.scheduler.lease) == ("other", 2)
    with pytest.raises(TypeError, match="there is no option 'leases'"):
        TaskScheduler.from_config(tmp_path / "fairque.yaml", leases=3)  # type: ignore[call-arg]  # that it is refused
    with pytest.raises(ConfigurationError, match="lease"):
        TaskScheduler.from_config(tmp_path / "fairque.yaml", lease=-1)
