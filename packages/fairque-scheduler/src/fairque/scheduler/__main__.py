"""``python -m fairque.scheduler`` is ``fairque-scheduler``."""

from fairque.scheduler.cli import command

command()
