"""Text of errors, bounded in size and in work, so that any error can be described, stored and logged.

Python's `traceback` module builds the whole text before it can be cut: seconds for a chain or a group of 100,000
errors, and 50 MB for a message of 50 MB. Here each part is cut before it is processed.

`str` of an error runs code of the user, which may hang: call this in the thread of the task, within its timeout.
"""

import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from attrs import frozen

from fairque.protocol.errors import RemoteError

__all__ = ["ErrorText", "error_kind", "error_text", "error_traceback", "is_a"]

_KIND_LIMIT = 200
_TEXT_LIMIT = 2_000
_TRACEBACK_LIMIT = 8_000
#: Characters of one line of a traceback: of code, of a file name, of a note.
_LINE_LIMIT = 300
#: Frames at the two ends of a stack; those in between are only counted.
_FIRST_FRAMES, _LAST_FRAMES = 10, 20
#: Most errors of a traceback, links of a chain, members of a group, and levels of nested groups.
_MOST_ERRORS, _MOST_LINKS, _MOST_MEMBERS, _DEEPEST_GROUP = 30, 10, 5, 3
_MOST_NOTES = 10

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


@frozen
class ErrorText:
    """The text of an error, with each part bounded.

    Attributes:
        kind: The name of its class.
        text: Its message.
        traceback: The end of its traceback.
    """

    kind: str
    text: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "ErrorText":
        """Create the text of any error, even one that cannot be printed; see the module for where to call it."""
        return cls(error_kind(error), error_text(error), error_traceback(error))

    def cut(self) -> "ErrorText":
        """Return it cut to the bounds of `of`, in case it was not created by `of`."""
        return ErrorText(self.kind[:_KIND_LIMIT], self.text[:_TEXT_LIMIT], self.traceback[-_TRACEBACK_LIMIT:])


def is_a(error: BaseException, kinds: type[BaseException] | tuple[type[BaseException], ...]) -> bool:
    """Return whether an error is of a class. Unlike `isinstance`, this runs no code of the error."""
    return issubclass(type(error), kinds)


def error_kind(error: BaseException) -> str:
    """Return the name of the class of an error, also of an error from another process."""
    if type(error) is RemoteError:
        return error.error.type
    return _text("type", lambda: _qualname(type(error)), _KIND_LIMIT)


def error_text(error: BaseException) -> str:
    """Return the message of any error, even one that cannot be printed."""
    return _text("text", lambda: str(error), _TEXT_LIMIT)


def error_traceback(error: BaseException) -> str:
    """Return the end of the traceback of any error, also of an error from another process."""
    if type(error) is RemoteError:
        return error.error.traceback
    return _text("traceback", lambda: _Writer().written(error, 0)[-_TRACEBACK_LIMIT:], _TRACEBACK_LIMIT)


def _text(what: str, make: Callable[[], str], limit: int) -> str:
    try:
        # With methods of str, since a subclass of the user may override them; and cut before it is processed.
        cut = str.__getitem__(make(), slice(limit))
        # Encoded and decoded, since JSON and log files do not accept lone surrogates.
        return str.encode(cut, errors="backslashreplace").decode()[:limit]
    except BaseException as second:  # noqa: BLE001 - code of the user runs here, and must not end the worker
        return f"(its {what} cannot be made: {_qualname(type(second))[:_KIND_LIMIT]!s})"


def _qualname(kind: type) -> str:
    """Return the real name of a class, even if its metaclass overrides it."""
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return str.__getitem__(name, slice(_KIND_LIMIT))


