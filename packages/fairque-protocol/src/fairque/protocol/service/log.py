"""The log of a service: structlog on standard loggers; a line is written whatever its record contains.

It needs structlog, which the packages of the services depend on.
"""

import logging
import sys
import threading
from contextlib import suppress
from typing import Any, Final, Literal, TextIO, TypeAlias

import structlog
from attrs import frozen

from fairque.protocol.service.aside import call_aside
from fairque.protocol.service.lines import Event, escaped, event_of, message_of
from fairque.protocol.service.streams import write_line

__all__ = ["LineHandler", "LogForm", "configure_log", "configured_log", "service_logger"]

LogForm: TypeAlias = Literal["auto", "text", "json"]

#: Keywords that are not values of a record, but control how it is created.
_NO_VALUES: Final = frozenset({"event", "exc_info", "stack_info", "stacklevel"})

_configured: list[tuple[str, LogForm]] = []


@frozen
class _LogCall:
    """A call of the logger, with its thread and its place in the code."""

    method: str
    event: Any
    args: tuple[Any, ...]
    values: dict[str, Any]
    place: tuple[str, int, str]
    thread: int | None
    thread_name: str


class _Careful(structlog.stdlib.BoundLogger):
    """Keeps handlers, filters and record factories, which users may add, from ending or blocking a service thread."""

    def _proxy_to_logger(self, method_name: str, event: Any = None, *event_args: Any, **event_kw: Any) -> None:
        if event_kw.get("exc_info") is True:
            event_kw["exc_info"] = sys.exc_info()
        if _configured:
            # `logging.config` in a module disables all loggers that it does not name.
            self._logger.disabled = False
        # Recorded here and now, since another thread writes the record.
        frame, thread = sys._getframe(2), threading.current_thread()  # noqa: SLF001 - as logging finds the caller
        place = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        call = _LogCall(method_name, event, event_args, event_kw, place, thread.ident, thread.name)
        call_aside("a handler of the log", lambda: self._write(call))

    def _write(self, call: "_LogCall") -> None:
        try:
            with suppress(structlog.DropEvent):
                _, kwargs = self._process_event(call.method, call.event, call.values)
                self._handle(call, **kwargs)
        except BaseException as error:  # noqa: BLE001 - of the user's handler, whatever it is
            why = type(error).__name__
            write_line(sys.stderr, f"fairque: a handler of the log failed ({why}) at: {escaped(str(call.event))}")

    def _handle(self, call: "_LogCall", msg: Any, extra: Any, exc_info: Any = None, **_: Any) -> None:
        logger: logging.Logger = self._logger
        if isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        level = logging.ERROR if call.method == "exception" else getattr(logging, call.method.upper())
        file, line, function = call.place
        record = logger.makeRecord(logger.name, level, file, line, msg, call.args, exc_info, function, extra)
        record.thread, record.threadName = call.thread, call.thread_name
        logger.handle(record)


class LineHandler(logging.Handler):
    """Writes a line for each record to standard error; drops it if that is closed or full.

    A record is rendered before the lock is taken, so a slow one blocks no other thread.

    Args:
        stream: The present standard error: a replacement that a task sets later is ignored.
        render: Renders the values of a line.
        text: Whether the line is for humans, so that control characters must be escaped.
    """

    def __init__(self, stream: TextIO | None, render: structlog.typing.Processor, *, text: bool) -> None:
        super().__init__()
        self._stream = stream
        self._render = render
        self._text = text

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record that passes all filters."""
        found: Any = self.filter(record)
        if not found:
            return False
        line = self._line(found if isinstance(found, logging.LogRecord) else record)
        self.acquire()
        try:
            write_line(self._stream, line)
        finally:
            self.release()
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        write_line(self._stream, self._line(record))

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self._rendered(event_of(record))
        except Exception as error:  # noqa: BLE001 - whatever a record contains, a line is written
            text = f"{message_of(record)} (its record cannot be shown: {type(error).__name__})"
            return self._rendered({"event": text, "level": str(logging.getLevelName(record.levelno)).lower()})

    def _rendered(self, event: dict[str, Any]) -> str:
        if self._text:
            event = {escaped(name): _as_text(name, value) for name, value in event.items()}
        return str(self._render(None, "", event))


def service_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a service, whose keywords become extras of its records."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, _with_values, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=_Careful,
        cache_logger_on_first_use=True,
    )
    return logger


def _with_values(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put the values into the message of a record, for handlers of the program."""
    values = {name: value for name, value in event.items() if name not in _NO_VALUES}
    return {**event, "event": Event(event["event"], values)}


def configured_log() -> tuple[str, LogForm] | None:
    """Return level and format of the last call of `configure_log`; None if there was none."""
    return _configured[-1] if _configured else None


def configure_log(level: str, form: LogForm) -> None:
    """Send the log of fairque to standard error. The root logger stays as it is.

    Args:
        level: Name of the lowest level that is shown.
        form: Text for humans or JSON for machines; ``auto`` uses text on a terminal.
    """
    _configured[:] = [(level, form)]
    terminal = _is_terminal()
    text = form == "text" or (form == "auto" and terminal)
    logger = logging.getLogger("fairque")
    # Plain tracebacks: those of rich, if it is installed, would show all local variables, including secrets.
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
        if text
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    logger.handlers[:] = [LineHandler(sys.stderr, render, text=text)]
    logger.setLevel(level.upper())
    logger.propagate = False


_SEVERAL_LINES: Final = ("exception", "stack")


def _as_text(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value, lines=name in _SEVERAL_LINES)
    return escaped(repr(value)) if isinstance(value, dict | list) else value


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, OSError, ValueError):
        return False
