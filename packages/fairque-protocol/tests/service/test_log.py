"""The log: any record is written as a single line, and never ends a thread."""

import copy
import io
import json
import logging
import math
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairque.protocol.model.logger import TaskLogger
from fairque.protocol.service.lines import Event
from fairque.protocol.service.log import LogForm, configure_log, service_logger
from fairque.testing.internal import PATIENCE

log = service_logger("fairque.tests")

Written = Callable[[], str]
Start = Callable[[], Written]


class Unreadable:
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


class UnreadableText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __format__ = __str__  # type: ignore[assignment]


class UnreadableTable(dict[str, str]):
    def items(self) -> Any:
        raise ValueError

    __repr__ = Unreadable.__repr__


class OutOfPlace:
    """Like the proxy of a web framework when there is no request: asked for its class, it raises."""

    @property  # type: ignore[misc]  # it may be read, and no more
    def __class__(self) -> Any:
        raise RuntimeError


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
TABLE: dict[Any, Any] = {}
TABLE["self"] = TABLE

VALUES: dict[str, Any] = {
    "surrogate": "a\udc80b",
    "bytes": b"\xff\x00",
    "circle": CIRCLE,
    "table": TABLE,
    "odd keys": {1: "a", (2, 3): "b", None: "c", b"k": "d", Unreadable(): "e"},
    "huge": "x" * 50_000_000,
    "huge number": 10**10_000,
    "many": list(range(1_000_000)),
    "not a number": math.nan,
    "infinite": [math.inf, {"x": -math.inf}],
    "unreadable": Unreadable(),
    "unreadable text": UnreadableText("x"),
    "unreadable table": UnreadableTable(a="b"),
    "in a list": [Unreadable(), {"a": Unreadable()}],
    "set": {1, "a", None},
    "class": Unreadable,
    "new lines": "a\nb\r\nc\u2028d\x85e",
    "escapes": "\x1b[31mred\x1b]0;title\x07\x9b1m",
    "direction": "\u202egnp.exe",
    "empty": "",
    "lock": threading.Lock(),
    "generator": (one for one in [1]),
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[LogForm], Written]]:
    logger = logging.getLogger("fairque")
    before = logger.handlers[:], logger.level, logger.propagate

    def configured(form: LogForm) -> Written:
        stream = io.StringIO()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stream)
            configure_log("info", form)
        return stream.getvalue

    yield configured
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(params=["text", "json"])
def start(request: pytest.FixtureRequest, written: Callable[[LogForm], Written]) -> Callable[[], Written]:
    """Set up the log in either form: in the test itself, since pytest adds handlers of its own just before."""
    return lambda: written(request.param)


