"""Written values are read back unchanged; any text gives settings or a ConfigurationError."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import asdict, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.config import load_settings
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


class QuotingDumper(yaml.SafeDumper):
    """Quotes every string: PyYAML leaves 1e3 and 08 plain, which YAML 1.2 reads as numbers."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def problems_of(load: Callable[[], Any]) -> tuple[str, ...]:
    try:
        load()
    except ConfigurationError as error:
        return error.problems
    return ()


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
NUMERIC = st.text("0123456789_.:-+eExbo TZ", max_size=12)
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
def test_values_written_by_a_yaml_writer_are_read_back(path: Path, options: Options) -> None:
    values = asdict(options)
    values["modules"] = list(options.modules)
    path.write_text(yaml.dump({"worker": values}, Dumper=QuotingDumper), encoding="utf-8")
    assert load_settings(path, Settings, environ={}) == Settings(worker=options)


@given(text=ANY_TEXT, key=st.sampled_from([*Options.__annotations__, "url"]))
def test_no_scalar_raises_another_error(path: Path, text: str, key: str) -> None:
    path.write_bytes(f"worker:\n  {key}: {text}\n".encode())
    for problem in problems_of(lambda: load_settings(path, Settings, environ={"A": text})):
        assert problem.startswith(str(path))
        assert problem.isprintable()


@given(text=ANY_TEXT)
def test_no_document_raises_another_error(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    found = problems_of(lambda: load_settings(path, Settings, environ={}))
    assert all(problem.isprintable() for problem in found)


@given(text=ANY_TEXT)
def test_the_value_of_a_variable_is_a_string_as_it_is(text: str) -> None:
    assert load_settings(None, Settings, environ={"FAIRQUE_WORKER_TEXT": text}).worker.text == text


@given(text=ANY_TEXT, key=st.sampled_from(list(Options.__annotations__)))
def test_no_variable_raises_another_error(text: str, key: str) -> None:
    name = f"FAIRQUE_WORKER_{key.upper()}"
    found = problems_of(lambda: load_settings(None, Settings, environ={name: text}))
    assert all(problem.startswith(f"environment {name}: ") for problem in found)


@given(text=TRICKY.filter(lambda text: not text.endswith("\n")) | NUMERIC)
def test_a_scalar_that_is_not_a_string_for_pyyaml_is_not_one_here(text: str) -> None:
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag.rpartition(":")[2] not in ("str", "value", "merge", "yaml"):
        assert not isinstance(read_plain(text), str)


@given(value=WHOLE | NUMBERS | st.booleans() | st.none())
def test_numbers_agree_with_pyyaml(value: Any) -> None:
    text = yaml.safe_dump(value).removesuffix("\n").removesuffix("\n...")
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)
