"""What must not be shown: names of keys that hold secrets, and the password inside a URL."""

import re

__all__ = ["is_secret", "mask_url"]

_SECRET_NAME = re.compile(r"url|dsn|passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://).*@", re.DOTALL)
_QUERY_SECRET = re.compile(rf"([?&][^=&]*(?:{_SECRET_NAME.pattern})[^=&]*=)[^&#]*", re.IGNORECASE)
_MASK = "***"


def is_secret(name: str) -> bool:
    """Say whether a key of this name, or a key path that contains it, may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_url(url: str) -> str:
    """Return the URL with every password in it replaced by ``***``; host, port and database stay readable.

    It errs on the safe side: everything between ``://`` and the last ``@`` counts as user information, so a
    password with a raw ``/`` or ``@`` in it does not leak, and a text that is no URL is masked as a whole.
    """
    if "://" not in url:
        return _MASK
    return _QUERY_SECRET.sub(rf"\1{_MASK}", _USER_INFO.sub(_masked_user, url, count=1))


def _masked_user(found: re.Match[str]) -> str:
    user, colon, _ = found.group().partition(":")
    # A lone name before the @ is as likely a token as a name.
    return f"{user}:{_MASK}@" if colon else f"{_MASK}@"
