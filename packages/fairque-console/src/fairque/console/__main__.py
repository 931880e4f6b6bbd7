"""``python -m fairque.console`` is the command ``fairque``."""

from fairque.console.cli import command

command()
