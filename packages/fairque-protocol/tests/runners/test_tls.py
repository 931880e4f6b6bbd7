"""TLS: nothing is sent to a server whose certificate is for another host, or of an unknown authority."""

import asyncio
import gc
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
import redis

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import ConfigurationError, RedisUnavailable
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.runners.causes import cause_of
from fairque.protocol.runners.probe_address import probe_address
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing import PlainServer, free_port
from fairque.testing.internal import calls, eventually
from fairque.testing.servers import REDIS_SERVER

if TYPE_CHECKING:
    from tests.runners.conftest import Send

Maker: TypeAlias = Callable[[Path, str, str], tuple[Path, Path]]

OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(
    OPENSSL is None or REDIS_SERVER is None, reason="needs openssl, and a redis-server, which is built with TLS"
)


def certificate(folder: Path, name: str, host: str) -> tuple[Path, Path]:
    """A self-signed certificate for a host, and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    files = ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([str(OPENSSL), *command, *files], check=True, capture_output=True)  # noqa: S603 - our own words
    return cert, key


EXPIRED = """
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = names
x509_extensions = extensions
[names]
commonName = supplied
[extensions]
subjectAltName = DNS:{host}
"""


def expired(folder: Path, name: str, host: str) -> tuple[Path, Path]:
    """The same, valid for one day in the past."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    request, configuration = folder / "request", folder / "configuration"
    (folder / "index").touch()
    configuration.write_text(EXPIRED.format(folder=folder, host=host))
    asked = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", str(key), "-out", str(request)]
    days = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    files = ["-config", str(configuration), "-in", str(request), "-keyfile", str(key), "-out", str(cert)]
    for command in (asked, ["ca", "-selfsign", "-batch", "-notext", *days, *files]):
        subprocess.run([str(OPENSSL), *command], check=True, capture_output=True)  # noqa: S603 - our own words
    return cert, key


class TlsServer:
    """A server whose certificate is for a host."""

    def __init__(
        self, folder: Path, host: str, *, make: Maker = certificate, clients: str = "no", protocols: str = ""
    ) -> None:
        self.cert, self.key = make(folder, "server", host)
        self.port = free_port()
        cert, key = str(self.cert), str(self.key)
        files = ("--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
        more = ("--tls-protocols", protocols) if protocols else ()
        self.server = PlainServer(
            "--tls-port", str(self.port), *files, "--tls-auth-clients", clients, *more, binary=Path(str(REDIS_SERVER))
        )

    def settings(self, query: str = "") -> RedisSection:
        return RedisSection(url=f"rediss://localhost:{self.port}/0{query}", retries=3)

    @property
    def trusting(self) -> RedisSection:
        return self.settings(f"?ssl_ca_certs={self.cert}")


@pytest.fixture(scope="module", params=["localhost"])
def for_the_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path_factory.mktemp("tls"), "localhost")
    with server.server:
        yield server


@pytest.fixture(scope="module")
def for_another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path_factory.mktemp("tls"), "elsewhere.example")
    with server.server:
        yield server


LOOK = calls.read_stats(QueueKeys("tls"))


def test_a_server_with_the_right_certificate_is_trusted(for_the_host: TlsServer, send: "Send") -> None:
    assert send(for_the_host.trusting, [LOOK])


def test_a_certificate_of_an_unknown_authority_is_refused_at_once(
    for_the_host: TlsServer, send: "Send", pauses: list[float]
) -> None:
    with pytest.raises(RedisUnavailable, match=r"is not trusted: .*self-signed|is not trusted: .*self signed"):
        send(for_the_host.settings(), [LOOK])
    assert pauses == []


def test_a_certificate_for_another_host_is_refused_at_once_with_the_remedy(
    for_another: TlsServer, send: "Send", pauses: list[float]
) -> None:
    with pytest.raises(RedisUnavailable, match=r"is not trusted: .*localhost.*made out to the host in the address"):
        send(for_another.trusting, [LOOK])
    assert pauses == []


def test_only_the_address_can_disable_the_check_of_the_host_name(for_another: TlsServer, send: "Send") -> None:
    settings = RedisSection(url=f"{for_another.trusting.url}&ssl_check_hostname=false")
    assert send(settings, [LOOK])


def test_plain_text_to_a_port_with_tls_is_reported_without_hanging(for_the_host: TlsServer, send: "Send") -> None:
    url = f"redis://localhost:{for_the_host.port}/0"
    with pytest.raises(RedisUnavailable, match=r"uses TLS on this port.*Write rediss://") as caught:
        send(RedisSection(url=url, retries=0, socket_timeout=1.0), [LOOK])
    assert not caught.value.temporary
    eventually(lambda: send(for_the_host.trusting, [LOOK]))


def fork(deed: Callable[[], object]) -> None:
    """Run a function in a forked child, and wait until it has ended."""
    child = os.fork()
    if child == 0:
        try:
            deed()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def say_farewell() -> None:
    """Close all TLS connections properly, with a closing alert to the other side."""
    for one in gc.get_objects():
        with suppress(OSError, ValueError):
            if isinstance(one, ssl.SSLSocket):
                one.unwrap()
            if isinstance(one, asyncio.StreamWriter):
                one.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def sockets() -> set[str]:
    """The sockets that this process has open."""
    links = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.add(str(descriptor.readlink()))
    return {link for link in links if link.startswith("socket:")}


