"""Files that load, files that must not, and what the errors say."""

import builtins
import sys
from collections.abc import Callable
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from fairque.protocol.config import QueueSection, RedisSection, at_least, load_settings, matches, positive
from fairque.protocol.errors import ConfigurationError


class Color(Enum):
    RED = 1
    BLUE = 2


@frozen(kw_only=True)
class Limits:
    cpu: int = 1
    names: dict[str, int] = field(factory=dict)


@frozen(kw_only=True)
class WorkerSection:
    concurrency: int = field(default=16, validator=at_least(1))
    lease: float = field(default=30.0, validator=positive)
    heartbeat: float = field(default=10.0, validator=positive)
    modules: tuple[str, ...] = ()
    tags: list[int] = field(factory=list)
    default_user_id: str | None = None
    deadline: int | None = None
    mode: Literal["thread", "process", 3] = "thread"
    color: Color = Color.RED
    drain: bool = True
    limits: Limits = field(factory=Limits)
    label: str = field(default="main", validator=matches(r"[a-z]+", "lower case letters"))
    token: str = field(default="none", validator=matches(r"[a-z]+", "lower case letters"))
    extra: Any = None

    @heartbeat.validator
    def _below_the_lease(self, attribute: "attrs.Attribute[float]", value: float) -> None:
        if value >= self.lease:
            raise ValueError(f"{attribute.name}: must be below lease")


@frozen(kw_only=True)
class User:
    weight: float
    cap: int | None = None


@frozen(kw_only=True)
class Settings:
    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    worker: WorkerSection = field(factory=WorkerSection)
    users: dict[str, User] = field(factory=dict)


Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


# Files that load


def test_a_complete_file_loads_with_every_type(load: Load) -> None:
    settings = load(
        """
redis: {url: "redis://h:1/2", retries: 0}
worker:
  concurrency: 1_000
  lease: 20
  modules: [shop.tasks, 'shop.mail']
  tags: [1, -2]
  default_user_id: acme
  deadline: ~
  mode: 3
  color: BLUE
  drain: off
  limits:
    cpu: 2
    names: {a: 1}
  extra: {list: [1, 2.5, null, yes, text]}
users:
  acme: {weight: 2}
  "42": {weight: .5, cap: 3}
"""
    )
    assert settings.redis == RedisSection(url="redis://h:1/2", retries=0)
    assert settings.queue == QueueSection()
    assert settings.worker == WorkerSection(
        concurrency=1000,
        lease=20.0,
        modules=("shop.tasks", "shop.mail"),
        tags=[1, -2],
        default_user_id="acme",
        mode=3,
        color=Color.BLUE,
        drain=False,
        limits=Limits(cpu=2, names={"a": 1}),
        extra={"list": [1, 2.5, None, True, "text"]},
    )
    assert settings.users == {"acme": User(weight=2.0), "42": User(weight=0.5, cap=3)}
    assert isinstance(settings.worker.lease, float)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "worker:\n", "worker: {}\n", "\ufeffworker:\n"])
def test_an_empty_file_or_section_has_the_defaults(load: Load, text: str) -> None:
    assert load(text) == Settings()


def test_known_sections_of_other_packages_are_ignored_even_if_their_variables_are_not_set(load: Load) -> None:
    text = "scheduler: {poll: '${NOT_SET}', whatever: 012}\nclient: 5\n"
    assert load(text, {"FAIRQUE_CLIENT_ANY": "1", "FAIRQUE_SCHEDULER_A__B": "1"}) == Settings()


def test_tags_and_aliases_are_refused_only_where_they_are_read(load: Load) -> None:
    assert load("scheduler: {poll: !!str 5, again: *poll}\n") == Settings()


