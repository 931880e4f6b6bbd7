"""Text of errors, bounded in size and in work: whatever an error is, it can be described, stored and logged.

Python's own `traceback` module makes the whole of a text before anybody can cut it: seconds for a chain of 100,000
errors or a group of as many, and 50 MB for a message of 50 MB. Here each part is cut before it is worked on.

`str` of an error is code of the user's, which may hang: call this where the code ran, while its time still counts.
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
#: Characters of one line of a traceback: of code, of a name of a file, of a note.
_LINE_LIMIT = 300
#: Frames of one stack, at its two ends; those between them are only counted.
_FIRST_FRAMES, _LAST_FRAMES = 10, 20
#: Errors of one traceback in all, those of a chain, and members of one group; a group in a group in a group is enough.
_MOST_ERRORS, _MOST_LINKS, _MOST_MEMBERS, _DEEPEST_GROUP = 30, 10, 5, 3
_MOST_NOTES = 10

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


@frozen
class ErrorText:
    """What is told of an error: text only, all of it short.

    Attributes:
        kind: Name of its class.
        text: Its message.
        traceback: The end of its traceback.
    """

    kind: str
    text: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "ErrorText":
        """Make the text of an error, also of one that cannot be printed; see the module for where to call it."""
        return cls(error_kind(error), error_text(error), error_traceback(error))

    def cut(self) -> "ErrorText":
        """Return the same in the bounds that `of` keeps, where somebody else may have made it."""
        return ErrorText(self.kind[:_KIND_LIMIT], self.text[:_TEXT_LIMIT], self.traceback[-_TRACEBACK_LIMIT:])


def is_a(error: BaseException, kinds: type[BaseException] | tuple[type[BaseException], ...]) -> bool:
    """Whether an error is of a class. Unlike `isinstance` it does not ask the error, which may run any code then."""
    return issubclass(type(error), kinds)


def error_kind(error: BaseException) -> str:
    """Return the name of the class of an error, also of one of another process."""
    if type(error) is RemoteError:
        return error.error.type
    return _text("type", lambda: _qualname(type(error)), _KIND_LIMIT)


def error_text(error: BaseException) -> str:
    """Return the message of an error, also of one that cannot be printed."""
    return _text("text", lambda: str(error), _TEXT_LIMIT)


def error_traceback(error: BaseException) -> str:
    """Return the end of the traceback of an error, also of one of another process or one that cannot be printed."""
    if type(error) is RemoteError:
        return error.error.traceback
    return _text("traceback", lambda: _Writer().written(error, 0)[-_TRACEBACK_LIMIT:], _TRACEBACK_LIMIT)


def _text(what: str, make: Callable[[], str], limit: int) -> str:
    try:
        # By the methods of str itself, since a class of the user's may have others; and cut first, then looked at.
        cut = str.__getitem__(make(), slice(limit))
        # By way of bytes, since JSON and log files take no lone surrogates.
        return str.encode(cut, errors="backslashreplace").decode()[:limit]
    except BaseException as second:  # noqa: BLE001 - the user's code runs here, and whatever it raises ends no worker
        return f"(its {what} cannot be made: {_qualname(type(second))[:_KIND_LIMIT]!s})"


def _qualname(kind: type) -> str:
    """Return the name of a class as it is, whatever its metaclass says."""
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return str.__getitem__(name, slice(_KIND_LIMIT))


class _Writer:
    """Writes one traceback. What is most important, the error itself, is written first: the others get what is left."""

    def __init__(self) -> None:
        self._errors_left = _MOST_ERRORS

    def written(self, error: BaseException, depth: int) -> str:
        """Return an error with those that led to it, the first of them at the top, as Python shows them."""
        parts: list[str] = []
        seen: set[int] = set()
        link: tuple[BaseException, str] | None = (error, "")
        while link is not None and id(link[0]) not in seen:
            current, sentence = link
            if len(parts) >= _MOST_LINKS or self._errors_left <= 0:
                parts.append("[earlier exceptions are left out]\n" + sentence)
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
    """Return the error that led to another one, and the sentence that says how."""
    if error.__cause__ is not None:
        return error.__cause__, _CAUSE
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__, _CONTEXT
    return None


def _stack(first: TracebackType | None) -> str:
    """Return the frames of a stack; of a deep one those at both ends."""
    frames, node = 0, first
    while node is not None:
        frames, node = frames + 1, node.tb_next
    left_out = frames - _FIRST_FRAMES - _LAST_FRAMES
    if left_out <= 0:
        return _frames(first, None)
    node = first
    for _ in range(frames - _LAST_FRAMES):
        node = None if node is None else node.tb_next
    return f"{_frames(first, _FIRST_FRAMES)}  [{left_out:,} frames are left out]\n{_frames(node, None)}"


def _frames(first: TracebackType | None, limit: int | None) -> str:
    frames = traceback.extract_tb(first, limit)
    for place, frame in enumerate(frames):
        line = frame.line or ""
        if max(len(line), len(frame.name), len(frame.filename)) > _LINE_LIMIT:
            name, file = frame.name[:_LINE_LIMIT], frame.filename[:_LINE_LIMIT]
            frames[place] = traceback.FrameSummary(file, frame.lineno, name, lookup_line=False, line=line[:_LINE_LIMIT])
    return "".join(frames.format())


def _last_lines(error: BaseException) -> Iterator[str]:
    """Return what stands below the stack: where a syntax error is, class and message, and notes."""
    if is_a(error, SyntaxError):
        place: Any = error
        file, number, code = (_line(value) for value in (place.filename, place.lineno, place.text or ""))
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
        yield f"[{len(notes) - _MOST_NOTES:,} notes are left out]\n"


def _line(value: object) -> str:
    return _text("text", lambda: str(value), _LINE_LIMIT)
