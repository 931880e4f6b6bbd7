"""embedded:// URLs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import quote

import pytest

from fairque.protocol.embedded import resolve_url
from fairque.protocol.errors import ConfigurationError

Alive = Callable[[str], bool]
Connect = Callable[[str], Any]
Said = Callable[[Popen[str]], str]
User = Callable[..., Popen[str]]

RESOLVER = """
import sys
from fairque.protocol.embedded import resolve_url

print(resolve_url(sys.argv[1]), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "rediss://user:pass@host", "unix:///tmp/x.sock?db=1", "", "nonsense"]
)
def test_other_urls_pass_through(url: str) -> None:
    assert resolve_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "embedded:",
        "embedded:/",
        "embedded:/data",
        "embedded://relative",
        "embedded://host/data",
        "embedded:///",
        "embedded:////",
        "embedded://?x=1",
        "embedded:///data?db=1",
        "embedded:///data#x",
        "embedded:///da%00ta",
        "embedded://[",
    ],
)
def test_the_error_of_a_malformed_url_shows_the_two_forms(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"embedded:// .* embedded:///path/of/a/folder"):
        resolve_url(url)


def test_callers_of_one_process_share_the_server_in_memory(alive: Alive) -> None:
    with ThreadPoolExecutor(8) as pool:
        urls = {*pool.map(resolve_url, ["embedded://"] * 16), resolve_url("EMBEDDED://")}
    assert len(urls) == 1
    assert alive(urls.pop())


def test_two_processes_have_two_servers_in_memory(user: User, said: Said) -> None:
    assert said(user("embedded://", lines=RESOLVER)) != said(user("embedded://", lines=RESOLVER))


def test_two_processes_share_the_server_of_a_path(tmp_path: Path, user: User, said: Said, connect: Connect) -> None:
    url = f"embedded://{quote(str(tmp_path / 'a b'))}"
    one, other = (connect(said(user(url, lines=RESOLVER))) for _ in range(2))
    one.set("key", "value")
    assert other.get("key") == "value"
    assert (tmp_path / "a b").is_dir()


def test_the_server_is_released_at_exit(user: User, said: Said, alive: Alive) -> None:
    resolver = user("embedded://", lines=RESOLVER)
    url = said(resolver)
    assert alive(url)
    resolver.communicate(timeout=20)
    assert resolver.returncode == 0
    assert not alive(url)