# One kind of error each


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "worker:\n  concurency: 3",
            "dev.yaml:2: worker.concurency: unknown key (did you mean 'concurrency'?)",
        ),
        ("wroker:\n  a: 3", "dev.yaml:1: wroker: unknown section (did you mean 'worker'?)"),
        ("queue: {dead: 1}", "dev.yaml:1: queue.dead: unknown key (did you mean 'dead_letter_ttl'?)"),
        (
            "queue: {x: 1}",
            "dev.yaml:1: queue.x: unknown key (known: dead_letter_ttl, input_limit, ",
        ),
        (
            "worker:\n  limits:\n    cpus: 1",
            "dev.yaml:3: worker.limits.cpus: unknown key (did you mean 'cpu'?)",
        ),
        ("queue: {max: 3}", "dev.yaml:1: queue.max: unknown key (did you mean 'max_lost_workers'?)"),
        ("users:\n  acme: {cap: 1}", "dev.yaml:2: users.acme.weight: required key is missing"),
        (
            "users: {'a b': {wait: 1, weight: 1}}",
            "dev.yaml:1: users.'a b'.wait: unknown key (did you mean 'weight'?)",
        ),
    ],
)
def test_unknown_and_missing_keys_are_named_with_their_place(problems: Problems, text: str, expected: str) -> None:
    (found,) = problems(text)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("concurrency: '16'", "expected an integer, found the string '16' (remove the quotes)"),
        ("concurrency: many", "expected an integer, found the string 'many'"),
        ("concurrency: true", "expected an integer, found the boolean true"),
        ("concurrency: 16.0", "expected an integer, found the number 16.0"),
        ("concurrency: null", "expected an integer, found null"),
        ("concurrency:", "expected an integer, found nothing"),
        ("concurrency: [1]", "expected an integer, found a list"),
        ("concurrency: {a: 1}", "expected an integer, found a mapping"),
        ("concurrency: 012", "expected an integer, found 012, which YAML reads as an octal number"),
        (
            "concurrency: 12:30:45",
            "expected an integer, found 12:30:45, which YAML reads as a number in base 60",
        ),
        ("concurrency: 0x10", "expected an integer, found 0x10, which YAML reads as a hexadecimal number"),
        ("lease: .nan", "expected a finite number, found the number .nan"),
        ("lease: -.inf", "expected a finite number, found the number -.inf"),
        ("lease: 1e999", "expected a finite number, found the number 1e999"),
        ("lease: yes", "expected a number, found the boolean true"),
        ("label: no", "expected a string, found the boolean false (quote it)"),
        ("label: 42", "expected a string, found the integer 42 (quote it)"),
        (
            "label: 08",
            "expected a string, found 08, which YAML reads as a number with a leading zero (quote it)",
        ),
        ("label: 1e3", "expected a string, found the number 1e3 (quote it)"),
        ("label: 2026-01-31", "expected a string, found 2026-01-31, which YAML reads as a date (quote it)"),
        ("label: null", "expected a string, found null"),
        ("default_user_id: 42", "expected a string, found the integer 42 (quote it)"),
        ("deadline: soon", "expected an integer, found the string 'soon'"),
        ("drain: 1", "expected a boolean (true or false), found the integer 1"),
        ("drain: 'no'", "expected a boolean (true or false), found the string 'no' (remove the quotes)"),
        ("mode: threads", "expected one of 'thread', 'process', 3, found the string 'threads'"),
        ("mode: '3'", "expected one of 'thread', 'process', 3, found the string '3' (remove the quotes)"),
        ("color: GREEN", "expected one of RED, BLUE, found the string 'GREEN'"),
        ("color: 1", "expected one of RED, BLUE, found the integer 1"),
        ("modules: shop.tasks", "expected a list, found the string 'shop.tasks'"),
        ("limits: 5", "expected a mapping, found the integer 5"),
        ("limits: null", "expected a mapping, found null"),
        (
            "extra: 012",
            "expected a string or a finite number, found 012, which YAML reads as an octal number",
        ),
        ("concurrency: 0", "must be at least 1, found 0"),
    ],
)
def test_a_wrong_value_is_described(problems: Problems, line: str, expected: str) -> None:
    (found,) = problems(f"worker:\n  {line}\n")
    assert found.startswith(f"dev.yaml:2: worker.{line.partition(':')[0]}: {expected}")


def test_an_enum_of_integers_is_written_by_name_too(load: Load, problems: Problems) -> None:
    level = IntEnum("level", ["LOW", "HIGH"])
    owner = attrs.make_class("Owner", {"worker": field(type=dict[str, level])}, frozen=True)
    assert load("worker: {a: HIGH}", cls=owner).worker == {"a": level["HIGH"]}  # type: ignore[comparison-overlap]
    assert problems("worker: {a: 2}", cls=owner) == [
        "dev.yaml:1: worker.a: expected one of LOW, HIGH, found the integer 2"
    ]


def test_elements_are_named_by_their_position(problems: Problems) -> None:
    (found,) = problems("worker:\n  modules:\n    - shop\n    - 5\n")
    assert found == "dev.yaml:4: worker.modules[1]: expected a string, found the integer 5 (quote it)"


