"""The settings of a worker: what is refused, and with which error."""

import re
from pathlib import Path
from typing import Any

import pytest
from attrs import fields

from fairque.protocol.config import load_settings
from fairque.protocol.errors import ConfigurationError
from fairque.worker import Worker, WorkerSection, WorkerSettings
from fairque.worker.settings import WorkerOptions


def test_the_defaults_are_those_of_the_documentation() -> None:
    options = WorkerSection()
    assert (options.concurrency, options.lease, options.heartbeat, options.stop_timeout) == (
        16,
        30.0,
        10.0,
        25.0,
    )
    assert options.modules == ()
    assert (options.isolation, options.cancel_timeout, options.max_abandoned) == ("thread", 5.0, 16)


def test_two_workers_never_have_the_same_name() -> None:
    assert WorkerSection().name != WorkerSection().name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "two\nlines"),
        ("concurrency", 0),
        ("concurrency", 10_001),
        ("lease", 0),
        ("heartbeat", 0),
        ("heartbeat", 15.5),
        ("stop_timeout", -1),
        ("isolation", "fork"),
        ("cancel_timeout", -1),
        ("max_abandoned", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        WorkerSection(**{field: value})


def test_a_heartbeat_above_half_of_the_lease_says_what_would_happen() -> None:
    with pytest.raises(ValueError, match=r"at most half of lease \(4\).*one lost heartbeat"):
        WorkerSection(lease=4, heartbeat=3)


def test_the_environment_sets_every_section() -> None:
    settings = load_settings(
        None,
        WorkerSettings,
        environ={
            "FAIRQUE_REDIS_URL": "redis://elsewhere:6380/2",
            "FAIRQUE_QUEUE_NAME": "mails",
            "FAIRQUE_WORKER_CONCURRENCY": "3",
        },
    )
    assert (settings.redis.url, settings.queue.name, settings.worker.concurrency) == (
        "redis://elsewhere:6380/2",
        "mails",
        3,
    )


def test_the_error_of_a_misspelt_variable_suggests_the_right_one() -> None:
    with pytest.raises(ConfigurationError, match="CONCURRENCY"):
        load_settings(None, WorkerSettings, environ={"FAIRQUE_WORKER_CONCURENCY": "3"})


def test_a_worker_of_a_url_takes_the_options_by_name() -> None:
    worker = Worker.from_url("redis://localhost:1", queue="q", concurrency=5, stop_timeout=0)
    assert (worker.settings.queue.name, worker.settings.worker.concurrency) == ("q", 5)
    assert worker.settings.worker.stop_timeout == 0


def test_a_worker_of_a_url_refuses_an_option_before_it_connects() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        Worker.from_url("redis://localhost:1", concurrency=-1)


def test_the_representation_of_the_settings_hides_the_password() -> None:
    settings = load_settings(None, WorkerSettings, environ={"FAIRQUE_REDIS_URL": "redis://me:secret@host/0"})
    assert not re.search("secret", repr(settings))


def test_a_worker_from_an_address_reports_all_problems() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Worker.from_url("http://x", queue="a:b", stop_timeout=-1)
    assert [problem.partition(": must")[0] for problem in caught.value.problems] == [
        "url",
        "name",
        "stop_timeout",
    ]


def test_a_misspelt_option_is_a_type_error_with_a_suggestion() -> None:
    options: Any = {"concurency": 2}
    with pytest.raises(TypeError, match=r"'concurency' \(did you mean 'concurrency'\?\)"):
        Worker.from_url("embedded://", **options)


def test_every_setting_of_a_worker_is_an_option_with_a_type() -> None:
    assert WorkerOptions.__annotations__.keys() == {one.name for one in fields(WorkerSection)}


@pytest.mark.parametrize(("name", "value"), [("heartbeat", "3"), ("lease", None), ("concurrency", "2")])
def test_a_number_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: must be .*, found {value!r}$"):
        Worker.from_url("embedded://", **{name: value})


@pytest.mark.parametrize("modules", ["tasks", [1], 5, None])
def test_modules_are_a_list_of_names(modules: Any) -> None:
    with pytest.raises(ConfigurationError, match="modules: must be a list of names of modules"):
        Worker.from_url("embedded://", modules=modules)


def test_a_list_of_modules_is_kept_as_a_tuple() -> None:
    assert WorkerSection(modules=["a", "b"]).modules == ("a", "b")


def test_a_file_configures_a_worker_and_options_override_it(tmp_path: Path) -> None:
    (tmp_path / "fairque.yaml").write_text("queue: {name: mails}\nworker: {concurrency: 2, name: one}\n")
    made = Worker.from_config(tmp_path / "fairque.yaml", concurrency=3)
    other = Worker.from_config(tmp_path / "fairque.yaml", queue="other")
    assert (made.settings.queue.name, made.settings.worker.name, made.settings.worker.concurrency) == (
        "mails",
        "one",
        3,
    )
    assert (other.settings.queue.name, other.settings.worker.concurrency) == ("other", 2)
    with pytest.raises(TypeError, match="there is no option 'concurrencys'"):
        Worker.from_config(tmp_path / "fairque.yaml", concurrencys=3)  # type: ignore[call-arg]  # that it is refused
    with pytest.raises(ConfigurationError, match="concurrency"):
        Worker.from_config(tmp_path / "fairque.yaml", concurrency=-1)
