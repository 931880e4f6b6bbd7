"""What to say to a name that does not exist."""

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(key: str, known: Iterable[str]) -> str:
    """Return "(did you mean …?)", or the known names if none is close."""
    names = sorted(known)
    # One that begins so is meant although it is much longer, such as dead_letter_ttl by dead.
    longer = [name for name in names if key and name.startswith(f"{key}_")]
    close = longer if len(longer) == 1 else difflib.get_close_matches(key, names, n=1)
    return f"(did you mean {close[0]!r}?)" if close else f"(known: {', '.join(names) or 'none'})"
