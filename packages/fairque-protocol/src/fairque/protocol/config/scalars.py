"""From the text of a scalar to its value: plain text as YAML reads it, and ``${NAME}`` references.

The reading is the union of YAML 1.1 and 1.2: what either of them would not take for a string is none here.
Readings that seldom are what a person meant (``012``, ``12:30:45``, dates) become a `Trap` and never a value.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from fairque.protocol.config.masking import mask_addresses

__all__ = ["Trap", "Value", "describe", "read_plain", "substitute"]

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "null": None}
_CONSTANTS = {form: value for word, value in _WORDS.items() for form in (word, word.capitalize(), word.upper())}
_CONSTANTS |= {"": None, "~": None}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRAPS = {
    "an octal number": re.compile(r"[-+]?0o?[0-7_]+"),
    "a number with a leading zero": re.compile(r"[-+]?0[0-9_]+"),
    "a binary number": re.compile(r"[-+]?0b[01_]+"),
    "a hexadecimal number": re.compile(r"[-+]?0x[0-9a-fA-F_]+"),
    "a number in base 60": re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
    "a date": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
        r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?"
    ),
}
# Longer integers are not settings, and reading a very long one is slow or refused by Python.
_DIGITS_MAX = 30
_SHOWN_MAX = 40

_REFERENCE = re.compile(r"\$(\$?)\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")


@frozen
class Trap:
    """Plain text that YAML reads as something a person seldom means.

    Attributes:
        reading: What YAML makes of it.
    """

    reading: str


Value: TypeAlias = bool | int | float | str | Trap | None


def read_plain(text: str) -> Value:
    """Return the value of a text without quotes."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", "")) if len(text) <= _DIGITS_MAX else Trap("a number of very many digits")
    for reading, pattern in _TRAPS.items():
        if pattern.fullmatch(text):
            return Trap(reading)
    if _NUMBER.fullmatch(text):
        return float(text.replace("_", ""))
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def describe(value: Value, text: str, *, hidden: bool) -> str:
    """Name a value for an error message, by its kind alone if it is hidden."""
    text = mask_addresses(text)
    shown = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
    match value:
        case None:
            return "null" if text else "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case Trap():
            return value.reading if hidden else f"{shown}, which YAML reads as {value.reading}"
        case int():
            return "an integer" if hidden else f"the integer {shown}"
        case float():
            return "a number" if hidden else f"the number {shown}"
        case str():
            return "a string" if hidden else f"the string {shown!r}"


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Replace every ``${NAME}`` and ``${NAME:-default}``; ``$${`` stands for ``${`` itself.

    As in a shell, the default also stands in for a variable that is set but empty.

    Returns:
        The new text, and whether one reference was all of the old text.

    Raises:
        ValueError: A variable is not set and has no default, or a reference is malformed.
    """

    def replace(found: re.Match[str]) -> str:
        escape, name, default = found.groups()
        if escape:
            return found[0][1:]
        if name is None:
            raise ValueError(
                "malformed reference: write ${NAME} or ${NAME:-default}, and $${ to mean the two characters"
            )
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            raise ValueError(f"the environment variable {name} is not set (set it, or give a default: ${{{name}:-…}})")
        return environ[name]

    whole = _REFERENCE.fullmatch(text) is not None
    return _REFERENCE.sub(replace, text), whole
