"""The options with which this interpreter was started, for the processes that it starts in its turn."""

import sys

__all__ = ["interpreter_options"]


def interpreter_options() -> list[str]:
    """Return the options of this interpreter, such as ``-O``, ``-u``, ``-X dev`` and ``-W error``.

    Those that variables like ``PYTHONOPTIMIZE`` stand for are among them; to have one twice changes nothing.
    """
    flags = sys.flags
    counts = {
        "O": flags.optimize,
        "b": flags.bytes_warning,
        "B": flags.dont_write_bytecode,
        "E": flags.ignore_environment,
        "P": flags.safe_path,
        "s": flags.no_user_site,
        "S": flags.no_site,
        # No flag tells it.
        "u": getattr(sys.__stdout__, "write_through", False),
    }
    options = [f"-{letter * int(count)}" for letter, count in counts.items() if count]
    options += [f"-W{option}" for option in sys.warnoptions]
    extra = sys._xoptions.items()  # noqa: SLF001 - documented in spite of its name
    return options + [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in extra]
