"""The text of an error that ends a command: a sentence, and for a module that cannot be imported also the place."""

import importlib
import traceback

from fairque.protocol.config import mask_addresses
from fairque.protocol.errors import CannotImport, FairqueError

__all__ = ["exit_message"]


def exit_message(program: str, error: FairqueError) -> str:
    """Return the text of an error, and the failed lines of code that cannot be imported.

    Args:
        program: The name of the command.
        error: The error that ends it.
    """
    lines = [f"{program}: {mask_addresses(str(error))}"]
    if isinstance(error, CannotImport) and error.__cause__ is not None:
        # The first frame is the one that caught it.
        frames = traceback.extract_tb(error.__cause__.__traceback__)[1:]
        own = [frame for frame in frames if not frame.filename.startswith((importlib.__file__, "<frozen importlib"))]
        lines += [text.rstrip("\n") for text in traceback.format_list(own)]
    return "\n".join(lines)
