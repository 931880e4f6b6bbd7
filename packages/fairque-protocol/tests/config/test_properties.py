"""Properties: what is written is what is read, and no text ends in anything but settings or a ConfigurationError."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.config import load_settings, settings_from_environ
from fairque.protocol.config.scalars import read_plain
from fairque.protocol.errors import ConfigurationError


@frozen(kw_only=True)
class Options:
    text: str = "a"
    number: float = 0.0
    whole: int = 0
    flag: bool = False
    user: str | None = None
    modules: tuple[str, ...] = ()
    table: dict[str, int] = field(factory=dict)
    extra: Any = None


@frozen(kw_only=True)
class Settings:
    worker: Options = Options()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties") / "a.yaml"


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_characters="$"))
WHOLE = st.integers(min_value=-(10**25), max_value=10**25)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBERS | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=8,
)
# Texts that mean something to YAML or to the loader are rare among random ones.
TRICKY = st.lists(
    st.sampled_from(
        [*"0123456789_.:-+eEx#&*!|>'\"%@`{}[]?,$~\t\n \\", "${", "}", "yes", "Null", "<<", "0x", "é", "\x85"]
    ),
    max_size=12,
).map("".join)
ANY_TEXT = TRICKY | st.text(st.characters(codec="utf-8"))


@given(
    options=st.builds(
        Options,
        text=PRINTABLE,
        number=NUMBERS,
        whole=WHOLE,
        flag=st.booleans(),
        user=st.none() | PRINTABLE,
        modules=st.lists(PRINTABLE).map(tuple),
        table=st.dictionaries(PRINTABLE, WHOLE),
        extra=PLAIN,
    )
)
def test_values_written_by_a_yaml_writer_are_read_back(path: Path, options: Options):
    values = {name: getattr(options, name) for name in Options.__slots__ if not name.startswith("__")}
    values["modules"] = list(options.modules)
    # JSON strings, a part of YAML, so that the writer cannot leave a string without quotes.
    path.write_text(yaml.safe_dump({"worker": values}, allow_unicode=False), encoding="utf-8")
    assert load_settings(path, Settings, environ={}) == Settings(worker=options)


@given(text=ANY_TEXT, key=st.sampled_from([*Options.__annotations__, "url"]))
def test_no_scalar_ends_in_another_error(path: Path, text: str, key: str):
    path.write_bytes(f"worker:\n  {key}: {text}\n".encode())
    try:
        load_settings(path, Settings, environ={"A": text})
    except ConfigurationError as error:
        assert error.problems
        assert all(problem.startswith(str(path)) and problem.isprintable() for problem in error.problems)


@given(text=ANY_TEXT)
def test_no_document_ends_in_another_error(path: Path, text: str):
    path.write_bytes(text.encode())
    try:
        load_settings(path, Settings, environ={})
    except ConfigurationError as error:
        assert all(problem.isprintable() for problem in error.problems)


@given(text=ANY_TEXT)
def test_the_value_of_a_variable_is_a_string_as_it_is(text: str):
    assert settings_from_environ(Settings, {"FAIRQUE__WORKER__TEXT": text}).worker.text == text


@given(text=ANY_TEXT, key=st.sampled_from(list(Options.__annotations__)))
def test_no_variable_ends_in_another_error(text: str, key: str):
    name = f"FAIRQUE__WORKER__{key.upper()}"
    try:
        settings_from_environ(Settings, {name: text})
    except ConfigurationError as error:
        assert all(problem.startswith(f"environment {name}: ") for problem in error.problems)


@given(text=TRICKY.filter(lambda text: not text.endswith("\n")))
def test_what_pyyaml_does_not_take_for_a_string_is_none_here(text: str):
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag.rpartition(":")[2] not in ("str", "value", "merge"):
        assert not isinstance(read_plain(text), str)


@given(value=WHOLE | NUMBERS | st.booleans() | st.none())
def test_numbers_mean_what_pyyaml_says(value: Any):
    text = yaml.safe_dump(value).removesuffix("\n").removesuffix("\n...")
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)
