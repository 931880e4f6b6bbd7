"""``python -m fairque.worker`` is the command ``fairque-worker``."""

from fairque.worker.cli import command

command()