class TestWhatARecordContains:
    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    @pytest.mark.parametrize("place", ["extra", "argument", "message", "own line", "exception"])
    def test_a_single_bounded_line_without_control_characters_is_written(
        self, start: Start, value: Any, place: str
    ) -> None:
        lines = start()
        logger = TaskLogger(task_id="t", user_id="ann", attempt=1)
        if place == "extra":
            logger.info("hello", extra={"value": value})
        elif place == "argument":
            logger.info("hello %s", value)
        elif place == "message":
            logger.info(value)
        elif place == "own line":
            log.info("hello", value=value)
        else:
            logger.error("hello", exc_info=ValueError(value))
        text = lines()
        assert text.endswith("\n")
        first, *rest = text.splitlines()
        assert "hello" in first or place == "message"
        assert len(text) < 200_000
        # What has several lines is a traceback, and no line of it looks like one of the log.
        assert place == "exception" or not rest
        assert all(line.startswith("  ") for line in rest)
        assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 or 0xD800 <= ord(sign) < 0xE000 for sign in first)

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_each_line_is_json(self, written: Callable[[LogForm], Written], value: Any) -> None:
        lines = written("json")
        logging.getLogger("fairque.x").warning("hello", extra={"value": value})
        found = json.loads(lines(), parse_constant=pytest.fail)
        assert (found["event"], found["level"]) == ("hello", "warning")

    @pytest.mark.parametrize("place", ["extra", "in a list", "message"])
    def test_an_object_whose_class_cannot_be_read_does_no_harm(
        self, written: Callable[[LogForm], Written], place: str
    ) -> None:
        lines = written("json")
        logger = TaskLogger(task_id="t", user_id="ann", attempt=1)
        if place == "message":
            logger.info(OutOfPlace())
        else:
            logger.info("hello", extra={"value": [OutOfPlace()] if place == "in a list" else OutOfPlace()})
        found = json.loads(lines())
        assert found["task_id"] == "t"
        assert "OutOfPlace object" in str(found["event"] if place == "message" else found["value"])

    @pytest.mark.parametrize("attribute", ["created", "levelname"])
    def test_a_record_that_cannot_be_shown_has_a_line_of_json_nevertheless(
        self, written: Callable[[LogForm], Written], attribute: str
    ) -> None:
        lines = written("json")
        values = {"msg": "hello", "levelno": logging.ERROR, "levelname": "ERROR", attribute: math.nan}
        logging.getLogger("fairque.x").handle(logging.makeLogRecord(values))
        found = json.loads(lines())
        assert found["level"] == "error"
        assert "hello (its record cannot be shown: " in found["event"]

    def test_a_message_that_is_not_a_string_is_written(self, start: Start) -> None:
        class Odd(logging.LogRecord):
            def getMessage(self) -> Any:  # noqa: N802 - the name in the standard library
                return None

        lines = start()
        logging.getLogger("fairque.x").handle(Odd("fairque.x", logging.INFO, "", 0, "hello", (), None))
        assert "hello (its arguments cannot be filled in: TypeError)" in lines()

    @pytest.mark.parametrize("name", ["name", "msg", "args", "message", "asctime", "exc_info", "levelname", "taskName"])
    def test_an_extra_named_as_an_attribute_of_records_is_kept_under_another_name(
        self, written: Callable[[LogForm], Written], name: str
    ) -> None:
        lines = written("json")
        TaskLogger(task_id="t", user_id="ann", attempt=1).info("hello", extra={name: "mine"})
        assert json.loads(lines())[f"{name}_"] == "mine"

    @pytest.mark.parametrize("name", ["event", "level", "ts", "exception", "stack"])
    def test_an_extra_named_as_a_part_of_the_line_does_not_replace_it(
        self, written: Callable[[LogForm], Written], name: str
    ) -> None:
        lines = written("json")
        logging.getLogger("fairque.x").info("hello", extra={name: "mine"})
        found = json.loads(lines())
        assert (found["event"], found["level"], found[f"{name}_"]) == ("hello", "info", "mine")

    @pytest.mark.parametrize("name", ["_record", "_from_structlog", "_logger", "_name", "logger", "timestamp", "a\nb"])
    def test_other_names_do_no_harm(self, start: Start, name: str) -> None:
        lines = start()
        logging.getLogger("fairque.x").info("hello", extra={name: "mine"})
        assert "hello" in lines()
        assert "mine" in lines()
        assert lines().count("\n") == 1

    @pytest.mark.parametrize("extra", [["no table"], "text", 5])
    def test_an_extra_that_is_not_a_mapping_is_shown_unchanged(self, start: Start, extra: Any) -> None:
        lines = start()
        TaskLogger(task_id="t", user_id="ann", attempt=1).info("hello", extra=extra)
        assert "hello" in lines()

    def test_arguments_that_do_not_fit_the_message_are_written(self, start: Start) -> None:
        lines = start()
        logging.getLogger("fairque.x").info("hello %d", "x")
        assert "hello %d (its arguments cannot be filled in: TypeError)" in lines()

    def test_a_chain_of_exceptions_without_end_is_cut(self, start: Start) -> None:
        lines = start()
        error: Exception = ValueError("first")
        for number in range(3_000):
            following = ValueError(str(number))
            following.__cause__ = error
            error = following
        logging.getLogger("fairque.x").error("hello", exc_info=error)
        assert "hello" in lines()
        assert len(lines()) < 200_000

    def test_a_slow_value_does_not_block_other_threads(self, start: Start) -> None:
        lines = start()
        begun, gate = threading.Event(), threading.Event()

        class Slow:
            def __repr__(self) -> str:
                begun.set()
                gate.wait(PATIENCE)
                return "slow"

        thread = threading.Thread(target=lambda: log.info("first", value=Slow()))
        thread.start()
        assert begun.wait(PATIENCE)
        log.info("second")
        assert "second" in lines()
        assert "first" not in lines()
        gate.set()
        thread.join()
        assert "first" in lines()

    def test_a_traceback_shows_no_locals_if_rich_is_installed(self, written: Callable[[LogForm], Written]) -> None:
        pytest.importorskip("rich")
        lines = written("text")

        def login(secret: str) -> None:
            raise ValueError(len(secret))

        try:
            login("hunter2")
        except ValueError:
            log.exception("failed")
        assert "in login" in lines()
        assert "hunter2" not in lines().replace('login("hunter2")', "")


class Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(record.name)


class TestHandlers:
    @pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "exception", "critical"])
    def test_a_handler_of_a_user_that_raises_reaches_no_thread_of_the_service(
        self, start: Start, level: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        start()
        logger = logging.getLogger("fairque.tests")
        handler = Failing()
        logger.addHandler(handler)
        logger.setLevel("DEBUG")
        try:
            getattr(log, level)("hello", value=1)
        finally:
            logger.removeHandler(handler)
            logger.setLevel("NOTSET")
        assert "a handler of the log failed (OSError) at: hello" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "error", [SystemExit(1), GeneratorExit(), KeyboardInterrupt()], ids=lambda error: type(error).__name__
    )
    def test_a_handler_that_exits_ends_no_thread(
        self, start: Start, capsys: pytest.CaptureFixture[str], error: BaseException
    ) -> None:
        start()
        logger = logging.getLogger("fairque.tests")
        ended = threading.Event()

        def failing(_: logging.LogRecord) -> bool:
            raise error

        def say() -> None:
            log.info("hello")
            ended.set()

        logger.addFilter(failing)
        try:
            thread = threading.Thread(target=say)
            thread.start()
            thread.join()
            log.info("hello")
        finally:
            logger.removeFilter(failing)
        assert ended.is_set()
        said = f"a handler of the log failed ({type(error).__name__}) at: hello"
        assert capsys.readouterr().err.count(said) == 2

    def test_a_filter_of_a_user_that_raises_does_not_either(
        self, start: Start, capsys: pytest.CaptureFixture[str]
    ) -> None:
        start()
        logger = logging.getLogger("fairque.tests")

        def failing(_: logging.LogRecord) -> bool:
            raise OSError

        logger.addFilter(failing)
        try:
            log.info("hello")
        finally:
            logger.removeFilter(failing)
        assert "a handler of the log failed (OSError) at: hello" in capsys.readouterr().err

    def test_a_module_that_configures_logging_does_not_silence_the_service(self, start: Start) -> None:
        lines = start()
        # As `logging.config.dictConfig` does to all loggers that it does not name.
        logging.getLogger("fairque.tests").disabled = True
        log.info("heard")
        assert "heard" in lines()

    def test_a_stream_that_replaces_standard_error_gets_no_lines(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = start()
        monkeypatch.setattr(sys, "stderr", None)
        log.info("hello")
        assert "hello" in lines()

    def test_no_line_is_lost_because_of_a_limited_encoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
        logger = logging.getLogger("fairque")
        before = logger.handlers[:], logger.level, logger.propagate
        try:
            configure_log("info", "text")
            log.info("grüße")
        finally:
            logger.handlers[:], logger.level, logger.propagate = before
        assert b"gr\\xfc\\xdfe" in raw.getvalue()


PROGRAM = """
import os, sys
from fairque.protocol.service.streams import prepare_streams
from fairque.protocol.service.log import configure_log, service_logger
prepare_streams()
configure_log("info", "json")
log = service_logger("fairque.x")
for number in range(2000):
    log.info("hello", number=number)
print("something of a task")
opened = os.open("/", os.O_RDONLY)
told = opened > 2, sys.stdin.read(1) == "", all(os.get_inheritable(number) for number in range(3))
os.write(9, repr(told).encode())
"""


class TestStreams:
    """In separate processes, since it is about the file descriptors 0, 1 and 2."""

    @pytest.mark.parametrize(
        "shell",
        [
            '"$0" -c "$1" 9>&1 2>&-',
            '"$0" -c "$1" 9>&1 >&-',
            '"$0" -c "$1" 9>&1 <&- >&- 2>&-',
            '"$0" -c "$1" 9>&1 2>/dev/full',
            '"$0" -c "$1" 9>&1 >/dev/full',
            'exec 9>&1; { "$0" -c "$1"; echo $? >&8; } 2>&1 8>&9 | head -n 1 >/dev/null',
            'exec 9>&1; { "$0" -c "$1"; echo $? >&8; } 8>&9 | head -c 0',
        ],
        ids=["no error", "no output", "none", "error full", "output full", "error broken", "output broken"],
    )
    def test_a_program_whose_streams_are_closed_full_or_broken_continues_and_ends_well(self, shell: str) -> None:
        ended = subprocess.run(  # noqa: S603 - our own words
            ["/bin/sh", "-c", shell, sys.executable, PROGRAM],
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0
        # What follows is the output itself, where it leads here, or the exit code, where the shell writes it.
        assert b"(True, True, True)" in ended.stdout
        assert ended.stdout.replace(b"(True, True, True)", b"") in (b"", b"0\n", b"something of a task\n")


class TestAnEvent:
    def test_a_handler_of_another_program_sees_its_values(self, caplog: pytest.LogCaptureFixture) -> None:
        log.warning("attempt failed", task_id="t1", error="ValueError: no luck", attempt=2)
        assert caplog.messages == ["attempt failed: task_id='t1', error='ValueError: no luck', attempt=2"]
        assert caplog.records[0].msg == "attempt failed"

    def test_a_handler_of_another_program_sees_its_traceback_and_no_line_that_a_user_made(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        log.warning("attempt failed", error="a\nb", exception="Traceback:\n  File\nValueError: a\nWARNING forged\n")
        first, *others = caplog.messages[0].splitlines()
        assert first == r"attempt failed: error='a\nb'"
        assert others == ["  Traceback:", "    File", "  ValueError: a", "  WARNING forged"]

    def test_the_line_in_text_shows_its_traceback_on_separate_lines(
        self, written: Callable[[LogForm], Written]
    ) -> None:
        lines = written("text")
        log.error("task failed", exception="Traceback:\n  File\nValueError: a\n")
        first, *others = lines().splitlines()
        assert "task failed" in first
        assert others == ["  Traceback:", "    File", "  ValueError: a"]

    def test_the_line_in_json_has_only_the_name_as_event_and_the_traceback_as_exception(
        self, written: Callable[[LogForm], Written]
    ) -> None:
        lines = written("json")
        log.error("task failed", task_id="t1", exception="Traceback:\n  File\nValueError: a\n")
        found = json.loads(lines())
        assert (found["event"], found["task_id"]) == ("task failed", "t1")
        assert found["exception"] == "Traceback:\n  File\nValueError: a"

    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))],  # noqa: S301 - of this test
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_it_can_be_copied_to_another_process(self, copied: Callable[[Event], Event]) -> None:
        assert str(copied(Event("task failed", {"task_id": "t1"}))) == "task failed: task_id='t1'"