def test_duplicate_keys_are_found_at_any_depth(problems: Problems) -> None:
    found = problems(
        "worker:\n  drain: no\n  limits:\n    cpu: 1\n    'cpu': 2\nclient: {a: {b: 1, b: 2}}\nworker: {}\n"
    )
    assert found == [
        "dev.yaml:5: worker.limits.cpu: duplicate key (the first is on line 4): remove one",
        "dev.yaml:6: client.a.b: duplicate key (the first is on line 6): remove one",
        "dev.yaml:7: worker: duplicate key (the first is on line 1): remove one",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "users:\n  42: {weight: 1}",
            "dev.yaml:2: users: a key must be a string, found the integer 42 (quote it)",
        ),
        (
            "users:\n  no: {weight: 1}",
            "dev.yaml:2: users: a key must be a string, found the boolean false (quote it)",
        ),
        ("users:\n  [a]: 1", "dev.yaml:2: users: a key must be a string, found a list or a mapping"),
        (
            "users: &a\n  x: {weight: 1}\nworker:\n  extra: *a",
            "dev.yaml:4: worker.extra: aliases (*name) are not read",
        ),
        ("worker: {<<: {drain: no}}", "dev.yaml:1: worker: merge keys (<<) are not read: write the keys out"),
        (
            "worker:\n  label: !!str 5",
            "dev.yaml:2: worker.label: tags (!name) are not read: to mean a string, quote it",
        ),
        (
            "worker:\n  extra: !!python/name:os.system ''",
            "dev.yaml:2: worker.extra: tags (!name) are not read",
        ),
        ("worker:\n  extra: !!set {a}", "dev.yaml:2: worker.extra: tags (!name) are not read"),
        ("worker:\n  extra: " + "[" * 40 + "]" * 40, "dev.yaml:2: worker.extra[0][0]"),
    ],
)
def test_ambiguous_yaml_is_refused(problems: Problems, text: str, expected: str) -> None:
    (found,) = problems(text)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "worker:\n\tdrain: no\n",
            "dev.yaml:2: not valid YAML: while scanning for the next token, found character",
        ),
        ("worker:\n  a: b: c\n", "dev.yaml:2: not valid YAML: mapping values are not allowed here"),
        ("worker: {\n", "dev.yaml:2: not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "dev.yaml:2: not valid YAML: expected a single document in the stream"),
        ("a: 1\nb: \x00\n", "dev.yaml:2: not valid YAML: special characters are not allowed"),
        (b"a: 1\nb: \xff\n", "dev.yaml:2: not UTF-8: save the file as UTF-8"),
        ('a: "\\UFFFFFFFF"', "dev.yaml: not valid YAML: a number or an escape is out of range"),
        ("[" * 5000, "dev.yaml: nested too deeply to be a file of settings"),
        ("- a\n", "dev.yaml:1: the top level must be a mapping of sections, such as 'redis:'"),
        ("\n\n5\n", "dev.yaml:3: the top level must be a mapping"),
        ("''", "dev.yaml:1: the top level must be a mapping"),
        ("*a", "dev.yaml:1: the top level must be a mapping"),
    ],
)
def test_a_file_that_is_not_a_document_of_settings_is_refused(
    problems: Problems, text: str | bytes, expected: str
) -> None:
    (found,) = problems(text)
    assert found.startswith(expected)


def test_an_odd_number_and_a_tab_get_advice(problems: Problems) -> None:
    assert problems("worker: {concurrency: 012}")[0].endswith("(write it as a plain decimal number)")
    assert problems("worker:\n\tdrain: no\n")[0].endswith("(indent with spaces, not with tabs)")


def test_a_missing_file_says_where_relative_paths_start(tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"
    with pytest.raises(ConfigurationError, match=r"no\.yaml: no such file; relative paths start at"):
        load_settings(path, Settings)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, Settings)


def test_without_pyyaml_the_error_says_what_to_install(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "yaml":
            raise ModuleNotFoundError("No module named 'yaml'", name="yaml")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "fairque.protocol.config.document", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_yaml)
    with pytest.raises(ConfigurationError, match=r"pip install 'fairque-protocol\[yaml\]'"):
        load("")


