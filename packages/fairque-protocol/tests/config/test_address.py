"""Addresses: each parameter is used, or refused with a message that says what to do instead."""

import inspect
import ssl
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from fairque.protocol.config import RedisSection
from fairque.protocol.config.address import PARAMETERS, REFUSED, Address, embedded_folder, read_address

SECRET = "hunter2"  # noqa: S105 - to look for it in errors


def _(text: str) -> str:
    """A password that the linter takes for none."""
    return text


def parameters_of_redis_py() -> set[str]:
    """All that its connections and pools take, of both kinds, and its way to read a URL."""
    names: set[str] = set()
    for module in (redis, redis.asyncio):
        connections: Any = module.connection
        kinds = ("AbstractConnection", "Connection", "SSLConnection", "UnixDomainSocketConnection")
        for owner in [getattr(connections, kind).__init__ for kind in kinds]:
            names.update(inspect.signature(owner).parameters)
        for pool in (connections.ConnectionPool, connections.BlockingConnectionPool, module.Redis):
            names.update(inspect.signature(pool.__init__).parameters)
        names.update(connections.URL_QUERY_ARGUMENT_PARSERS)
    return names - {"self", "kwargs", "connection_kwargs"}


def test_every_parameter_of_redis_py_is_known_here() -> None:
    assert parameters_of_redis_py() <= {*PARAMETERS, *REFUSED}
    assert not {*PARAMETERS} & {*REFUSED}


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("scheme", ["redis://h/0", "rediss://h/0", "unix:///run/s"])
def test_a_parameter_that_would_override_a_required_option_is_refused(name: str, scheme: str) -> None:
    with pytest.raises(ValueError, match=f"the parameter '{name}' cannot be set in the address: ") as caught:
        read_address(f"{scheme}?{name}={SECRET}")
    assert REFUSED[name] in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address(host="localhost")),
        ("redis://h", Address(host="h")),
        ("redis://H:7/3", Address(host="h", port=7, database=3)),
        ("redis://[::1]:7?db=3", Address(host="::1", port=7, database=3)),
        ("redis://ann:p%40ss@h", Address(host="h", username="ann", password=_("p@ss"))),
        ("redis://:p%3Fss@h", Address(host="h", password=_("p?ss"))),
        ("redis://ann@h", Address(host="h", username="ann")),
        ("redis://h?username=ann&password=p%26s", Address(host="h", username="ann", password=_("p&s"))),
        ("redis://h?client_name=shop-1", Address(host="h", client_name="shop-1")),
        ("unix:///run/a%20b.sock?db=2", Address(path="/run/a b.sock", database=2)),
        ("unix://ann:pw@/run/s", Address(path="/run/s", username="ann", password=_("pw"))),
        ("rediss://h?ssl_check_hostname=No", Address(host="h", tls=True, tls_options={"ssl_check_hostname": False})),
        (
            "rediss://h?ssl_min_version=1.3&ssl_cert_reqs=None",
            Address(
                host="h", tls=True, tls_options={"ssl_min_version": ssl.TLSVersion.TLSv1_3, "ssl_cert_reqs": "none"}
            ),
        ),
        (f"redis://h?password=a+{SECRET}%2B", Address(host="h", password=f"a {SECRET}+")),
    ],
)
def test_an_address_has_everything_in_its_url(url: str, address: Address) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://h?decode_responses=True", "fairque relies on its own value"),
        ("redis://h?socket_timeout=1", "set redis.socket_timeout"),
        ("redis://h?client_nam=x", "there is no parameter 'client_nam' .did you mean 'client_name'"),
        ("redis://h?db=1&db=2", "the parameter 'db' is given twice"),
        ("redis://h/1?db=1", "the database is given twice"),
        ("redis://h?db=-1", "the parameter 'db' must be the number"),
        ("redis://h?db=" + "9" * 5_000, "the parameter 'db' must be the number"),
        ("redis://h/" + "9" * 5_000, "the number of the database"),
        ("redis://h?db=", "the parameter 'db' must be the number"),
        ("redis://h?password=", "the parameter 'password' has no value"),
        ("redis://:hunter2@h?password=x", "the password is given twice"),
        ("redis://:%ff@h", "the password is not percent-encoded UTF-8"),
        ("redis://h?password=%ff", "the parameter 'password' is not percent-encoded UTF-8"),
        ("redis://h?client_name=a%20b", "the parameter 'client_name' must be of ASCII letters"),
        ("redis://h?hunter2", "after . come parameters as NAME=VALUE"),
        ("redis://:12?hunter2@h", "after . come parameters as NAME=VALUE"),
        ("redis://:12#hunter2@h", "must be percent-encoded"),
        ("redis://:12/hunter2@h", "must be percent-encoded"),
        ("redis://h:0", "no server has the port 0"),
        ("redis://h:65536", "host or port cannot be read"),
        ("redis://[::1]16399/0", "after .* comes a colon and the port"),
        ("redis://ann:pw@[::1]x", "after .* comes a colon and the port"),
        ("redis://a:1,b:2/0", "and there is one host"),
        ("redis://a,b/0", "there is one host"),
        ("redis://" + "a" * 64, "no host has such a name"),
        ("redis://a..b", "no host has such a name"),
        ("redis://h?ssl_ca_certs=x", "only an address that begins with rediss:// speaks TLS"),
        ("unix:///s?ssl_ca_certs=x", "only an address that begins with rediss:// speaks TLS"),
        ("rediss://h?ssl_keyfile=x", "give ssl_certfile, too"),
        ("rediss://h?ssl_check_hostname=maybe", "must be true or false"),
        ("rediss://h?ssl_cert_reqs=some", "must be required, optional or none"),
        ("rediss://h?ssl_min_version=1.1", "must be 1.2 or 1.3"),
        ("unix://run/s", "the absolute path of the socket"),
        ("unix://", "the absolute path of the socket"),
        ("valkey://h", "write redis://"),
        ("valkeys://h", "write rediss://"),
        ("redis+sentinel://h/mymaster", "give the primary's own address"),
        ("rediscluster://h", "one server, which is not a cluster"),
        ("redis+socket:///run/s", "write unix:///"),
        ("hunter2", "must start with one of"),
        ("redis://:hunter2\udcff@h", "is not valid Unicode text"),
        ("redis://h?password=hunter2\ud800", "is not valid Unicode text"),
        ("embedded:///hunter2\udcff", "is not valid Unicode text"),
        ("redis://:hunter2@h\x7f", "signs that are not seen"),
        ("redis://:hunter2@h\u200b", "signs that are not seen"),
        ("redis://:hunter2@h\u2028/0", "signs that are not seen"),
        ("redis://:hunter2@h\x1b[31m", "signs that are not seen"),
        ("redis://:hunter2@h%0a", "no host has such a name"),
        ("redis://:hunter2@h%1b", "no host has such a name"),
        ("redis://:hunter2@h%20x", "no host has such a name"),
        ("unix:///" + "hunter2/" * 14, "the path of a socket has at most 10[37] bytes"),
        ("unix:///hunter2%ff", "the path of the socket is not percent-encoded UTF-8"),
        ("embedded:///hunter2%ff", "the path of the folder is not percent-encoded UTF-8"),
    ],
    ids=ascii,
)
def test_the_error_of_an_invalid_address_says_why_and_shows_no_value(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^url: .*{words}") as caught:
        RedisSection(url=url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_problems_of_an_address_are_reported_at_once() -> None:
    with pytest.raises(ValueError, match=r"'protocol'.*; .*'db'.*; .*'foo'"):
        read_address("redis://h?protocol=3&db=x&foo=1")


def test_the_representation_of_an_address_shows_no_secret() -> None:
    shown = repr(read_address(f"rediss://ann:{SECRET}@h?ssl_certfile=x&ssl_password={SECRET}"))
    assert SECRET not in shown
    assert "ann" in shown


def test_the_folder_of_an_embedded_server_is_read() -> None:
    assert embedded_folder("embedded://") is None
    assert embedded_folder("embedded:///a%20b/c") == Path("/a b/c").resolve()


@pytest.mark.parametrize(
    "url", ["embedded://?password=hunter2", "embedded:///f?password=hunter2", "embedded://:hunter2@/f", "embedded://f"]
)
def test_an_embedded_server_has_no_password_and_no_parameters(url: str) -> None:
    with pytest.raises(ValueError, match="It has no user, password or parameters") as caught:
        RedisSection(url=url)
    assert SECRET not in str(caught.value)
