"""The settings of a worker: what is refused, and with which words."""

import re
from typing import Any

import pytest

from fairque.protocol.config import settings_from_environ
from fairque.protocol.errors import ConfigurationError
from fairque.worker import Worker, WorkerOptions, WorkerSettings


def test_the_defaults_are_those_of_the_documentation() -> None:
    options = WorkerOptions()
    assert (options.concurrency, options.lease_seconds, options.heartbeat_seconds, options.grace_seconds) == (
        16,
        30.0,
        10.0,
        25.0,
    )
    assert options.modules == ()
    assert (options.isolation, options.cancel_grace_seconds, options.max_abandoned) == ("thread", 5.0, 16)


def test_two_workers_never_have_the_same_name() -> None:
    assert WorkerOptions().name != WorkerOptions().name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "two\nlines"),
        ("concurrency", 0),
        ("concurrency", 10_001),
        ("lease_seconds", 0),
        ("heartbeat_seconds", 0),
        ("heartbeat_seconds", 15.5),
        ("grace_seconds", -1),
        ("isolation", "fork"),
        ("cancel_grace_seconds", -1),
        ("max_abandoned", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        WorkerOptions(**{field: value})


def test_a_heartbeat_above_half_of_the_lease_says_what_would_happen() -> None:
    with pytest.raises(ValueError, match=r"at most half of lease_seconds \(4\).*one lost heartbeat"):
        WorkerOptions(lease_seconds=4, heartbeat_seconds=3)


def test_the_environment_sets_every_section() -> None:
    settings = settings_from_environ(
        WorkerSettings,
        {
            "FAIRQUE__REDIS__URL": "redis://elsewhere:6380/2",
            "FAIRQUE__QUEUE__NAME": "mails",
            "FAIRQUE__WORKER__CONCURRENCY": "3",
        },
    )
    assert (settings.redis.url, settings.queue.name, settings.worker.concurrency) == (
        "redis://elsewhere:6380/2",
        "mails",
        3,
    )


def test_a_typing_error_in_the_environment_is_told_with_the_word_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="concurrency"):
        settings_from_environ(WorkerSettings, {"FAIRQUE__WORKER__CONCURENCY": "3"})


def test_a_worker_of_a_url_takes_the_options_by_name() -> None:
    worker = Worker.from_url("redis://localhost:1", queue="q", concurrency=5, grace_seconds=0)
    assert (worker.settings.queue.name, worker.settings.worker.concurrency) == ("q", 5)
    assert worker.settings.worker.grace_seconds == 0


def test_a_worker_of_a_url_refuses_an_option_before_it_connects() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        Worker.from_url("redis://localhost:1", concurrency=-1)


def test_the_representation_of_the_settings_hides_the_password() -> None:
    settings = settings_from_environ(WorkerSettings, {"FAIRQUE__REDIS__URL": "redis://me:secret@host/0"})
    assert not re.search("secret", repr(settings))


def test_a_worker_from_an_address_says_all_that_is_wrong_and_what_may_be_meant() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Worker.from_url("http://x", queue="a:b", concurency=2, grace_seconds=-1)
    assert [problem.partition(": must")[0] for problem in caught.value.problems] == [
        "unknown option 'concurency' (did you mean 'concurrency'?)",
        "url",
        "name",
        "grace_seconds",
    ]


@pytest.mark.parametrize(("name", "value"), [("heartbeat_seconds", "3"), ("lease_seconds", None), ("concurrency", "2")])
def test_a_number_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: must be .*, found {value!r}$"):
        Worker.from_url("embedded://", **{name: value})


@pytest.mark.parametrize("modules", ["tasks", [1], 5, None])
def test_modules_are_a_list_of_names(modules: Any) -> None:
    with pytest.raises(ConfigurationError, match="modules: must be a list of names of modules"):
        Worker.from_url("embedded://", modules=modules)


def test_a_list_of_modules_is_kept_as_a_tuple() -> None:
    assert WorkerOptions(modules=["a", "b"]).modules == ("a", "b")
