"""The text of any error is bounded, in size and in work."""

import asyncio
import sys
from typing import Any

import pytest

from fairque.protocol.errors import ErrorInfo, RemoteError
from fairque.protocol.model.tracebacks import ErrorText, error_kind, error_text, error_traceback, is_a

#: Characters of all three texts together, at most.
MOST = 10_200
LARGE = 50_000_000


def raised(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - for its traceback
    except BaseException as caught:  # noqa: BLE001 - also those that end a process
        return caught


def chain(length: int, link: str) -> BaseException:
    error: BaseException = ValueError("the first")
    for number in range(length):
        following = ValueError(f"number {number}")
        setattr(following, link, error)
        error = following
    return raised(error)


def deep(frames: int) -> BaseException:
    def calls(left: int) -> None:
        if left == 0:
            raise ValueError("at the bottom")
        calls(left - 1)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(frames + 10_000)
    try:
        calls(frames)
    except ValueError as error:
        return error
    finally:
        sys.setrecursionlimit(before)
    raise AssertionError


def noted(notes: Any) -> BaseException:
    error = ValueError("with notes")
    error.__notes__ = notes
    return raised(error)


def of_large_syntax() -> BaseException:
    error = SyntaxError("x" * LARGE, ("f" * LARGE, 1, 2, "c" * LARGE))
    error.lineno = "9" * LARGE  # type: ignore[assignment]  # what is tried
    return raised(error)


def of_large_class() -> BaseException:
    return raised(type("K" * LARGE, (Exception,), {"__module__": "m" * LARGE})("x"))


def in_large_code() -> BaseException:
    code = f"def {'f' * 1_000_000}():\n    raise ValueError({'x' * 100!r} {'  ' * 500_000})\n{'f' * 1_000_000}()"
    try:
        exec(compile(code, "g" * 1_000_000, "exec"), {})  # noqa: S102 - what is tried
    except ValueError as error:
        return error
    raise AssertionError


def group(members: int, depth: int = 1) -> BaseException:
    inner: BaseException = ExceptionGroup("group", [ValueError(f"n {n}") for n in range(members)])
    for _ in range(depth - 1):
        inner = BaseExceptionGroup("outer", [inner] * members)
    return raised(inner)


ERRORS: dict[str, Any] = {
    "text of 50 MB": lambda: raised(ValueError("x" * LARGE)),
    "text of surrogates": lambda: raised(ValueError("\ud800" * 1_000_000)),
    "group of 100,000": lambda: group(100_000),
    "groups in groups": lambda: group(10, depth=20),
    "100,000 causes": lambda: chain(100_000, "__cause__"),
    "100,000 contexts": lambda: chain(100_000, "__context__"),
    "100,000 frames": lambda: deep(100_000),
    "large notes": lambda: noted(["n" * LARGE] * 3),
    "100,000 notes": lambda: noted(["n"] * 100_000),
    "notes that are none": lambda: noted(5),
    "large syntax error": of_large_syntax,
    "large class": of_large_class,
    "large code": in_large_code,
    "recursion error": lambda: raised(RecursionError("x" * LARGE)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_all_texts_together_are_short(name: str) -> None:
    told = ErrorText.of(ERRORS[name]())
    assert len(told.kind) + len(told.text) + len(told.traceback) <= MOST
    assert told.traceback
    assert "cannot be made" not in told.traceback


def test_work_does_not_grow_with_the_omitted_parts() -> None:
    """Counts steps of the interpreter, which do not depend on the load of the machine."""

    def steps(error: BaseException) -> int:
        count = 0

        def trace(*_: Any) -> None:
            nonlocal count
            count += 1

        sys.setprofile(trace)
        try:
            error_traceback(error)
        finally:
            sys.setprofile(None)
        return count

    for make in (lambda n: chain(n, "__cause__"), lambda n: chain(n, "__context__"), group, lambda n: noted(["x"] * n)):
        error_traceback(make(50))
        assert steps(make(5_000)) < 1.2 * steps(make(50)) + 50


def test_a_cycle_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert error_traceback(one).splitlines()[-1] == "ValueError: one"


class TestWhatIsShown:
    def test_an_error_is_shown_as_python_shows_it(self) -> None:
        text = error_traceback(raised(KeyError("name")))
        assert text.startswith("Traceback (most recent call last):\n  File ")
        assert text.endswith("KeyError: 'name'\n")
        assert "    raise error " in text

    def test_causes_come_first_with_the_sentences_of_python(self) -> None:
        cause, context = raised(KeyError("cause")), raised(OSError("context"))
        cause.__context__ = context
        error = ValueError("error")
        error.__cause__ = cause
        lines = [line for line in error_traceback(raised(error)).splitlines() if line and not line.startswith(" ")]
        assert lines == [
            "Traceback (most recent call last):",
            "OSError: context",
            "During handling of the above exception, another exception occurred:",
            "Traceback (most recent call last):",
            "KeyError: 'cause'",
            "The above exception was the direct cause of the following exception:",
            "Traceback (most recent call last):",
            "ValueError: error",
        ]

    def test_a_suppressed_context_is_omitted(self) -> None:
        error = ValueError("error")
        error.__context__, error.__suppress_context__ = KeyError("hidden"), True
        assert "hidden" not in error_traceback(error)

    def test_members_of_a_group_are_shown_and_counted(self) -> None:
        text = error_traceback(group(100))
        assert "ExceptionGroup: group (100 sub-exceptions)" in text
        assert "  | ValueError: n 4\n" in text
        assert "n 5" not in text
        assert "100 in all" in text

    def test_both_ends_of_a_deep_stack_are_shown_and_the_rest_is_counted(self) -> None:
        text = error_traceback(deep(1_000))
        assert "  [972 frames omitted]\n" in text
        assert "in deep" in text
        assert text.endswith("ValueError: at the bottom\n")

    def test_a_syntax_error_says_where(self) -> None:
        with pytest.raises(SyntaxError) as caught:
            compile("x = = 1", "there.py", "exec")
        assert '  File "there.py", line 1\n    x = = 1\nSyntaxError: ' in error_traceback(caught.value)

    def test_notes_come_last(self) -> None:
        assert error_traceback(noted(["one", "two"])).endswith("ValueError: with notes\none\ntwo\n")

    def test_the_module_of_a_class_is_named(self) -> None:
        assert error_traceback(asyncio.CancelledError()) == "asyncio.exceptions.CancelledError\n"

    def test_an_error_from_another_process_keeps_its_text(self) -> None:
        told = ErrorText.of(RemoteError(ErrorInfo("There", "no luck", "lines")))
        assert (told.kind, told.text, told.traceback) == ("There", "no luck", "lines")


class Meta(type):
    """A class whose attributes lie or raise errors."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__module__"):
            raise SystemExit
        return super().__getattribute__(name)


class Hostile(Exception, metaclass=Meta):
    """An error whose methods all raise."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    @property
    def __class__(self) -> Any:
        raise SystemExit

    @__class__.setter
    def __class__(self, _: Any) -> None:
        """As any class."""


def test_an_error_whose_methods_all_raise_is_described() -> None:
    error = raised(Hostile())
    assert error_kind(error) == "Hostile"
    assert error_text(error) == "(its text cannot be made: KeyboardInterrupt)"
    assert error_traceback(error).endswith(".Hostile: (its text cannot be made: KeyboardInterrupt)\n")
    assert is_a(error, Exception)
    assert not is_a(error, ValueError)


@pytest.mark.parametrize("text", [5, None, b"bytes"])
def test_a_text_of_another_type_is_described(text: Any) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            return text  # type: ignore[no-any-return]  # what is tried

    assert error_text(Odd()) == "(its text cannot be made: TypeError)"
