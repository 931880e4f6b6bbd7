"""The process of the command ``fairque``."""

__all__ = ["Process"]


class Process:
    """The process of the command ``fairque``, as its commands see it: the object of click's context.

    There is none if a program calls the commands, since its process continues after them.

    Attributes:
        runs_user_code: Whether modules of users were imported, whose threads may still run at the end.
    """

    def __init__(self) -> None:
        self.runs_user_code = False
