"""The worker's log: structlog over the logger ``fairque.worker``. Only the command line sets handlers."""

import logging
import sys
from typing import Literal

import structlog

__all__ = ["configure", "configured", "log"]

log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("fairque.worker"),
    processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

_configured: list[tuple[str, Literal["auto", "text", "json"]]] = []


def configured() -> tuple[str, Literal["auto", "text", "json"]] | None:
    """Return level and form that `configure` was last called with, None when it was not."""
    return _configured[-1] if _configured else None


def configure(level: str, form: Literal["auto", "text", "json"]) -> None:
    """Send the log of fairque to standard error. The root logger stays as it is.

    Args:
        level: Name of the lowest level that is shown.
        form: Text for people or JSON for machines; ``auto`` takes text on a terminal.
    """
    _configured[:] = [(level, form)]
    terminal = sys.stderr.isatty()
    ends: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=terminal)]
        if form == "text" or (form == "auto" and terminal)
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends],
        )
    )
    logger = logging.getLogger("fairque")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
