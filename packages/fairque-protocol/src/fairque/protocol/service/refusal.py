"""What a command says of the error that ends it: a sentence, and of a module that fails also where."""

import importlib
import traceback

from fairque.protocol.config import mask_addresses
from fairque.protocol.errors import CannotImport, FairqueError

__all__ = ["refusal"]


def refusal(program: str, error: FairqueError) -> str:
    """Return what a command says of an error: which it is, and of code that cannot be imported the lines that failed.

    Args:
        program: The name of the command.
        error: What ends it.
    """
    lines = [f"{program}: {mask_addresses(str(error))}"]
    if isinstance(error, CannotImport) and error.__cause__ is not None:
        # The first frame is the one that caught it.
        frames = traceback.extract_tb(error.__cause__.__traceback__)[1:]
        own = [frame for frame in frames if not frame.filename.startswith((importlib.__file__, "<frozen importlib"))]
        lines += [text.rstrip("\n") for text in traceback.format_list(own)]
    return "\n".join(lines)
