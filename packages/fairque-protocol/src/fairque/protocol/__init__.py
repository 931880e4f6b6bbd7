"""The protocol of fairque: what producers, workers and schedulers share, and code that speaks to a queue itself.

Applications need none of it: what they use is exported again by the package that they install. A program that speaks
the protocol builds calls (`fairque.protocol.calls`), sends them with a `Runner`, and reads values of the model
(`fairque.protocol.model`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairque.protocol._version import __version__
from fairque.protocol.locks import import_lock

if TYPE_CHECKING:
    from fairque.protocol import calls, model
    from fairque.protocol.model.score import calculate_score
    from fairque.protocol.runners import Runner

__all__ = ["Runner", "__version__", "calculate_score", "calls", "model"]


#: Imported when they are first asked for, so that commands and children start without redis-py.
_HOMES = {"Runner": "fairque.protocol.runners", "calculate_score": "fairque.protocol.model.score"}
_MODULES = ("calls", "model")


if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            with import_lock:
                return getattr(import_module(_HOMES[name]), name)
        if name in _MODULES:
            with import_lock:
                return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
