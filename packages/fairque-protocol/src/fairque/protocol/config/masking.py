"""What must not be shown: names of keys that hold secrets, and the password inside a URL."""

import re
from urllib.parse import unquote

__all__ = ["is_secret", "mask_addresses", "mask_url"]

_SECRET_NAME = re.compile(r"url|dsn|passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_HOST_AND_DATABASE = re.compile(r"[\w.-]*(:\d*)?(/\d*)?|\[[\w.:%]*\](:\d*)?(/\d*)?", re.ASCII)
_MASK = "***"
# With one slash, too: so a path is written that was an address. It begins where nothing of a scheme stands before.
_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*):/+(\S+)")
#: What our own advice says that an address looks like.
_PATTERN = "USER:PASSWORD@"

#: Parameters of an address whose values are not secrets; all others are masked, since a name may be misspelt.
_SHOWN = frozenset(
    {"db", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_min_version"}
)


def is_secret(name: str) -> bool:
    """Say whether a key of this name, or a key path that contains it, may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_url(url: str) -> str:
    """Return the URL with every password in it replaced by ``***``; host, port and database stay readable.

    It errs on the safe side: everything between ``://`` and the last ``@`` counts as user information, so a
    password with a raw ``/`` or ``@`` in it does not leak; where an ``@`` may just as well be in a parameter, nothing
    is shown. A text that is not a URL is masked as a whole.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return _MASK
    front, mark, query = rest.partition("?")
    if mark and "@" in query:
        before, _, place = front.rpartition("@")
        if not before and place.startswith("/"):  # a socket or a folder
            return f"{scheme}://{place}?{_masked_query(query)}"
        if _HOST_AND_DATABASE.fullmatch(place) or "@" in front:
            return f"{scheme}://{_MASK}"
    user, at, place = rest.rpartition("@")
    place, mark, query = place.partition("?")
    place, sharp, _ = place.partition("#")
    shown = (_masked_user(user) if at else "") + place + (f"#{_MASK}" if sharp else "")
    return f"{scheme}://{shown}" + (f"?{_masked_query(query)}" if mark else "")


def mask_addresses(text: str) -> str:
    """Return a text with the passwords masked of all addresses that stand in it: some are given in a wrong place."""
    return _ADDRESS.sub(_masked_address, text)


def _masked_address(found: re.Match[str]) -> str:
    scheme, rest = found.groups()
    if rest.startswith(_PATTERN) or not {"@", "?", "#"} & {*rest}:
        return found[0]
    return mask_url(f"{scheme}://{rest}")


def _masked_user(user_info: str) -> str:
    user, colon, _ = user_info.partition(":")
    # A lone name before the @ is as likely a token as a name.
    return f"{user}:{_MASK}@" if colon else f"{_MASK}@"


def _masked_query(query: str) -> str:
    return "&".join(_masked_parameter(part) for part in query.split("&"))


def _masked_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return _MASK if name else ""
    if not re.fullmatch(r"\w+", unquote(name), re.ASCII):
        return f"{_MASK}={_MASK}"
    return part if unquote(name) in _SHOWN and "#" not in value else f"{name}={_MASK}"
