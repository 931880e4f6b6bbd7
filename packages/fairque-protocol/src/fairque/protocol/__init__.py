"""The protocol of fairque: what producers, workers and schedulers share, and code that speaks to a queue itself.

Applications need none of it: what they use is exported again by the package that they install. A program that speaks
the protocol builds calls (`fairque.protocol.calls`), sends them with a `Runner`, and reads values of the model
(`fairque.protocol.model`).
"""

from typing import TYPE_CHECKING

from fairque.protocol._version import __version__
from fairque.protocol.lazy import lazy_names

if TYPE_CHECKING:
    from fairque.protocol import calls, model
    from fairque.protocol.model.score import calculate_score
    from fairque.protocol.runners import Runner

__all__ = ["Runner", "__version__", "calculate_score", "calls", "model"]


#: Imported when they are first asked for, so that commands and children start without redis-py.
_HOMES = {
    "Runner": "fairque.protocol.runners",
    "calculate_score": "fairque.protocol.model.score",
    "calls": "fairque.protocol.calls",
    "model": "fairque.protocol.model",
}

if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