# All at once


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    found = problems(
        """
queue:
  name: a b
  message_limit: 0
  max_lost_workers: -1
  name: x
worker:
  concurrency: 0
  lease: '3'
  lable: x
redsi: {}
users: {acme: {}}
""",
        {"FAIRQUE_WORKER_DRAIN": "maybe"},
    )
    assert found == [
        "dev.yaml:3: queue.name: must be 1 to 64 ASCII letters, digits or the signs _ . @ -, found 'a b'",
        "dev.yaml:4: queue.message_limit: must be between 1 and 1,048,576, found 0",
        "dev.yaml:5: queue.max_lost_workers: must be at least 1, found -1",
        "dev.yaml:6: queue.name: duplicate key (the first is on line 3): remove one",
        "dev.yaml:8: worker.concurrency: must be at least 1, found 0",
        "dev.yaml:9: worker.lease: expected a number, found the string '3' (remove the quotes)",
        "dev.yaml:10: worker.lable: unknown key (did you mean 'label'?)",
        "dev.yaml:11: redsi: unknown section (did you mean 'redis'?)",
        "dev.yaml:12: users.acme.weight: required key is missing",
        "environment FAIRQUE_WORKER_DRAIN: expected a boolean (true or false), found the string 'maybe'",
    ]


def test_a_validator_may_compare_fields_and_sees_the_defaults(problems: Problems) -> None:
    expected = "dev.yaml:2: worker.heartbeat: must be below lease"
    assert problems("worker:\n  lease: 5\n") == [expected]
    assert problems("worker:\n  heartbeat: 40\n") == [expected]


def test_a_check_of_the_whole_class_is_reported_at_its_section(problems: Problems) -> None:
    @frozen
    class Pair:
        low: int = 0
        high: int = 1

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low must not be above high")

    cls = attrs.make_class("Owner", {"worker": field(type=Pair)}, frozen=True)
    assert problems("worker:\n  low: 2\n", cls=cls) == ["dev.yaml:2: worker: low must not be above high"]


def test_missing_keys_of_a_section_without_a_default_are_reported_one_by_one(problems: Problems, load: Load) -> None:
    cls = attrs.make_class("Owner", {"scheduler": field(type=User)}, frozen=True)
    assert problems("redis: {}\n", cls=cls) == ["dev.yaml:1: scheduler.weight: required key is missing"]
    assert problems("", {"FAIRQUE_SCHEDULER_CAP": "1"}, cls) == [
        "dev.yaml:1: scheduler.weight: required key is missing"
    ]
    assert load("", {"FAIRQUE_SCHEDULER_WEIGHT": "2"}, cls) == cls(scheduler=User(weight=2.0))


def test_the_validators_of_attrs_itself_are_reported_without_their_arguments(problems: Problems) -> None:
    @frozen
    class Choice:
        token: str = field(default="a", validator=attrs.validators.in_(["a", "b"]))
        many: Any = field(default=1, validator=attrs.validators.instance_of(int))

    cls = attrs.make_class("Owner", {"worker": field(type=Choice)}, frozen=True)
    found = problems("worker: {token: hunter2, many: x}", cls=cls)
    assert found[0] == "dev.yaml:1: worker.token: 'token' must be in ['a', 'b'] (got '***')"
    assert found[1].startswith("dev.yaml:1: worker.many: 'many' must be <class 'int'>")


def test_a_type_that_settings_cannot_have_is_a_type_error(load: Load) -> None:
    unsupported: tuple[Any, ...] = (set[str], int | str, tuple[int, str], dict[int, str])
    for wanted in unsupported:
        cls = attrs.make_class("Owner", {"worker": field(type=wanted)}, frozen=True)
        with pytest.raises(TypeError, match=r"worker: .*settings can"):
            load("worker: [1]", cls=cls)


def test_a_field_that_is_not_a_setting_may_have_any_type(load: Load) -> None:
    @frozen
    class Counted:
        low: int = 0
        seen: set[str] = field(factory=set, init=False)

    cls = attrs.make_class("Owner", {"worker": field(type=Counted)}, frozen=True)
    assert load("worker: {low: 2}", cls=cls) == cls(worker=Counted(low=2))


@pytest.mark.parametrize(
    "text",
    [
        "redis: {}",
        "redis:\n  retries: {}",
        "redis:\n  {}: 1",
        "{}: 1",
        "queue:\n  name: {}",
        "worker:\n  mode: {}",
        "worker:\n  color: {}",
        "worker:\n  label: {}",
    ],
)
@pytest.mark.parametrize("password", ["hunter2", "hunter2" * 20], ids=["short", "long"])
def test_a_url_in_place_of_another_value_does_not_show_its_password(tmp_path: Path, text: str, password: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text.format(f"redis://ann:{password}@db:6379/1"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, Settings, environ={})
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)