class _Writer:
    """Writes a traceback. The error itself is most important and written first; others share the remaining space."""

    def __init__(self) -> None:
        self._errors_left = _MOST_ERRORS

    def written(self, error: BaseException, depth: int) -> str:
        """Return the text of an error and of those that led to it, the first at the top, as Python shows them."""
        parts: list[str] = []
        seen: set[int] = set()
        link: tuple[BaseException, str] | None = (error, "")
        while link is not None and id(link[0]) not in seen:
            current, sentence = link
            if len(parts) >= _MOST_LINKS or self._errors_left <= 0:
                parts.append("[earlier exceptions omitted]\n" + sentence)
                break
            seen.add(id(current))
            parts.append(self._one(current, depth) + sentence)
            link = _before(current)
        return "".join(reversed(parts))

    def _one(self, error: BaseException, depth: int) -> str:
        self._errors_left -= 1
        stack = _stack(error.__traceback__)
        head = f"Traceback (most recent call last):\n{stack}" if stack else ""
        return head + "".join(_last_lines(error)) + "".join(self._members(error, depth))

    def _members(self, error: BaseException, depth: int) -> Iterator[str]:
        if not is_a(error, BaseExceptionGroup):
            return
        members: tuple[BaseException, ...] = error.exceptions  # type: ignore[attr-defined]  # is_a is for types only
        shown = members[:_MOST_MEMBERS] if depth < _DEEPEST_GROUP else ()
        for number, member in enumerate(shown, 1):
            if self._errors_left <= 0:
                break
            yield f"  +---------------- {number} ----------------\n"
            yield "".join(f"  | {line}\n" for line in self.written(member, depth + 1).splitlines())
        yield f"  +---------------- {len(members):,} in all ----------------\n"


def _before(error: BaseException) -> tuple[BaseException, str] | None:
    """Return the cause or context of an error, and the sentence that introduces it."""
    if error.__cause__ is not None:
        return error.__cause__, _CAUSE
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__, _CONTEXT
    return None


def _stack(first: TracebackType | None) -> str:
    """Return the frames of a stack; of a deep stack, those at both ends."""
    frames, node = 0, first
    while node is not None:
        frames, node = frames + 1, node.tb_next
    omitted = frames - _FIRST_FRAMES - _LAST_FRAMES
    if omitted <= 0:
        return _frames(first, None)
    node = first
    for _ in range(frames - _LAST_FRAMES):
        node = None if node is None else node.tb_next
    return f"{_frames(first, _FIRST_FRAMES)}  [{omitted:,} frames omitted]\n{_frames(node, None)}"


def _frames(first: TracebackType | None, limit: int | None) -> str:
    frames = traceback.extract_tb(first, limit)
    for place, frame in enumerate(frames):
        line = frame.line or ""
        if max(len(line), len(frame.name), len(frame.filename)) > _LINE_LIMIT:
            name, file = frame.name[:_LINE_LIMIT], frame.filename[:_LINE_LIMIT]
            frames[place] = traceback.FrameSummary(file, frame.lineno, name, lookup_line=False, line=line[:_LINE_LIMIT])
    return "".join(frames.format())


def _last_lines(error: BaseException) -> Iterator[str]:
    """Yield the lines below the stack: the position of a syntax error, class and message, and notes."""
    if is_a(error, SyntaxError):
        syntax_error: Any = error
        position = (syntax_error.filename, syntax_error.lineno, syntax_error.text or "")
        file, number, code = (_line(value) for value in position)
        yield f'  File "{file}", line {number}\n'
        yield f"    {code.strip()}\n" if code else ""
    module = _line(type.__dict__["__module__"].__get__(type(error)))
    kind = error_kind(error) if module in ("builtins", "__main__") else f"{module}.{error_kind(error)}"
    text = error_text(error)
    yield f"{kind}: {text}\n" if text else f"{kind}\n"
    notes = getattr(error, "__notes__", ())
    if type(notes) not in (list, tuple):
        notes = (notes,)
    for note in notes[:_MOST_NOTES]:
        yield f"{_line(note)}\n"
    if len(notes) > _MOST_NOTES:
        yield f"[{len(notes) - _MOST_NOTES:,} notes omitted]\n"


def _line(value: object) -> str:
    return _text("text", lambda: str(value), _LINE_LIMIT)
