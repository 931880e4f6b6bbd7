"""The descriptors of the three standard streams, kept from becoming those of connections."""

import os

__all__ = ["fill_standard_numbers"]


def fill_standard_numbers() -> None:
    """Open the descriptors 0 to 2 on /dev/null if they are closed.

    Otherwise the next file or connection would get the number, and code that writes to standard error by number, such
    as a child process, or `print` of a task that has closed it, would write into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system takes the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it has no name