class TestAForkedChild:
    """A child cannot affect connections that it inherits, even when closing TLS sends an alert."""

    def hears(self, server: TlsServer, heard: list[bytes]) -> None:
        with redis.Redis.from_url(server.server.url) as client:
            assert client.publish("news", b"still here") == 1
        eventually(lambda: heard == [b"still here"], what="the news")

    def test_cannot_end_a_subscription_of_a_thread(self, for_the_host: TlsServer) -> None:
        runner, heard = Runner(for_the_host.trusting), list[bytes]()
        subscription = runner.listen("news", heard.append, lambda: heard.append(b"connected again"))
        fork(say_farewell)
        self.hears(for_the_host, heard)
        subscription.close()
        runner.close()

    async def test_cannot_end_a_subscription_of_an_event_loop(self, for_the_host: TlsServer) -> None:
        runner, heard = AsyncRunner(for_the_host.trusting), list[bytes]()
        subscription = await runner.listen("news", heard.append, lambda: heard.append(b"connected again"))
        fork(say_farewell)
        await asyncio.to_thread(self.hears, for_the_host, heard)
        await subscription.close()
        await runner.close()


async def test_a_closed_connection_of_an_event_loop_leaves_no_socket_open(for_the_host: TlsServer) -> None:
    runner, before = AsyncRunner(for_the_host.trusting), sockets()
    await runner.run(LOOK)
    assert sockets() > before
    await runner.close()
    await asyncio.sleep(0)
    assert sockets() <= before


def test_an_expired_certificate_is_reported_at_once(tmp_path: Path, send: "Send") -> None:
    server = TlsServer(tmp_path, "localhost", make=expired)
    with server.server, pytest.raises(RedisUnavailable, match=r"certificate is out of date.*Renew") as caught:
        send(server.trusting, [LOOK])
    assert not caught.value.temporary


def test_a_server_that_requires_a_client_certificate_is_reported(tmp_path: Path, send: "Send") -> None:
    server = TlsServer(tmp_path, "localhost", clients="yes")
    with server.server:
        words = r"this client's certificate, or requires one.*ssl_certfile=FILE"
        with pytest.raises(RedisUnavailable, match=words) as caught:
            send(server.trusting, [LOOK])
        assert not caught.value.temporary
        own = f"&ssl_certfile={server.cert}&ssl_keyfile={server.key}"
        assert send(RedisSection(url=server.trusting.url + own), [LOOK])


def test_what_a_server_says_of_a_certificate_is_found_out_if_a_connection_failed_before_it_was_read(
    tmp_path: Path,
) -> None:
    server = TlsServer(tmp_path, "localhost", clients="yes")
    with server.server:
        assert cause_named(probe_address(server.trusting)) == "certificate required"
        own = f"&ssl_certfile={server.cert}&ssl_keyfile={server.key}"
        assert probe_address(RedisSection(url=server.trusting.url + own)) == ""


def cause_named(text: str) -> str:
    cause = cause_of(text)
    return "" if cause is None else cause.name


@pytest.mark.parametrize("password", ["", "&ssl_password=hunter2"])
def test_an_unreadable_key_is_a_configuration_error_without_a_prompt(
    for_the_host: TlsServer, tmp_path: Path, send: "Send", password: str
) -> None:
    """OpenSSL would ask for the password on the terminal."""
    locked = tmp_path / "locked.key"
    command = ["rsa", "-aes256", "-passout", "pass:other", "-in", str(for_the_host.key), "-out", str(locked)]
    subprocess.run([str(OPENSSL), *command], check=True, capture_output=True)  # noqa: S603 - our own words
    own = f"&ssl_certfile={for_the_host.cert}&ssl_keyfile={locked}"
    with pytest.raises(ConfigurationError, match="ssl_certfile cannot be used: ") as caught:
        send(RedisSection(url=for_the_host.trusting.url + own + password), [LOOK])
    assert "hunter2" not in str(caught.value)
    right = RedisSection(url=f"{for_the_host.trusting.url}{own}&ssl_password=other")
    assert send(right, [LOOK])


@pytest.mark.parametrize("parameter", ["ssl_cert_reqs=none", "ssl_cert_reqs=none&ssl_check_hostname=true"])
def test_only_the_address_can_disable_the_check_of_certificates(
    for_another: TlsServer, send: "Send", parameter: str
) -> None:
    assert send(for_another.settings(f"?{parameter}"), [LOOK])


def test_incompatible_versions_of_tls_are_reported(tmp_path: Path, send: "Send") -> None:
    server = TlsServer(tmp_path, "localhost", protocols="TLSv1.2")
    with server.server:
        with pytest.raises(RedisUnavailable, match=r"no version or cipher of TLS in common.*ssl_min_version"):
            send(RedisSection(url=f"{server.trusting.url}&ssl_min_version=1.3", retries=0), [LOOK])
        assert send(RedisSection(url=f"{server.trusting.url}&ssl_min_version=1.2"), [LOOK])
